"""When a stream counts as playable: edges are asked again, for as long as was granted and no longer."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cdnlab.lab.playable import NotPlayable, wait_until_playable
from cdnlab.settings.document import parse

TOP = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n360p/media.m3u8\n"
MEDIA = b"#EXTM3U\n#EXTINF:1,\nseg-1.m4s\n"
SETTINGS = '[[stream]]\nname = "live"\n[[node]]\nname = "fra"\n'


@contextmanager
def server(*statuses: int) -> Iterator[tuple[str, list[int]]]:
    """Answers with each of these in turn, and with the last one from then on; what it answered."""
    told: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = statuses[min(len(told), len(statuses) - 1)]
            told.append(status)
            body = b"no\n" if status != 200 else TOP if "multivariant" in self.path else MEDIA
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", told
        running.shutdown()


def waited(origin: str, edge: str, within: float) -> float:
    cluster: Any = SimpleNamespace(
        document=parse(SETTINGS, file="cdn.toml", folder=Path(), environ={}).document,
        origin=SimpleNamespace(ready={"url": origin}),
        nodes={"fra": SimpleNamespace(ready={"url": edge})},
        transcoders={"live": SimpleNamespace(log="encoder.log")},
    )
    return asyncio.run(wait_until_playable(cluster, within=within))


ROWS = [  # the origin's answers   the edge's                    within   what is said
    ((200,), (404, 404, 200), 30.0, None),
    ((404, 404, 200), (200,), 30.0, None),
    ((200,), (200, 404, 200), 30.0, None),  # the media playlist, early
    ((200,), (502, 503, 504, 200), 30.0, None),
    ((200,), (403,), 30.0, r"through fra after 0 s: the multivariant playlist answers 403 no"),  # no time would help
    ((200,), (404,), 0.5, r"through fra after \d+ s: the multivariant playlist answers 404 no"),
    ((404,), (200,), 0.5, r"not playable after 0.5 s: the multivariant playlist answers 404 no\nThe encoder's log"),
    ((200,), (404, 200), float("nan"), r"through fra after 0 s: the multivariant playlist answers 404"),
    ((404,), (200,), float("nan"), r"not playable after nan s"),  # and not for ever
]


@pytest.mark.long
@pytest.mark.parametrize(("origin", "edge", "within", "said"), ROWS)
def test_playable(origin: tuple[int, ...], edge: tuple[int, ...], within: float, said: str | None) -> None:
    with ExitStack() as running:
        (origin_url, _), (edge_url, told) = (running.enter_context(server(*one)) for one in (origin, edge))
        began = time.monotonic()
        if said is None:
            waited(origin_url, edge_url, within)
            assert told[-1] == 200
            return
        with pytest.raises(NotPlayable, match=said):
            waited(origin_url, edge_url, within)
        assert time.monotonic() - began < 20
        assert len(told) <= 6
