"""Date ranges and interstitials as an operator and a player meet them: over sockets, in all playlists, over a restart."""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from origin.hls.playlist import date_time
from origin.hls.schedule import MOST
from origin.storage.folder import Folder, storage_failed
from tests.kit.live_origin import Feeder, Running, basic, pieces, request, until
from tests.real.origin.playlists import read_playlist
from tests.unit.origin.media.test_splices import BACK, OUT, emsg

JSON = {"Content-Type": "application/json"}
ASSETS = [{"URI": "http://127.0.0.1:9000/vod/ad/multivariant.m3u8", "DURATION": 4.0}]
AD = {"CLASS": "com.apple.hls.interstitial", "X-ASSET-LIST": {"ASSETS": ASSETS}, "X-RESUME-OFFSET": 0}
PASSWORD = "of-encoders"
TRACKS = ("180p", "90p", "audio-64k")


def order(
    origin: Running, method: str, path: str, value: Any = None, fields: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and content of the answer."""
    body = None if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
    reply = request(f"{origin.ingest}/date-ranges/{path}", method, {**JSON, **(fields or {})}, body)
    is_json = reply.headers.get("content-type", "").startswith("application/json")
    return reply.status, json.loads(reply.text) if is_json else reply.text


def tags(origin: Running, stream: str = "live", file: str = "media.m3u8", query: str = "") -> list[list[str]]:
    """The tags of date ranges in the media playlist of each track."""
    texts = [origin.get(f"{stream}/{track}/{file}{query}").text for track in TRACKS]
    return [[line for line in text.splitlines() if line.startswith("#EXT-X-DATERANGE")] for text in texts]


def ids(origin: Running, **more: str) -> set[tuple[str, ...]]:
    """Of each track: the IDs listed, a set of one where all agree."""
    return {tuple(re.findall(r'ID="([^"]*)"', "\n".join(one))) for one in tags(origin, **more)}


class Live:
    """A stream of three tracks whose encoder is there still."""

    def __init__(self, origin: Running, encoded: dict[str, bytes], count: int | None = None) -> None:
        self.origin = origin
        self.media = {name: pieces(data) for name, data in encoded.items()}
        self.feeders = {name: Feeder(origin, f"live/{name}") for name in encoded}
        self.sent = 0
        self.send(count)

    def send(self, count: int | None = None) -> None:
        """So many pieces more of each track; None: all."""
        last = None if count is None else self.sent + count
        for name, feeder in self.feeders.items():
            feeder.send(b"".join(self.media[name][self.sent : last]))
        self.sent = last if last is not None else max(map(len, self.media.values()))

    def listed(self, segments: int) -> None:
        until(
            lambda: all(self.origin.get(f"live/{one}/media.m3u8").text.count("#EXTINF") >= segments for one in TRACKS)
        )


def test_an_ad_break_is_in_all_playlists_and_its_list_beside_them(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins()
    Live(origin, encoded).listed(4)
    before = time.time()
    status, made = order(origin, "PUT", "live/break-1", AD)
    assert status == 201
    assert made["ID"] == "break-1"
    assert made["DURATION"] == 4
    assert before - 0.01 <= read_date(made["START-DATE"]) <= time.time() + 0.01
    (first, *others) = tags(origin)
    assert len(first) == 1
    assert all(one == first for one in others), "in step (6.2.4)"
    assert tags(origin, file="ts.m3u8") == [first] * 3
    uri = re.search(r'X-ASSET-LIST="([^"]*)"', first[0])
    assert uri is not None
    assert uri[1] == "../asset-list-break-1.json?_HLS_interstitial_id=break-1"
    reply = origin.get("live/" + uri[1].removeprefix("../") + "&_HLS_primary_id=7&_HLS_start_offset=1.5")
    assert (reply.status, json.loads(reply.text)) == (200, {"ASSETS": ASSETS})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "public, max-age=1", "as the playlists': the list may change"
    assert reply.headers["surrogate-key"] == "live asset-list"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert origin.get("live/asset-list-break-1.json", If_None_Match=reply.headers["etag"]).status == 304
    assert order(origin, "PUT", "live/break-1", {"X-ASSET-LIST": []})[0] == 200
    assert json.loads(origin.get("live/asset-list-break-1.json").text) == {"ASSETS": []}
    assert order(origin, "GET", "live") == (200, {"DATE-RANGES": [order(origin, "GET", "live/break-1")[1]]})
    assert origin.get("live/asset-list-other.json").status == 404


def read_date(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_every_refusal_says_where_what_and_what_was_wanted(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins()
    Live(origin, encoded).listed(4)
    assert order(origin, "PUT", "live/there", {"DURATION": 600})[0] == 201
    rows: list[tuple[str, str, Any, int]] = [
        ("PUT", "nobody/a", {}, 404),
        ("GET", "nobody", None, 404),
        ("GET", "live/a", None, 404),
        ("DELETE", "live/a", None, 404),
        ("DELETE", "live/there", None, 409),
        ("PUT", "live/there", {"DURATION": 601}, 409),
        ("PUT", "live/a", {"START-DATE": date_time(time.time() - 3600), "DURATION": 1}, 409),
        ("PUT", "live/a", b"", 400),
        ("PUT", "live/a", b"[]", 400),
        ("PUT", "live/a", b'{"DURATION": 1, "DURATION": 2}', 400),
        ("PUT", "live/a", b"[" * 60_000, 400),
        ("PUT", "live/a", b"\xff", 400),
        ("PUT", "live/a", {"X-A": "a" * 70_000}, 413),
        ("PUT", "live/a", {"X-A": "a" * 5_000}, 413),
        ("PUT", "live/a%20b", {}, 400),
        ("POST", "live/a", {}, 405),
        ("PUT", "live", {}, 405),
    ]
    for method, path, value, status in rows:
        found, text = order(origin, method, path, value)
        assert found == status, (method, path, text)
        assert "found" in text, text
        assert "wanted" in text, text
    assert ids(origin) == {("there",)}, "nothing has changed"
    for number in range(MOST - 1):
        assert order(origin, "PUT", f"live/n{number}", {})[0] == 201
    assert order(origin, "PUT", "live/more", {})[0] == 429


def test_only_the_streams_encoder_gives_orders(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    encoders = {"studio": {"password": PASSWORD}, "news": {"password": PASSWORD, "streams": ("news",)}}
    origin = origins(encoders=encoders)
    for name, data in encoded.items():
        assert request(f"{origin.ingest}/ingest/live/{name}", "POST", basic("studio", PASSWORD), data).status == 200
    for method, path in (("PUT", "live/a"), ("GET", "live/a"), ("GET", "live"), ("DELETE", "live/a")):
        body: Any = {} if method == "PUT" else None
        assert order(origin, method, path, body)[0] == 401
        assert order(origin, method, path, body, basic("studio", "wrong"))[0] == 401
        assert order(origin, method, path, body, basic("news", PASSWORD))[0] == 403
        assert order(origin, method, path, body, basic("studio", PASSWORD))[0] in (200, 201, 409)
    page = {"Origin": "https://evil.example"}
    assert order(origin, "PUT", "live/b", {}, {**basic("studio", PASSWORD), **page})[0] == 403, "a web page"


def test_it_leaves_all_playlists_at_once_when_its_time_has(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    """At every poll, all playlists have the same date ranges, and each of them while it maps to a segment."""
    origin = origins(window=3.0)
    live = Live(origin, encoded, 5)
    live.listed(1)
    start = read_playlist(origin.get("live/180p/media.m3u8").text).segments[0].at
    for id, at, length in (("first", 0.0, 0.2), ("second", 1.2, 0.2), ("long", 0.0, 100.0)):
        assert order(origin, "PUT", f"live/{id}", {"START-DATE": date_time(start + at), "DURATION": length})[0] == 201
    assert ids(origin) == {("first", "second", "long")}
    live.send()
    until(lambda: ids(origin) == {("long",)} or ids(origin) == {("second", "long")})
    assert all(len(one) == len(tags(origin)[0]) for one in tags(origin))
    assert order(origin, "PUT", "live/first", {"DURATION": 600})[0] == 409, "an ID that was used"


def test_scte_35_is_in_the_mpds_too(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    Live(origin, encoded).listed(4)
    out = {"PLANNED-DURATION": 30, "SCTE35-OUT": "0xFC002F"}
    assert order(origin, "PUT", "live/splice-1", out)[0] == 201
    for name in ("manifest.mpd", "manifest-number.mpd"):
        mpd = origin.get(f"live/{name}").text
        assert mpd.count("<Binary>/AAv</Binary>") == 1
        assert 'duration="30000"' in mpd


def test_splices_of_an_encoder_become_date_ranges(
    origins: Callable[..., Running], encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Out at the second second of media, in at the third; every track brings them, and one is damaged."""
    origin = origins()
    boxes = {1: emsg(1, 2.0, OUT), 3: emsg(1, 3.0, BACK) + emsg(1, 3.0, b"\xfc\0")}
    for name, data in encoded.items():
        first, *fragments = pieces(data)
        body = first + b"".join(boxes.get(at, b"") + one for at, one in enumerate(fragments))
        assert origin.post(f"live/{name}", body).status == 200
    (tag, *_), *others = tags(origin)
    assert all(one == [tag] for one in others)
    assert re.fullmatch(
        r'#EXT-X-DATERANGE:ID="splice-6FFFFFF0-\d+",START-DATE="[^"]*",SCTE35-OUT=0xFC002F.*,PLANNED-DURATION=59\.993267,'
        r"SCTE35-IN=0xFC002A.*,DURATION=1",
        tag,
    )
    start = re.search(r'START-DATE="([^"]*)"', tag)
    assert start is not None
    segment = read_playlist(origin.get("live/180p/media.m3u8").text).segments[2]
    assert read_date(start[1]) == pytest.approx(segment.at, abs=0.11), "the media begins at 0 or a few frames later"
    lines = [one.getMessage() for one in caplog.records if "SCTE-35" in one.getMessage()]
    assert len(lines) == 1, "said once"
    assert "found it ends too early, wanted a whole splice_info_section" in lines[0]


def test_a_restart_finds_them_again(origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path) -> None:
    origin = origins(storage=tmp_path / "kept")
    live = Live(origin, encoded)
    live.listed(4)
    assert order(origin, "PUT", "live/ad", AD)[0] == 201
    assert order(origin, "PUT", "live/later", {"START-DATE": date_time(time.time() + 3600)})[0] == 201
    assert order(origin, "DELETE", "live/later")[0] == 204
    assert ids(origin) == {("ad",)}
    before = tags(origin)
    origin.stop()
    again = origins(storage=tmp_path / "kept")
    assert tags(again) == before
    assert json.loads(again.get("live/asset-list-ad.json").text) == {"ASSETS": ASSETS}
    assert order(again, "PUT", "live/later", {})[0] == 409


def test_what_cannot_be_saved_is_not_listed(
    origins: Callable[..., Running], encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, tmp_path: Path,
) -> None:  # fmt: skip
    caplog.set_level(logging.CRITICAL)
    origin = origins(storage=tmp_path / "kept")
    Live(origin, encoded).listed(4)

    def full(storage: Folder, name: str, data: bytes, **_: object) -> None:
        raise storage_failed(storage.path(name), OSError(28, "No space left on device"), len(data))

    with monkeypatch.context() as broken:
        broken.setattr(Folder, "write", full)
        status, text = order(origin, "PUT", "live/ad", AD)
    assert status == 503
    assert "disk full" in text
    assert ids(origin) == {()}
    assert order(origin, "PUT", "live/ad", AD)[0] == 201


def test_6_2_5_1_delta_updates_skip_date_ranges(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(part=0.5, window=30.0)
    live = Live(origin, encoded)
    live.listed(4)
    status, _ = order(origin, "PUT", "live/ad", AD)
    assert status == 201
    whole = origin.get("live/180p/media.m3u8").text
    assert "CAN-SKIP-DATERANGES=YES" in whole
    assert tags(origin, query="?_HLS_skip=v2") == tags(origin), "nothing is old enough to be skipped"
    assert live.sent


def test_a_stream_that_is_forgotten_takes_its_date_ranges_along(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    origin = origins(storage=tmp_path / "kept", ingest_limits={"streams": 1})
    assert origin.post("live/180p.cmfv", encoded["180p.cmfv"]).status == 200
    assert order(origin, "PUT", "live/ad", AD)[0] == 201
    assert (tmp_path / "kept/live/date-ranges.json").exists()
    until(lambda: origin.post("other/180p.cmfv", encoded["180p.cmfv"]).status == 200)
    assert not (tmp_path / "kept/live").exists()
    assert order(origin, "GET", "live")[0] == 404
    assert origin.get("live/asset-list-ad.json").status == 404
