"""Streams that are recorded: nothing leaves them, they end as VODs, and VODs are trimmed out of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdnkit.settings.ingest import Encoder
from cdnkit.settings.recordings import Recordings
from origin.errors import TooLarge
from origin.live.session import State
from tests.kit.live_origin import Feeder, Reply, Running, basic, pieces, request, until
from tests.real.origin.playlists import read_playlist
from tests.real.origin.test_retention import Lab, in_lab
from tests.unit.origin.live.test_stream import video, video_init

RECORDED = {"recordings": Recordings(streams=("live*",)), "window": 3.0, "linger": 0.0}


def order(origin: Running, method: str, path: str, value: object = None, user: str = "") -> tuple[int, Any]:
    headers = basic(user, "password") if user else {}
    reply = request(f"{origin.ingest}/{path}", method, headers, None if value is None else json.dumps(value))
    return reply.status, json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else reply.text


def post(origin: Running, encoded: dict[str, bytes], stream: str = "live") -> None:
    feeders = [Feeder(origin, f"{stream}/{name}") for name in ("180p.cmfv", "audio-64k.cmfa")]
    for one, name in zip(feeders, ("180p.cmfv", "audio-64k.cmfa"), strict=True):
        one.send(encoded[name])
    for one in feeders:
        assert one.end().status == 200
    until(lambda: "ENDLIST" in origin.get(f"{stream}/180p/media.m3u8").text)


def bodies(origin: Running, stream: str, track: str = "180p") -> dict[str, bytes]:
    playlist = read_playlist(origin.get(f"{stream}/{track}/media.m3u8").text)
    found: dict[str, Reply] = {one.uri: origin.get(f"{stream}/{track}/{one.uri}") for one in playlist.segments}
    assert all(one.status == 200 for one in found.values())
    return {uri: one.body for uri, one in found.items()}


def test_nothing_leaves_a_recording_and_it_ends_as_a_vod(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins(**RECORDED)
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in pieces(encoded["180p.cmfv"])[:9]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") >= 3)
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXT-X-PLAYLIST-TYPE:EVENT\n") == 1 and "ENDLIST" not in text
    assert 'type="dynamic"' in origin.get("live/manifest.mpd").text
    for piece in pieces(encoded["180p.cmfv"])[9:]:
        feeder.send(piece)
    assert feeder.end().status == 200
    text = origin.get("live/180p/media.m3u8").text
    assert "#EXT-X-MEDIA-SEQUENCE:0\n" in text and text.endswith("#EXT-X-ENDLIST\n")
    assert len(bodies(origin, "live")) == 5, "more than the window"
    assert 'type="static"' in origin.get("live/manifest.mpd").text
    assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in origin.get("live/180p/ts.m3u8").text


def test_streams_that_are_not_recorded_have_a_window(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins(**RECORDED)
    post(origin, encoded, "other")
    text = origin.get("other/180p/media.m3u8").text
    assert "PLAYLIST-TYPE" not in text and text.count("#EXTINF") == 3


@pytest.mark.parametrize("encryption", [None, "AES-128", "SAMPLE-AES"])
def test_a_vod_is_trimmed_out_of_a_recording_and_outlives_it(
    origins: Callable[..., Running], encoded: dict[str, bytes], encryption: str | None
) -> None:
    rules: dict[str, Any] = {"encryption": [{"method": encryption}]} if encryption else {}
    origin = origins(**RECORDED, **rules)
    post(origin, encoded)
    whole = bodies(origin, "live")
    status, made = order(origin, "POST", "recordings/live", {"name": "goal", "from": 1.5, "to": 2.5})
    assert status == 201, made
    assert (made["name"], made["url"], made["type"]) == ("goal", "goal/multivariant.m3u8", "VOD")
    assert made["ended"] and not made["live"] and made["tracks"] == ["180p", "audio-64k"]
    assert 1.9 < made["duration"] < 2.1, "on segment boundaries"
    text = origin.get("goal/180p/media.m3u8").text
    assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in text and text.endswith("#EXT-X-ENDLIST\n")
    cut = bodies(origin, "goal")
    assert cut == {uri: whole[uri] for uri in list(whole)[1:3]}
    assert len(bodies(origin, "goal", "audio-64k")) == 2
    assert "180p/media.m3u8" in origin.get("goal/multivariant.m3u8").text
    if encryption != "AES-128":
        assert 'type="static"' in origin.get("goal/manifest.mpd").text
    assert order(origin, "DELETE", "recordings/live") == (204, "")
    assert origin.get("live/180p/media.m3u8").status == 404
    assert bodies(origin, "goal") == cut
    assert order(origin, "GET", "recordings")[1]["recordings"] == [order(origin, "GET", "recordings/goal")[1]]
    origin.stop()
    again = origins(**RECORDED, **rules)
    assert bodies(again, "goal") == cut
    assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in again.get("goal/180p/media.m3u8").text
    if encryption:
        key = text.split('URI="../')[1].split('"')[0]
        assert len(again.get(f"goal/{key}").body) == 16
    assert again.post("goal/180p.cmfv", encoded["180p.cmfv"]).status == 409, "a VOD does not go on"


def test_a_live_stream_is_trimmed_while_it_goes_on(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(**RECORDED)
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in pieces(encoded["180p.cmfv"])[:9]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") >= 3)
    assert order(origin, "POST", "recordings/live", {"name": "first", "to": 1})[0] == 201
    assert order(origin, "DELETE", "recordings/live")[0] == 409, "an encoder feeds it"
    for piece in pieces(encoded["180p.cmfv"])[9:]:
        feeder.send(piece)
    assert feeder.end().status == 200
    assert len(bodies(origin, "first")) == 1 and len(bodies(origin, "live")) == 5


REFUSED = [
    ("recordings/none", {"name": "goal"}, 404, "found no such recording"),
    ("recordings/live", {"name": "live"}, 409, "wanted another name"),
    ("recordings/live", {"name": "../x"}, 403, "a name that cannot be used"),
    ("recordings/live", {"name": "vod"}, 403, "a name that cannot be used"),
    ("recordings/live", {}, 403, "a name that cannot be used"),
    ("recordings/live", {"name": "goal", "until": 3}, 400, "wanted"),
    ("recordings/live", {"name": "goal", "from": "yesterday"}, 400, 'from: found "yesterday", wanted a date-time'),
    ("recordings/live", {"name": "goal", "from": "2026-11-29T17:00:00"}, 400, "wanted a date-time"),  # without a zone
    ("recordings/live", {"name": "goal", "from": 100}, 400, "found no segment from"),
    ("recordings/live", {"name": "goal", "from": 3, "to": 2}, 400, "found no segment from"),
]


def test_what_cannot_be_trimmed_is_refused(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(**RECORDED)
    post(origin, encoded)
    for path, value, status, text in REFUSED:
        found = order(origin, "POST", path, value)
        assert found[0] == status and text in str(found[1]), (value, found)
    assert order(origin, "PUT", "recordings/live", {})[0] == 405
    assert order(origin, "DELETE", "recordings/none")[0] == 404
    assert len(order(origin, "GET", "recordings")[1]["recordings"]) == 1


def test_only_who_may_publish_a_stream_may_trim_or_delete_it(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    encoders = {
        "all": Encoder(password="password"),
        "sport": Encoder(password="password", streams=("live", "sport-*")),
        "news": Encoder(password="password", streams=("news-*",)),
    }
    origin = origins(**RECORDED, encoders=encoders)
    feeder = Feeder(origin, "live/180p.cmfv", fields=basic("sport", "password"))
    feeder.send(encoded["180p.cmfv"])
    assert feeder.end().status == 200
    goal = {"name": "sport-goal", "to": 2}
    for user, method, path, value, status in [
        ("", "GET", "recordings", None, 401),
        ("sport", "GET", "recordings", None, 403),
        ("", "GET", "recordings/live", None, 401),
        ("news", "GET", "recordings/live", None, 403),
        ("news", "POST", "recordings/live", {"name": "news-goal"}, 403),
        ("sport", "POST", "recordings/live", {"name": "news-goal"}, 403),
        ("news", "DELETE", "recordings/live", None, 403),
        ("", "DELETE", "recordings/live", None, 401),
        ("sport", "POST", "recordings/live", goal, 201),
        ("sport", "GET", "recordings/sport-goal", None, 200),
        ("all", "GET", "recordings", None, 200),
        ("sport", "DELETE", "recordings/live", None, 204),
    ]:
        found = order(origin, method, path, value, user)
        assert found[0] == status, (user, method, path, found)


# ---- how long they stay ---------------------------------------------------------------------------------------------


async def recorded(lab: Lab, name: str, seconds: float = 5.0) -> None:
    with lab.publisher.posting(name, "720p") as stream:
        session = stream.begin("720p", video_init(), lab.now, lambda: None)
        for fragment in video(seconds):
            session.push(fragment, lab.now)
        session.finish(State.ENDED)
        await lab.publisher.close(stream)
    lab.now += 10


@pytest.mark.parametrize("rule", [{"keep": 60.0}, {"size": 8000}])
def test_recordings_stay_for_a_time_and_within_a_size(tmp_path: Path, rule: dict[str, Any]) -> None:
    async def test(lab: Lab) -> None:
        for n in range(4):
            await recorded(lab, f"live-{n}")
        await lab.retention.sweep()
        left = set(lab.publisher.streams)
        if "keep" in rule:
            assert left == {f"live-{n}" for n in range(4)}
            lab.now += 35
            await lab.retention.sweep()
            assert set(lab.publisher.streams) == {"live-3", "live-2"}
        else:
            size = lambda: sum(path.stat().st_size for path in tmp_path.rglob("seg-*"))  # noqa: E731
            assert 0 < size() <= 8000 and "live-3" in left and "live-0" not in left

    in_lab(tmp_path, test, recordings=Recordings(streams=("live-*",), **rule))


def test_a_recording_that_lasts_too_long_is_refused_more(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await recorded(lab, "live-0", 59.0)
        await lab.retention.sweep()
        lab.retention.check_recording(lab.publisher.streams["live-0"])
        await recorded(lab, "live-0", 5.0)
        await lab.retention.sweep()
        with pytest.raises(TooLarge, match=r"found 6. s, wanted at most 60 s \(origin.recordings.longest\)"):
            lab.retention.check_recording(lab.publisher.streams["live-0"])
        assert len(lab.publisher.streams["live-0"].windows["720p"].listed) > 60, "nothing has left"

    in_lab(tmp_path, test, recordings=Recordings(streams=("live-*",), longest=60.0))
