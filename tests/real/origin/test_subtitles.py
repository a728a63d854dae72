"""Subtitles over HTTP: the segments of `wvtt` as WebVTT text, with the fields, the numbers and the waiting of the others."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import m3u8
import pytest

from origin.encryption.ciphers import decrypt_whole
from tests.kit.live_origin import Feeder, Running, pieces, until
from tests.kit.subtitles import Shown, text_fragment, text_init

SECONDS = 4
CUES = [Shown(second, second + 0.5, f"Sekunde {second}") for second in range(SECONDS)]


@pytest.fixture
def ended(origins: Callable[..., Running]) -> Running:
    """A stream of text alone, in segments of a second."""
    origin = origins(segment=1.0)
    fragments = [text_fragment(CUES, second, second + 1) for second in range(SECONDS)]
    assert origin.post("r/de.cmft", text_init() + b"".join(fragments)).status == 200
    return origin


def test_the_same_segments_as_text(ended: Running) -> None:
    reply = ended.get("r/de/vtt.m3u8")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/vnd.apple.mpegurl")
    other = ended.get("r/de/media.m3u8")
    for field in ("cache-control", "surrogate-key", "access-control-allow-origin"):
        assert reply.headers[field] == other.headers[field]
    assert reply.headers["etag"] != other.headers["etag"]
    text, fmp4 = m3u8.loads(reply.text), m3u8.loads(other.text)
    assert "EXT-X-MAP" not in reply.text and text.is_endlist
    assert [(one.duration, one.program_date_time) for one in text.segments] == [
        (one.duration, one.program_date_time) for one in fmp4.segments
    ]
    for second, segment in enumerate(text.segments):
        got = ended.get(f"r/de/{segment.uri}")
        assert (got.status, got.headers["content-type"]) == (200, "text/vtt")
        assert got.headers["cache-control"] == ended.get(f"r/de/{fmp4.segments[second].uri}").headers["cache-control"]
        assert f"MPEGTS:{90_000 * second}\n" in got.text
        assert re.findall(r"(\S+ --> \S+)\n(.*)\n", got.text) == [
            ("00:00:00.000 --> 00:00:00.500", f"Sekunde {second}")
        ]
        again = ended.get(f"r/de/{segment.uri}", If_None_Match=got.headers["etag"])
        assert again.status == 304


def test_what_is_not_there_is_404(ended: Running, encoded: dict[str, bytes]) -> None:
    assert ended.post("r2/audio-64k.cmfa", encoded["audio-64k.cmfa"]).status == 200
    sound = re.findall(r"^(seg-.*)\.m4s$", ended.get("r2/audio-64k/media.m3u8").text, re.MULTILINE)[0]
    for path in (
        "r/de/seg-1-0.vtt", "r/de/seg-1-99999999999999999999.vtt", "r/fr/vtt.m3u8", "x/de/vtt.m3u8", "vtt.m3u8",
        "r2/audio-64k/vtt.m3u8", f"r2/audio-64k/{sound}.vtt",
    ):  # fmt: skip
        assert ended.get(path).status == 404, path


@pytest.mark.parametrize("method", ["AES-128", "SAMPLE-AES"])
def test_of_an_encrypted_stream_text_is_encrypted_as_whole_segments_are(
    origins: Callable[..., Running], method: str
) -> None:
    origin = origins(segment=1.0, encryption=({"method": method},))
    fragments = [text_fragment(CUES, second, second + 1) for second in range(SECONDS)]
    assert origin.post("r/de.cmft", text_init() + b"".join(fragments)).status == 200
    playlist = origin.get("r/de/vtt.m3u8").text
    keys = re.findall(r'#EXT-X-KEY:METHOD=(.*),URI="\.\./(key-.*\.key)"', playlist)
    assert [one for one, _ in keys] == (["AES-128"] if method == "AES-128" else [])
    for second, name in enumerate(re.findall(r"^seg-.*", playlist, re.MULTILINE)):
        body = origin.get(f"r/de/{name}").body
        if keys:
            number = int(re.findall(r"-(\d+)\.vtt", name)[0])
            body = decrypt_whole(body, origin.get(f"r/{keys[0][1]}").body, number)
        assert body.decode().splitlines()[-1] == f"Sekunde {second}"


@pytest.fixture
def low_latency(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> Iterator[tuple[Running, Callable[[], None]]]:
    """An origin with parts, and what sends it the next half second of pictures and of text."""
    origin = origins(part=0.5, segment=1.0)
    with ExitStack() as stack:
        pictures, text = Feeder(origin, "live/180p.cmfv"), Feeder(origin, "live/de.cmft")
        left = pieces(encoded["180p.cmfv"])
        sent = 0

        def send() -> None:
            nonlocal sent
            pictures.send(left.pop(0))
            text.send(text_fragment(CUES, sent / 2, (sent + 1) / 2))
            sent += 1

        stack.callback(pictures.break_off)
        stack.callback(text.break_off)
        pictures.send(left.pop(0))
        text.send(text_init())
        for _ in range(3):
            send()
        until(lambda: origin.get("live/de/vtt.m3u8").status == 200)
        yield origin, send


def test_with_parts_the_playlist_blocks_and_is_reported(
    low_latency: tuple[Running, Callable[[], None]],
) -> None:
    origin, send = low_latency
    first = m3u8.loads(origin.get("live/de/vtt.m3u8").text)
    last = first.media_sequence + len(first.segments) - 1
    for _ in range(3):
        send()
    held = origin.get(f"live/de/vtt.m3u8?_HLS_msn={last + 1}")
    assert held.status == 200 and f"-{last + 1}.vtt" in held.text
    assert origin.get(f"live/de/vtt.m3u8?_HLS_msn={last + 9}").status == 400
    assert 'RENDITION-REPORT:URI="../de/vtt.m3u8"' in origin.get("live/180p/media.m3u8").text
