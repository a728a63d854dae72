"""What low latency asks of the other parts of a settings file: of the encoders, the nodes and the rules for media."""

from collections.abc import Iterable

from cdnkit.policy.rules.profile import Waits
from cdnkit.policy.rules.service import Behavior, Key
from cdnkit.settings.edge import Node
from cdnkit.settings.origin import Origin
from cdnkit.settings.transcode import Stream

PER_VIEWER = (
    "CMCD",
    "_HLS_primary_id",
    "_HLS_interstitial_id",
    "_HLS_start_offset",
    "_HLS_pathway",
    "_HLS_throughput",
    "_DASH_pathway",
    "_DASH_throughput",
)
"""Query parameters that players add, and that change no response of our origin (CTA-5004; HLS draft -22, appendix D;
content steering; ETSI TS 103 998): in a cache key, they would make each request a miss."""

_TEXT = Key(query="all", query_except=PER_VIEWER, accept_encoding=("gzip", "br"))
"""Browsers write Accept-Encoding in many ways, and playlists vary by it: reduced, those that say the same share one."""

MEDIA_BEHAVIORS = (
    Behavior(path="*.key", cache=False, key=Key(query_except=PER_VIEWER)),
    Behavior(path="*.m3u8", key=_TEXT),
    Behavior(path="*.mpd", key=_TEXT),
    Behavior(path="*", key=Key(query_except=PER_VIEWER)),
)
"""The behaviors of a file that has none. `_HLS_msn`, `_HLS_part` and `_HLS_skip` are in the key. Keys are for
no cache, whatever a lifetime's minimum says."""

MARGIN_S = 2.0
"""What a node waits longer than the origin holds a request: its own way there and back."""


def longest_hold(origin: Origin, streams: Iterable[Stream]) -> float:
    """How many seconds the origin may hold a request: three target durations."""
    segments = [stream.segment for stream in streams]
    if not segments or "segment" in origin.model_fields_set:
        segments.append(origin.segment)
    return 3.0 * max(map(origin.target_duration, segments))


def with_parts(streams: tuple[Stream, ...], origin: Origin) -> tuple[Stream, ...]:
    """Encoders whose fragments are the origin's parts, unless the file says how long they are."""
    if origin.part is None:
        return streams
    return tuple(
        stream if "part" in stream.model_fields_set else stream.model_copy(update={"part": origin.part})
        for stream in streams
    )


def with_patience(
    nodes: tuple[Node, ...], origin: Origin, streams: tuple[Stream, ...], profile: Waits
) -> tuple[Node, ...]:
    """Nodes that wait for the first byte as long as the origin may hold a request, unless the file says how long."""
    wanted = longest_hold(origin, streams) + MARGIN_S
    if origin.part is None or profile.first_byte >= wanted:
        return nodes
    return tuple(
        node
        if node.timeouts.first_byte is not None
        else node.model_copy(update={"timeouts": node.timeouts.model_copy(update={"first_byte": wanted})})
        for node in nodes
    )
