"""A VOD folder as it is served: by the origin, and through an edge with slices and without; ffmpeg plays each."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import m3u8
import pytest

from cdnkit.policy.rules.service import Behavior
from cdnkit.settings.transcode import Packaging, Stream
from tests.kit.live_origin import Running, ffmpeg_program, request
from tests.kit.node import running_node
from transcode.vod import transcode

BLOCK = 64 * 1024
SLICES = {"whole": Behavior(path="*"), "sliced": Behavior(path="*", slice=BLOCK)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clip in segments, and in single files."""
    folder = tmp_path_factory.mktemp("vod")
    source = Stream(source="testcard", preset="ultrafast", encoder="x264", segment=1, ladder=["360p"], duration=4)
    asyncio.run(transcode(source, folder / "segments"))
    asyncio.run(transcode(source, folder / "single", packaging=Packaging(single_file=True)))
    return folder


async def _played(origin: Running, behavior: Behavior, paths: list[str]) -> tuple[list[str], list[str | None]]:
    """What ffmpeg says of each, and how the second request for each range of a single file is answered."""
    async with (
        running_node(origin.url, behavior, name="shield", service={"gate": False}) as shield,
        running_node(shield.url, behavior, name="edge") as edge,
    ):
        said = []
        for path in paths:
            command = [ffmpeg_program(), "-nostdin", "-v", "warning", "-i", f"{edge.url}/{path}", "-map", "0"]
            command += ["-progress", "pipe:1", "-f", "null", "-"]
            process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1, stdin=subprocess.DEVNULL)
            out, err = await process.communicate()
            said.append(f"{err.decode()}{out.count(b'frame=120')}")
        statuses = []
        playlist = m3u8.loads(request(f"{origin.url}/vod/single/360p/media.m3u8").text)
        data = request(f"{origin.url}/vod/single/360p/360p.mp4").body
        for segment in playlist.segments:
            size, offset = map(int, segment.byterange.split("@"))
            for _ in range(2):
                reply = await edge.get("/vod/single/360p/360p.mp4", range=f"bytes={offset}-{offset + size - 1}")
            assert reply.status == 206
            assert reply["content-range"] == f"bytes {offset}-{offset + size - 1}/{len(data)}"
            assert reply.body == data[offset : offset + size]
            statuses.append((reply["cache-status"] or "").split(", ")[-1])
        return said, statuses


@pytest.mark.live
@pytest.mark.long
@pytest.mark.parametrize("how", SLICES)
def test_ffmpeg_plays_a_vod_through_two_tiers_and_its_ranges_are_hits(
    origins: Callable[..., Running], folder: Path, how: str
) -> None:
    origin = origins(vod=folder)
    paths = [f"vod/{form}/{name}" for form in ("segments", "single") for name in ("multivariant.m3u8", "manifest.mpd")]
    said, statuses = asyncio.run(_played(origin, SLICES[how], paths))
    assert said == ["1"] * 4
    assert [status for status in statuses if not (status or "").startswith("edge; hit")] == []


def test_vod_files_are_served_as_they_are(origins: Callable[..., Running], tmp_path: Path) -> None:
    folder = tmp_path / "vod"
    (folder / "film").mkdir(parents=True)
    (folder / "film/multivariant.m3u8").write_text("#EXTM3U\n")
    (folder / "film/seg.m4s").write_bytes(bytes(range(256)) * 4096)
    (folder / ".secret").write_text("no")
    (tmp_path / "outside.mp4").write_text("no")
    (folder / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    (folder / "empty.vtt").touch()
    origin = origins(vod=folder)
    reply = origin.get("vod/film/multivariant.m3u8")
    assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert reply.headers["cache-control"] == "public, max-age=86400"
    assert reply.headers["surrogate-key"] == "vod vod/film"
    part = origin.get("vod/film/seg.m4s", Range="bytes=262140-262149")
    assert (part.status, part.body) == (206, bytes([252, 253, 254, 255, 0, 1, 2, 3, 4, 5]))
    assert len(origin.get("vod/film/seg.m4s").body) == 2**20
    assert origin.get("vod/empty.vtt").body == b""
    for path in ("vod/.secret", "vod/link.mp4", "vod/film", "vod/../outside.mp4", "vod/%2e%2e/outside.mp4", "vod/a%00"):
        assert origin.get(path).status == 404, path


TYPED = [  # files of a page that plays a stream, beside the stream itself
    ("player.js", "text/javascript; charset=utf-8"),
    ("player.mjs", "text/javascript; charset=utf-8"),
    ("player.css", "text/css; charset=utf-8"),
    ("INDEX.HTML", "text/html; charset=utf-8"),
    ("poster.jpg", "image/jpeg"),
    ("logo.svg", "image/svg+xml"),
    ("player.js.map", "application/json"),
    ("decoder.wasm", "application/wasm"),
    ("font.woff2", "font/woff2"),
    ("captions.vtt", "text/vtt"),
    ("film.cmfv", "video/mp4"),
    ("film.ts", "video/mp2t"),
    ("player.js.gz", "application/octet-stream"),
    ("noextension", "application/octet-stream"),
]


def test_files_of_the_vod_folder_say_what_they_are(origins: Callable[..., Running], tmp_path: Path) -> None:
    for name, _ in TYPED:
        (tmp_path / name).touch()
    origin = origins(vod=tmp_path)
    for name, media_type in TYPED:
        assert origin.get(f"vod/{name}").headers["content-type"] == media_type, name


def test_a_folder_with_an_odd_name_gives_no_surrogate_key(origins: Callable[..., Running], tmp_path: Path) -> None:
    for name, path in [
        ("t\tab", "t%09ab"),
        ("del\x7f", "del%7f"),
        ("sp ace", "sp%20ace"),
        ("gr\xfc\xdfe", "gr%C3%BC%C3%9Fe"),
    ]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").touch()
        reply = origins(vod=tmp_path, storage=tmp_path / f"media-{path[:1]}").get(f"vod/{path}/a.mp4")
        assert (reply.status, reply.headers["surrogate-key"]) == (200, "vod")


ODD = [  # a name in the folder, its type
    ("a lone film.mp4", "video/mp4"),
    ("100%.mp4", "video/mp4"),
    ("%2e%2e.mp4", "video/mp4"),  # a name like any, once it is encoded as it must be
    ("größe/фильм 🎬.m3u8", "application/vnd.apple.mpegurl"),
    ("q?#&;+.mpd", "application/dash+xml"),
    ("sub/deeper/a..b.m4a", "audio/mp4"),
    ("UPPER.MP4", "video/mp4"),
    ("~user.m4s", "video/mp4"),
    ("back\\slash.mp4", "video/mp4"),
]


def test_files_with_odd_names_are_served_under_their_encoded_names(
    origins: Callable[..., Running], tmp_path: Path
) -> None:
    folder = tmp_path / "vod"
    for name, _ in ODD:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    origin = origins(vod=folder)
    for name, media_type in ODD:
        reply = origin.get(f"vod/{quote(name)}")
        assert (reply.status, reply.headers["content-type"], reply.text) == (200, media_type, name)


OUTSIDE = [
    "../outside.mp4",
    "%2e%2e/outside.mp4",
    "..%2foutside.mp4",
    "sub/../../outside.mp4",
    "sub%2f..%2f..%2foutside.mp4",
    "%252e%252e/outside.mp4",  # encoded twice: decoded once, a name that is not there
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "..%5coutside.mp4",
    "link.mp4",
    "links/outside.mp4",
    "loop/a.mp4",
    ".hidden.mp4",
    "sub/.hidden/a.mp4",
    "sub",
    "sub/",
    "",
    "fifo",
    "a%00.mp4",
    "%ff%fe.mp4",
    "x" * 300,
    "y/" * 2000,
]


def test_what_lies_outside_the_folder_or_is_no_file_is_not_there(
    origins: Callable[..., Running], tmp_path: Path
) -> None:
    folder = tmp_path / "vod"
    (folder / "sub/.hidden").mkdir(parents=True)
    for name in ("outside.mp4", "vod/.hidden.mp4", "vod/sub/.hidden/a.mp4"):
        (tmp_path / name).write_text("no")
    (folder / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    (folder / "links").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "fifo")
    origin = origins(vod=folder)
    for path in OUTSIDE:
        assert origin.get(f"vod/{path}").status == 404, path


RANGES = [  # Range, If-Range, status, Content-Range, bytes; of 1000 bytes
    ("bytes=0-0", None, 206, "bytes 0-0/1000", slice(0, 1)),
    ("bytes=990-", None, 206, "bytes 990-999/1000", slice(990, 1000)),
    ("bytes=990-5000", None, 206, "bytes 990-999/1000", slice(990, 1000)),
    ("bytes=-10", None, 206, "bytes 990-999/1000", slice(990, 1000)),
    ("bytes=-5000", None, 206, "bytes 0-999/1000", slice(0, 1000)),
    ("bytes=1000-", None, 416, "bytes */1000", slice(0, 0)),
    ("bytes=-0", None, 416, "bytes */1000", slice(0, 0)),
    ("bytes=9-5", None, 200, None, slice(0, 1000)),
    ("lines=0-5", None, 200, None, slice(0, 1000)),
    ("bytes=0-9,20-29", None, 200, None, slice(0, 1000)),  # several: a server may send it all (RFC 9110 14.2)
    ("bytes=0-9", "ETAG", 206, "bytes 0-9/1000", slice(0, 10)),
    ("bytes=0-9", '"other"', 200, None, slice(0, 1000)),
    ("bytes=0-9", "W/ETAG", 200, None, slice(0, 1000)),  # strong comparison (13.1.5)
    ("bytes=0-9", "MODIFIED", 206, "bytes 0-9/1000", slice(0, 10)),
    ("bytes=0-9", "Thu, 01 Jan 1970 00:00:00 GMT", 200, None, slice(0, 1000)),
]


def test_ranges_of_a_file(origins: Callable[..., Running], tmp_path: Path) -> None:
    data = bytes(range(250)) * 4
    (tmp_path / "a.mp4").write_bytes(data)
    origin = origins(vod=tmp_path)
    whole = origin.get("vod/a.mp4")
    assert (whole.body, whole.headers["accept-ranges"]) == (data, "bytes")
    assert re.fullmatch(r'"[0-9a-f]+-3e8"', whole.headers["etag"])
    for wanted, condition, status, content_range, part in RANGES:
        fields = {"Range": wanted}
        if condition is not None:
            for word, value in (("ETAG", whole.headers["etag"]), ("MODIFIED", whole.headers["last-modified"])):
                condition = condition.replace(word, value)
            fields["If-Range"] = condition
        reply = request(f"{origin.url}/vod/a.mp4", headers=fields)
        found = (reply.status, reply.headers.get("content-range"), reply.body)
        assert found == (status, content_range, data[part]), (wanted, condition)
        assert reply.headers["etag"] == whole.headers["etag"]
    assert origin.get("vod/a.mp4", If_None_Match=whole.headers["etag"]).status == 304


def test_a_file_that_is_written_anew_has_another_etag(origins: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"one")
    origin = origins(vod=tmp_path)
    first = origin.get("vod/a.mp4").headers["etag"]
    (tmp_path / "b.mp4").write_bytes(b"two")
    (tmp_path / "b.mp4").rename(tmp_path / "a.mp4")
    reply = request(f"{origin.url}/vod/a.mp4", headers={"Range": "bytes=0-0", "If-Range": first})
    assert (reply.status, reply.body) == (200, b"two")
