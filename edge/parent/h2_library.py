"""The h2 library with our settings, and without two of its refusals."""

from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from edge.bodies import WINDOW_BYTES
from edge.parent.head import HEAD_LIMIT_BYTES

FRAME_LIMIT_BYTES = 65_536
"""Longest frame taken; RFC 9113 §4.2 starts at 16 KiB, and every frame costs the library some 50 µs."""


class H2(h2.connection.H2Connection):
    """The library's connection without two of its refusals; tests hold both methods that are overridden."""

    def __init__(self) -> None:
        super().__init__(h2.config.H2Configuration(client_side=True, header_encoding=None))
        codes = h2.settings.SettingCodes
        self.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                codes.ENABLE_PUSH: 0,
                codes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                codes.MAX_FRAME_SIZE: FRAME_LIMIT_BYTES,
                codes.MAX_HEADER_LIST_SIZE: HEAD_LIMIT_BYTES,
            },
        )

        # The library takes the limits from the settings only when the parent has acknowledged a change of them.
        self.max_inbound_frame_size = FRAME_LIMIT_BYTES
        self.decoder.max_header_list_size = HEAD_LIMIT_BYTES

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[h2.events.Event]]:
        # The library closes the connection at a GOAWAY and takes the frames behind it for errors, but streams up to
        # its last id are still being answered (RFC 9113 §6.8): servers hang up gracefully in the middle of bodies.
        event = h2.events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]

    def count_ourselves(self, stream_id: int) -> None:
        """Leave a stream's Content-Length to us: the library ends the whole connection for a wrong one, and takes
        that of a 304 that ends with an empty DATA frame for wrong (RFC 9113 §8.1.1)."""
        stream: Any = self.streams[stream_id]
        stream._track_content_length = _nothing


def _nothing(length: int, end_stream: bool) -> None:
    pass
