"""DASH as clients of others read it: a real ffmpeg posts, the manifest is polled, fetched from and played."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from cdnkit.policy.rules.service import Behavior
from tests.kit.dash_invariants import DashWatch, read_mpd, when
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Reply, Running, encoder, encoder_command, request, until
from tests.kit.node import running_node
from tests.real.origin.test_live import urls

MANIFESTS = ("manifest.mpd", "manifest-number.mpd")


def fetcher(origin: Running, stream: str = "live") -> Callable[[str], bytes]:
    def fetch(url: str) -> bytes:
        reply = origin.get(f"{stream}/{url}")
        assert reply.status == 200, f"{url} is listed and absent"
        return reply.body

    return fetch


def there(reply: Reply) -> Reply | None:
    return reply if reply.status == 200 else None


def frames(ffmpeg: str, url: str, *more: str, kinds: str = "va") -> tuple[list[int], str]:
    """How many frames of each kind ffmpeg reads, and what it complains of."""
    command = [ffmpeg, "-nostdin", "-v", "warning", *more, "-i", url]
    for kind in kinds:
        command += ["-map", f"0:{kind}:0"]
    command += ["-c", "copy", "-f", "framecrc", "-"]
    played = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert played.returncode == 0, played.stderr
    lines = played.stdout.splitlines()
    return [sum(line.startswith(f"{index},") for line in lines) for index in range(len(kinds))], played.stderr


@pytest.mark.live
def test_the_timing_model_holds_at_every_poll_of_a_live_stream(origins: Callable[..., Running], ffmpeg: str) -> None:
    """Eight seconds in real time, an encoder killed and another one, to the end."""
    origin = origins(window=6.0, linger=60.0)
    watches = {name: DashWatch(fetcher(origin), stale=1.0) for name in MANIFESTS}
    began = time.time()

    def poll(*, steady: bool = False) -> None:
        for name, watch in watches.items():
            now = time.time()
            if reply := there(origin.get(f"live/{name}")):
                watch.check(reply.text, now, steady=steady)

    with encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)) as first:
        until(lambda: there(origin.get("live/manifest.mpd")))
        while time.time() < began + 9:
            poll(steady=True)
            time.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.wait(GUARD_S)

    def over() -> bool:
        poll()
        last = watches["manifest.mpd"].last
        return last is not None and last.periods[-1].duration is not None

    until(over)
    with encoder(encoder_command(ffmpeg, urls(origin), seconds=4, realtime=True)) as second:

        def ended() -> bool:
            poll()
            return all(watch.last is not None and watch.last.static for watch in watches.values())

        until(ended, 15)
        assert second.wait(GUARD_S) == 0
    timed = watches["manifest.mpd"].last
    assert timed is not None and len(timed.periods) == 2
    assert {len(period.representations) for period in timed.periods} == {3}
    numbered = watches["manifest-number.mpd"]
    assert numbered.last is not None and [one.start for one in numbered.last.periods] == [
        one.start for one in timed.periods
    ]
    kept = {number for _, rung, number in watches["manifest.mpd"].seen if rung == "180p"}
    assert len(kept) >= 10


@pytest.mark.live
def test_number_templates_name_segments_that_are_there_when_they_say(
    origins: Callable[..., Running], ffmpeg: str
) -> None:
    """A client that has the manifest once and asks for every segment at the instant at which it is available."""
    origin = origins()
    with encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)):
        mpd = read_mpd(until(lambda: there(origin.get("live/manifest-number.mpd"))).text)
        period = mpd.periods[0]
        begun = when(mpd.attributes["availabilityStartTime"]) + period.start
        for number in range(period.representations[0].first, period.representations[0].first + 8):
            for one in period.representations:
                assert one.regular is not None
                available = begun + (number - one.first + 1) * one.regular
                time.sleep(max(0.0, float(available) - time.time()))
                assert origin.get(f"live/{one.url(number)}").status == 200, one.url(number)


@pytest.mark.live
def test_ffmpeg_plays_what_has_ended(origins: Callable[..., Running], ffmpeg: str, encoded: dict[str, bytes]) -> None:
    origin = origins()
    for name, data in encoded.items():
        assert origin.post(f"live/{name}", data).status == 200
    for name in MANIFESTS:
        assert frames(ffmpeg, f"{origin.url}/live/{name}") == ([150, 236], "")


@pytest.mark.live
@pytest.mark.parametrize(("name", "kinds"), [("manifest-number.mpd", "va"), ("manifest.mpd", "v")])
def test_ffmpeg_plays_a_live_stream(origins: Callable[..., Running], ffmpeg: str, name: str, kinds: str) -> None:
    """At the pace of the stream: at the live edge, ffmpeg asks for segments that no manifest lists, without a pause.

    Of a timeline, pictures alone: after it has read the manifest again, ffmpeg (9.0.2) looks for its place by whole
    seconds, and reads a segment of sound that starts a little behind one again and again.
    """
    origin = origins()

    def listed() -> bool:
        reply = there(origin.get("live/manifest.mpd"))
        return reply is not None and len(read_mpd(reply.text).periods[0].representations[0].segments) >= 4

    with encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)):
        until(listed)
        found, _ = frames(ffmpeg, f"{origin.url}/live/{name}", "-re", "-t", "6", kinds=kinds)
    assert abs(found[0] - 180) <= 2
    assert kinds == "v" or abs(found[1] - 6 * 48_000 / 1024) <= 3


def test_manifests_have_their_fields(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    assert origin.get("live/manifest.mpd").status == 404
    for name, data in encoded.items():
        origin.post(f"live/{name}", data)
    for name in MANIFESTS:
        reply = origin.get(f"live/{name}")
        assert reply.headers["content-type"] == "application/dash+xml"
        assert reply.headers["cache-control"] == "public, max-age=60"
        assert reply.headers["surrogate-key"] == "live manifest"
        assert reply.headers["access-control-allow-origin"] == "*"
        assert origin.get(f"live/{name}", If_None_Match=reply.headers["etag"]).status == 304
        assert request(f"{origin.url}/live/{name}", "HEAD").body == b""


def test_a_restart_of_the_origin_changes_no_time(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    first = origins()
    for name, data in encoded.items():
        first.post(f"live/{name}", data)
    before = read_mpd(first.get("live/manifest.mpd").text)
    first.stop()
    second = origins()
    after = read_mpd(second.get("live/manifest.mpd").text)
    assert after.periods == before.periods
    assert after.attributes["availabilityStartTime"] == before.attributes["availabilityStartTime"]
    for name, data in encoded.items():
        second.post(f"live/{name}", data)
    assert read_mpd(second.get("live/manifest.mpd").text).periods[0].start == before.periods[0].start


def test_the_clock(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    assert origin.get("live/time").status == 404, "no stream, no clock"
    origin.post("live/180p.cmfv", encoded["180p.cmfv"])
    for method in ("GET", "HEAD"):
        reply = request(f"{origin.url}/live/time", method)
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        assert reply.headers["access-control-allow-origin"] == "*"
    before = time.time()
    told = float(when(origin.get("live/time").text))
    assert before - 0.01 < told < time.time() + 0.01


def test_a_client_behind_an_edge_gets_the_origins_clock(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins()
    origin.post("live/180p.cmfv", encoded["180p.cmfv"])

    async def run() -> None:
        async with running_node(origin.url, Behavior(path="/*")) as node:
            first = await node.get("/live/time")
            await asyncio.sleep(0.01)
            second = await node.get("/live/time")
            assert when(second.body.decode()) > when(first.body.decode()), "no cache stores it"
            assert second.headers.first("age") is None
            await node.get("/live/manifest.mpd")
            stored = await node.get("/live/manifest.mpd")
            assert "; hit" in (stored.headers.first("cache-status") or "")

    asyncio.run(run())
