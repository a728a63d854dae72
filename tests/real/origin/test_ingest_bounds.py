"""What encoders may use of an origin: on, under and over each bound, and nobody else suffers."""

import asyncio
import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from cdnkit.settings.origin import Origin
from origin.ingest.open_requests import OpenRequests
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Feeder, Running, pieces, request, until


def _open(origin: Running) -> int:
    """Tracks that have sent their first fragment."""
    return origin.get("").text.count('"codec"')


def test_so_many_requests_are_open_and_one_more_is_told(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins(ingest_limits={"requests": 2})
    init, *fragments = pieces(encoded["180p.cmfv"])
    feeders = [Feeder(origin, f"live/{number}.cmfv") for number in range(2)]
    for feeder in feeders:
        feeder.send(init + fragments[0])
    until(lambda: _open(origin) == 2)
    reply = origin.post("live/more.cmfv", encoded["180p.cmfv"])
    assert reply.status == 429 and reply.headers["retry-after"] == "1"
    assert "found 2 open requests, wanted at most 2 (ingest_limits.requests)" in reply.text
    for feeder in feeders:
        feeder.send(b"".join(fragments[1:]))
        assert feeder.end().status == 200
    assert origin.post("live/more.cmfv", encoded["180p.cmfv"]).status == 200


def test_a_request_that_fails_gives_its_place_back() -> None:
    async def run() -> None:
        async def fails(scope: object, receive: object, send: object) -> None:
            raise OSError

        bounded = OpenRequests(fails, 1)
        for _ in range(3):
            with pytest.raises(OSError):
                await bounded({"type": "http"}, None, None)  # type: ignore[arg-type]

    asyncio.run(run())


def test_so_many_tracks_and_streams(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(ingest_limits={"tracks": 2, "streams": 2})
    begun = b"".join(pieces(encoded["180p.cmfv"])[:2])
    feeders = [Feeder(origin, f"{path}.cmfv") for path in ("a/1", "a/2", "b/1")]
    for feeder in feeders:
        feeder.send(begun)
    until(lambda: _open(origin) == 3)
    reply = origin.post("a/3.cmfv", encoded["180p.cmfv"])
    assert (reply.status, reply.text) == (429, "a/3: found 2 tracks, all in use, wanted at most 2.\n")
    reply = origin.post("c/1.cmfv", encoded["180p.cmfv"])
    assert (reply.status, reply.text) == (429, "c: found 2 streams, all in use, wanted at most 2.\n")
    feeders[-1].break_off()
    until(lambda: origin.post("c/1.cmfv", encoded["180p.cmfv"]).status == 200)


@pytest.mark.parametrize("chunked", [False, True], ids=["no length", "chunked"])
def test_a_question_takes_nobodys_place(
    origins: Callable[..., Running], encoded: dict[str, bytes], chunked: bool
) -> None:
    """A request without media, however HTTP says so: only media make an idle stream or track go."""
    origin = origins(ingest_limits={"tracks": 1, "streams": 1}, ingest_stalled=0.5)
    assert origin.post("a/1.cmfv", encoded["180p.cmfv"]).status == 200
    until(lambda: "seg-" in origin.get("a/1/media.m3u8").text)
    time.sleep(1.1)  # a stream is idle from the second after the one in which it began
    for path in ("b/1.cmfv", "a/2.cmfv"):
        feeder = Feeder(origin, path) if chunked else None
        assert (feeder.end() if feeder else origin.post(path, b"")).status == 200
        assert origin.get("a/1/media.m3u8").status == 200
    gone = Feeder(origin, "b/1.cmfv")
    gone.break_off()
    silent = Feeder(origin, "b/1.cmfv")
    assert silent.reply().status == 408, "nobody waits for ever for the first byte"
    assert origin.get("a/1/media.m3u8").status == 200
    assert origin.post("b/1.cmfv", encoded["180p.cmfv"]).status == 200
    assert origin.get("a/1/media.m3u8").status == 404


def test_so_many_connections_from_one_address(origins: Callable[..., Running]) -> None:
    origin = origins(ingest_limits={"connections": 2})
    parts = urlsplit(origin.ingest)
    held = [http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=GUARD_S) for _ in range(2)]
    for one in held:
        one.request("POST", "/ingest/live/a.cmfv", b"")
        assert one.getresponse().read() == b""
    reply = request(f"{origin.ingest}/ingest/live/a.cmfv", "POST", body=b"")
    assert (reply.status, reply.text) == (429, "429 limit: 2 connections are open from this address\n")
    for one in held:
        one.close()
    until(lambda: request(f"{origin.ingest}/ingest/live/a.cmfv", "POST", body=b"").status == 200)


def test_the_memory_of_all_requests_is_bounded_and_who_hoards_goes(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    """Each keeps to `largest`; together they would not keep to the memory."""
    origin = origins(largest="1MiB", ingest_limits={"memory": "1MiB"})
    init, *fragments = pieces(encoded["180p.cmfv"])
    honest = Feeder(origin, "live/180p.cmfv")
    honest.send(init + fragments[0])

    def hoard(name: str, size: int) -> Feeder:
        feeder = Feeder(origin, f"{name}/180p.cmfv")
        feeder.send(init + fragments[0] + (2**20).to_bytes(4, "big") + b"free" + bytes(size))
        return feeder

    small, large = hoard("small", 300_000), hoard("large", 600_000)
    until(lambda: _open(origin) == 3)
    honest.send(fragments[1])
    more = hoard("more", 500_000)
    reply = large.reply()
    assert reply.status == 429, "who holds most, not who asks last"
    assert "large/180p: found" in reply.text and f"wanted at most {2**20} in all" in reply.text
    for feeder in (small, more):
        feeder.break_off()
    honest.send(b"".join(fragments[2:]))
    assert honest.end().status == 200
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXTINF") == 5 and text.endswith("#EXT-X-ENDLIST\n")


def test_what_tracks_hold_between_their_requests_counts_too(
    origins: Callable[..., Running], encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """A request for each segment, and no segment of the origin's is whole: it is held, and nobody is connected."""
    origin = origins(segment=10.0, ingest_limits={"memory": "1MiB"})
    init, *fragments = pieces(encoded["180p.cmfv"])
    for number in range(12):
        assert origin.post(f"live-{number}/180p.cmfv", init).status == 200
        assert origin.post(f"live-{number}/180p.cmfv", b"".join(fragments[: 4 - (number > 0)])).status == 200
    broken_off = [one.getMessage() for one in caplog.records if "broken off" in one.getMessage()]
    assert broken_off and broken_off[0].startswith("live-0/180p: found "), "who holds most"
    assert "wanted at most 1048576 in all (ingest_limits.memory); the track is broken off" in broken_off[0]
    until(lambda: origin.get("live-0/180p/media.m3u8").status == 200)
    assert origin.get("live-11/180p/media.m3u8").status == 404, "the others are not"


def test_objects_that_are_on_their_way_count_too(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    """What is not in a file yet. An encoder that holds less goes on, whichever interface it uses."""
    origin = origins(ingest_limits={"memory": "1MiB"})
    init, *fragments = pieces(encoded["180p.cmfv"])
    track = Feeder(origin, "live/180p.cmfv")
    track.send(init + fragments[0])
    small, large = (Feeder(origin, f"{name}/live0.ts", "PUT") for name in ("small", "large"))
    small.send(bytes(300_000))
    large.send(bytes(600_000))
    until(lambda: '"bytes": 300000' in origin.get("").text and '"bytes": 600000' in origin.get("").text)
    hoard = Feeder(origin, "more/180p.mp4", "PUT")
    hoard.send((400_000).to_bytes(4, "big") + b"free" + bytes(150_000))
    reply = large.reply()
    assert reply.status == 429 and "large/live0.ts: found" in reply.text
    assert f"wanted at most {2**20} in all (ingest_limits.memory)" in reply.text
    assert small.end().status == 201, "who holds most, not who asks last"
    track.send(b"".join(fragments[1:]))
    assert track.end().status == 200
    hoard.break_off()


def test_an_object_holds_no_more_than_what_is_in_no_file_yet(origins: Callable[..., Running]) -> None:
    origin = origins(ingest_limits={"memory": "3MiB"})
    reply = request(f"{origin.ingest}/ingest/live/live0.ts", "PUT", body=bytes(16 * 2**20))
    assert reply.status == 201


def test_the_defaults_take_fifty_streams_of_eight_tracks_from_one_address() -> None:
    limits = Origin().ingest_limits
    assert min(limits.requests, limits.connections) >= 50 * 8 * 2, "each encoder may come back before it is missed"
    assert limits.memory >= 50 * 8 * 2**20, "a megabyte is four seconds at 2 Mbit/s"
