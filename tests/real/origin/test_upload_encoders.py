"""A real ffmpeg packages HLS and DASH and uploads it by the commands that people type; ffmpeg reads it back."""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, encoder, until
from tests.kit.node import running_node
from tests.real.origin.test_packagings import frames as frames_of

pytestmark = pytest.mark.live

SECONDS = 5
CODECS = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac"]


def command(ffmpeg: str, *output: str, realtime: bool = False, seconds: int = SECONDS) -> list[str]:
    pace = ["-re"] if realtime else []
    pictures = [*pace, "-f", "lavfi", "-t", str(seconds), "-i", "testsrc2=s=160x90:r=25"]
    sound = [*pace, "-f", "lavfi", "-t", str(seconds), "-i", "sine=sample_rate=48000"]
    return [ffmpeg, "-nostdin", "-hide_banner", "-v", "error", *pictures, *sound, *CODECS, *output]


def run(one: list[str]) -> None:
    subprocess.run(one, check=True, timeout=GUARD_S, stdin=subprocess.DEVNULL)


def frames(ffmpeg: str, url: str, kind: str) -> int:
    """How many frames of the first track of this kind ffmpeg reads there."""
    read = [ffmpeg, "-nostdin", "-v", "error", "-i", url, "-map", f"0:{kind}:0", "-c", "copy", "-f", "framecrc", "-"]
    text = subprocess.run(read, capture_output=True, text=True, check=True, timeout=GUARD_S).stdout
    return sum(not line.startswith("#") for line in text.splitlines())


@pytest.fixture(scope="module")
def sent(ffmpeg: str) -> dict[str, int]:
    """Frames of pictures and of sound that the encoder makes."""
    made = {}
    for kind in "va":
        one = command(ffmpeg, "-map", f"{'va'.index(kind)}:{kind}", "-f", "framecrc", "-")
        text = subprocess.run(one, capture_output=True, text=True, check=True, timeout=GUARD_S).stdout
        made[kind] = sum(not line.startswith("#") for line in text.splitlines())
    return made


HLS = ["-f", "hls", "-method", "PUT", "-hls_time", "1", "-hls_list_size", "0"]
FMP4 = [*HLS, "-hls_segment_type", "fmp4"]
DASH = ["-f", "dash", "-method", "PUT", "-seg_duration", "1"]
TWO = ["-map", "0:v", "-map", "1:a", "-map", "0:v", "-b:v", "200k", "-b:a", "64k"]
LOW = ["-ldash", "1", "-streaming", "1", "-use_template", "1", "-use_timeline", "0", "-frag_type", "duration"]

WAYS: list[tuple[list[str], str, list[str]]] = [  # given ffmpeg's output options, the URL's path, then where it is read
    (HLS, "live.m3u8", ["live.m3u8"]),
    ([*HLS, "-hls_segment_type", "mpegts", "-http_persistent", "1"], "live.m3u8", ["live.m3u8"]),
    (["-f", "hls", "-hls_time", "1", "-hls_list_size", "0"], "live.m3u8", ["live.m3u8"]),  # the method is PUT anyway
    ([*HLS, "-hls_flags", "single_file"], "live.m3u8", ["live.m3u8"]),
    (FMP4, "live.m3u8", ["live.m3u8"]),  # init.mp4 is the first request, beside no folder
    ([*FMP4, "-http_persistent", "1", "-hls_flags", "delete_segments"], "live.m3u8", ["live.m3u8"]),
    ([*FMP4, "-hls_segment_filename", "@/part%d.mp4"], "live.m3u8", ["live.m3u8"]),
    ([*HLS, "-hls_start_number_source", "epoch", "-method", "POST"], "a/b/live.m3u8", ["a/b/live.m3u8"]),
    ([*TWO, *FMP4, "-master_pl_name", "master.m3u8", "-var_stream_map", "v:0,a:0 v:1"], "v%v/live.m3u8",
     ["master.m3u8", "v0/live.m3u8"]),
    ([*TWO, *HLS, "-master_pl_name", "master.m3u8", "-var_stream_map", "v:0,a:0 v:1"], "live_%v.m3u8",
     ["master.m3u8", "live_0.m3u8"]),
    (DASH, "manifest.mpd", ["manifest.mpd"]),
    ([*DASH, "-http_persistent", "1"], "manifest.mpd", ["manifest.mpd"]),
    ([*DASH, "-hls_playlist", "1"], "manifest.mpd", ["manifest.mpd", "master.m3u8"]),
    ([*DASH, "-init_seg_name", "init-$RepresentationID$.mp4", "-media_seg_name", "$RepresentationID$-$Number$.mp4"],
     "manifest.mpd", ["manifest.mpd"]),
    ([*DASH, *LOW, "-frag_duration", "0.2"], "manifest.mpd", ["manifest.mpd"]),
    ([*DASH, *LOW, "-frag_duration", "0.2", "-http_persistent", "1"], "manifest.mpd", ["manifest.mpd"]),
]  # fmt: skip


def listed(origin: Running, name: str = "live") -> dict[str, Any]:
    return next(one for one in json.loads(origin.get("").text)["streams"] if one["name"] == name)


@pytest.mark.parametrize(("options", "path", "read"), WAYS)
def test_every_frame_comes_through_the_origin_and_an_edge(
    origins: Callable[..., Running],
    ffmpeg: str,
    sent: dict[str, int],
    options: list[str],
    path: str,
    read: list[str],
) -> None:
    origin = origins()
    point = f"{origin.ingest}/ingest/live"
    run(command(ffmpeg, *(option.replace("@", point) for option in options), f"{point}/{path}"))
    until(lambda: listed(origin)["ended"])
    assert set(listed(origin)["playlists"]) >= {f"live/{read[0]}"}

    async def through_an_edge() -> None:
        async with running_node(origin.url) as node:
            for url in (origin.url, node.url):
                for one in read:
                    for kind in "va":
                        found = await asyncio.to_thread(frames, ffmpeg, f"{url}/live/{one}", kind)
                        assert found == sent[kind], f"{url}/live/{one}"

    asyncio.run(through_an_edge())


PASSWORD, TOKEN = "p%ss/w@rd of:studio", "T0ken-of-news"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"
IN_URL = f"studio:{quote(PASSWORD, safe='')}@"
LET_IN: list[tuple[list[str], str, str]] = [  # given ffmpeg's output options, what its URL says of it, the path
    (HLS, IN_URL, "live.m3u8"),
    ([*FMP4, "-http_persistent", "1", "-hls_flags", "delete_segments"], IN_URL, "live.m3u8"),
    (DASH, IN_URL, "manifest.mpd"),
    ([*DASH, "-http_persistent", "1"], IN_URL, "manifest.mpd"),
    ([*HLS, "-headers", BEARER], "", "live.m3u8"),
    ([*DASH, "-http_opts", f"headers={BEARER.replace(':', chr(92) + ':')}"], "", "manifest.mpd"),
]


@pytest.mark.parametrize(("options", "user", "path"), LET_IN)
def test_an_origin_that_knows_its_encoders_takes_every_object(
    origins: Callable[..., Running], ffmpeg: str, sent: dict[str, int], options: list[str], user: str, path: str
) -> None:
    """None is lost to the 401 that ffmpeg, which asks without credentials, gets first."""
    origin = origins(encoders={"studio": {"password": PASSWORD}, "news": {"token": TOKEN, "streams": ("live",)}})
    point = f"{origin.ingest}/ingest/live".replace("://", f"://{user}")
    run(command(ffmpeg, *options, f"{point}/{path}"))
    until(lambda: '"name": "live"' in origin.get("").text and listed(origin)["ended"])
    for kind in "va":
        assert frames(ffmpeg, f"{origin.url}/live/{path}", kind) == sent[kind]


def uris(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("persistent", ["0", "1"])
@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
def test_what_a_live_playlist_lists_is_there_at_every_poll(
    origins: Callable[..., Running], ffmpeg: str, kind: str, persistent: str
) -> None:
    origin = origins()
    output = ["-f", "hls", "-method", "PUT", "-hls_time", "0.5", "-g", "12", "-hls_list_size", "3"]
    output += ["-hls_flags", "delete_segments", "-hls_delete_threshold", "3", "-http_persistent", persistent]
    output += ["-hls_segment_type", kind, f"{origin.ingest}/ingest/live/live.m3u8"]
    seen: dict[str, None] = {}
    with encoder(command(ffmpeg, *output, realtime=True, seconds=4)):

        def poll() -> bool:
            reply = origin.get("live/live.m3u8")
            if reply.status == 404:
                return False
            for uri in uris(reply.text):
                seen[uri] = None
                assert origin.get(f"live/{uri}").status == 200, f"{uri} is listed and absent"
            return "#EXT-X-ENDLIST" in reply.text

        until(poll)
    assert len(seen) == 8, "nothing was left out"
    first, *_, last = seen
    assert origin.get(f"live/{first}").status == 404, "the encoder has deleted it"
    assert origin.get(f"live/{last}").status == 200


def test_dash_with_a_window_deletes_what_leaves_it(origins: Callable[..., Running], ffmpeg: str) -> None:
    origin = origins()
    output = [*DASH, "-window_size", "2", "-extra_window_size", "1", "-http_persistent", "1"]
    run(command(ffmpeg, *output, f"{origin.ingest}/ingest/live/manifest.mpd"))
    until(lambda: listed(origin)["ended"])
    there = [origin.get(f"live/chunk-stream0-{number:05d}.m4s").status for number in range(1, 6)]
    assert there == [404, 404, 200, 200, 200]


def test_a_segment_list(origins: Callable[..., Running], ffmpeg: str, sent: dict[str, int]) -> None:
    """ffmpeg does not read back the last segment of the lists that it writes: here they are read one by one."""
    origin = origins()
    run(command(ffmpeg, *DASH, "-use_template", "0", f"{origin.ingest}/ingest/live/manifest.mpd"))
    until(lambda: listed(origin)["ended"])
    text = origin.get("live/manifest.mpd").text
    for track, kind in enumerate("va"):
        names = re.findall(rf'(?:sourceURL|media)="([^"]*-stream{track}[^"]*)"', text)
        assert len(frames_of(b"".join(origin.get(f"live/{name}").body for name in names))) == sent[kind]


def test_dash_that_removes_all_at_its_exit(origins: Callable[..., Running], ffmpeg: str) -> None:
    origin = origins()
    run(command(ffmpeg, *DASH, "-remove_at_exit", "1", f"{origin.ingest}/ingest/live/manifest.mpd"))
    until(lambda: json.loads(origin.get("").text)["streams"] == [])
    assert origin.get("live/manifest.mpd").status == 404


def test_an_encoder_that_is_killed_leaves_no_half_segment(origins: Callable[..., Running], ffmpeg: str) -> None:
    origin = origins()
    output = [*DASH, *LOW, "-frag_duration", "0.1", "-hls_playlist", "1", f"{origin.ingest}/ingest/live/manifest.mpd"]
    with encoder(command(ffmpeg, *output, realtime=True, seconds=60)) as process:
        until(lambda: len(uris(origin.get("live/media_0.m3u8").text)) >= 2)
        until(lambda: listed(origin)["bytes"] > sum(len(body) for body in bodies(origin)))
        process.send_signal(signal.SIGKILL)
    complete = bodies(origin)
    assert until(lambda: listed(origin)["objects"] >= len(complete))
    for body in complete:
        assert body[4:8] == b"styp" and body.rfind(b"mdat") > 0


def bodies(origin: Running) -> list[bytes]:
    return [origin.get(f"live/{uri}").body for uri in uris(origin.get("live/media_0.m3u8").text)]


def test_an_encoder_that_starts_again_under_the_same_names(
    origins: Callable[..., Running], ffmpeg: str, sent: dict[str, int]
) -> None:
    origin = origins()
    url = f"{origin.ingest}/ingest/live/live.m3u8"
    run(command(ffmpeg, *FMP4, url))
    until(lambda: listed(origin)["ended"])
    before = {path: origin.get(f"live/{path}").headers["etag"] for path in ("init.mp4", "live0.m4s", "live1.m4s")}
    run(command(ffmpeg, "-vf", "negate", *FMP4, url))
    until(lambda: origin.get("live/live1.m4s").headers["etag"] != before["live1.m4s"])
    until(lambda: listed(origin)["ended"])
    assert origin.get("live/live0.m4s").headers["etag"] != before["live0.m4s"]
    assert origin.get("live/init.mp4").headers["etag"] == before["init.mp4"], "the same bytes"
    assert frames(ffmpeg, f"{origin.url}/live/live.m3u8", "v") == sent["v"]


def test_an_encoder_that_continues_its_playlist(
    origins: Callable[..., Running], ffmpeg: str, sent: dict[str, int]
) -> None:
    """`append_list` reads the playlist back at the start, and goes on behind it, with the next numbers."""
    origin = origins()
    url = f"{origin.ingest}/ingest/live/live.m3u8"
    run(command(ffmpeg, *HLS, "-hls_flags", "append_list+omit_endlist", url))
    until(lambda: origin.get("live/live.m3u8").text.count("#EXTINF") == 5)
    run(command(ffmpeg, *HLS, "-hls_flags", "append_list", url))
    until(lambda: listed(origin)["ended"])
    text = origin.get("live/live.m3u8").text
    assert uris(text) == [f"live{number}.ts" for number in range(10)]
    assert text.count("#EXT-X-DISCONTINUITY") == 2, "it writes one at each of its starts"
    assert frames(ffmpeg, f"{origin.url}/live/live.m3u8", "v") == 2 * sent["v"]


def test_a_stream_survives_a_restart_of_the_origin(
    origins: Callable[..., Running], ffmpeg: str, sent: dict[str, int], tmp_path: Path
) -> None:
    origin = origins()
    run(command(ffmpeg, *DASH, f"{origin.ingest}/ingest/live/manifest.mpd"))
    until(lambda: listed(origin)["ended"])
    origin.stop()
    again = origins()
    assert {kind: frames(ffmpeg, f"{again.url}/live/manifest.mpd", kind) for kind in "va"} == sent
