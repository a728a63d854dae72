"""An origin that is killed with -9 and started again: what was listed is there, and the numbers go on."""

import asyncio
from fractions import Fraction
from pathlib import Path

import pytest

from tests.kit.live_origin import request, until
from tests.kit.looped import LoopedTrack, chunk
from tests.kit.origin_process import OriginProcess
from tests.real.origin.playlists import Watch, read_playlist


@pytest.mark.long
@pytest.mark.parametrize("part", ["", 'part = "500ms"'], ids=["whole", "parts"])
def test_players_go_on_over_a_kill(encoded: dict[str, bytes], tmp_path: Path, part: str) -> None:
    """It is killed in the middle of a segment, three times; an encoder comes back with what is due then."""
    (tmp_path / "run").mkdir()
    origin = OriginProcess(tmp_path / "run", ['segment = "1s"', 'window = "60s"', *([part] if part else [])])
    track = LoopedTrack("180p.cmfv", encoded["180p.cmfv"])
    watch = Watch(lambda uri: _get(origin, uri))
    ends: list[int] = []

    async def run() -> None:
        pieces = track.pieces(Fraction(5), Fraction(1, 2))
        for life in range(3):
            await origin.start()
            if life:  # at once, with what was listed before
                playlist = await asyncio.to_thread(lambda: watch.check(_get(origin, "media.m3u8").decode()))
                assert playlist.segments[-1].number == ends[-1] and not playlist.ended
            address, _, port = origin.ingest.removeprefix("http://").partition(":")
            _, writer = await asyncio.open_connection(address, int(port))
            head = f"POST /ingest/live/180p.cmfv HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head.encode() + chunk(track.header))
            for _ in range(7):  # three segments and a half
                writer.write(chunk(next(pieces).data))
            await writer.drain()
            await asyncio.to_thread(until, lambda: _last(origin) >= (ends[-1] if ends else -1) + 3)
            await origin.kill()
            await origin.start()
            playlist = await asyncio.to_thread(lambda: watch.check(_get(origin, "media.m3u8").decode()))
            ends.append(playlist.segments[-1].number)
            await origin.kill()
            writer.transport.abort()
            next(pieces)  # the encoder's own time goes on: it begins with a key frame
        await origin.start()
        playlist = await asyncio.to_thread(lambda: watch.check(_get(origin, "media.m3u8").decode()))
        # With parts, the half of a segment that players have is there, too, if it was listed before the kill.
        found, each = [one.discontinuity for one in playlist.segments], range(3, 5 if part else 4)
        assert [one.number for one in playlist.segments] == list(range(len(found))), "no number twice, none left out"
        assert found == sorted(found) and all(found.count(life) in each for life in range(3))
        assert not any(one.gap for one in playlist.segments)
        await origin.stop()

    asyncio.run(run())
    assert "Traceback" not in (tmp_path / "run/origin.log").read_text()


def _get(origin: OriginProcess, uri: str) -> bytes:
    reply = request(f"{origin.url}/live/180p/{uri}")
    assert reply.status == 200, (reply.status, uri)
    return reply.body


def _last(origin: OriginProcess) -> int:
    """The last number that is listed; -1: none."""
    reply = request(f"{origin.url}/live/180p/media.m3u8")
    return -1 if reply.status != 200 else read_playlist(reply.text).segments[-1].number
