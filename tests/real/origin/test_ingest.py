"""DASH-IF live media ingest over sockets: real ffmpeg's media, in a request for each segment and in endless ones."""

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.kit.cmaf_sender import Cmaf, CmafSender, box, boxes, prft, styp
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Feeder, Running, encoder, encoder_command, until
from tests.real.origin.test_packagings import frames

TRACKS = {"180p": "180p.cmfv", "audio-64k": "audio-64k.cmfa"}


@pytest.fixture
def cmaf(encoded: dict[str, bytes]) -> dict[str, Cmaf]:
    """As ffmpeg wrote it: five seconds in fragments of half a second."""
    return {track: Cmaf.of(encoded[file]) for track, file in TRACKS.items()}


@pytest.fixture
def locked(encoded: dict[str, bytes]) -> dict[str, Cmaf]:
    """As of encoders whose decode times count from the Unix epoch."""
    now = round(time.time())
    return {track: Cmaf.of(encoded[file], later=now) for track, file in TRACKS.items()}


@pytest.fixture
def senders(origins: Callable[..., Running]) -> Iterator[Callable[..., CmafSender]]:
    with ExitStack() as open_ones:

        def start(origin: Running, **changes: object) -> CmafSender:
            return open_ones.enter_context(closing(CmafSender(origin, **changes)))  # type: ignore[arg-type]

        yield start


def text(origin: Running, track: str) -> str:
    return origin.get(f"live/{track}/media.m3u8").text


def published(origin: Running, track: str) -> bytes:
    """The init section and all segments, as they are."""
    lines = text(origin, track).splitlines()
    init = next(line for line in lines if line.startswith("#EXT-X-MAP")).split('"')[1]
    names = [line for line in lines if line.endswith(".m4s")]
    return b"".join(origin.get(f"live/{track}/{name}").body for name in (init, *names))


def samples(origin: Running, track: str) -> dict[str, int]:
    streams = json.loads(origin.get("").text)["streams"]
    return next(one["samples"] for one in streams[0]["tracks"] if one["name"] == track)


def check_whole(origin: Running, cmaf: dict[str, Cmaf], *, ended: bool = True) -> None:
    """Every frame is published once, in one piece."""
    for track, media in cmaf.items():
        playlist = until(lambda track=track: _if_ended(text(origin, track))) if ended else text(origin, track)
        assert "DISCONTINUITY\n" not in playlist and "GAP" not in playlist
        assert frames(published(origin, track)) == frames(media.endless)


def _if_ended(playlist: str) -> str:
    return playlist if playlist.endswith("#EXT-X-ENDLIST\n") else ""


PATHS = {  # given a track's file and a number, then the path
    "the track's own": lambda file, n: file,
    "a segment's, in the track's folder": lambda file, n: f"{file.partition('.')[0]}/{n}.m4s" if n else file,
    "with the track's extension": lambda file, n: f"{file.partition('.')[0]}/t-{n}.{file.partition('.')[2]}",
    "Streams(), deprecated": lambda file, n: f"Streams({file})",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("chunk", [0, 5000], ids=["whole", "chunked"])
def test_a_segment_a_request(
    origins: Callable[..., Running],
    senders: Callable[..., CmafSender],
    cmaf: dict[str, Cmaf],
    path: Callable[[str, int], str],
    method: str,
    chunk: int,
) -> None:
    origin = origins()
    ways = {track: senders(origin, method=method, chunk=chunk) for track in cmaf}
    for track, media in cmaf.items():
        assert ways[track].send(f"live/{path(TRACKS[track], 0)}", b"").status == 200, "the first request is a question"
        assert ways[track].send(f"live/{path(TRACKS[track], 0)}", media.header).status == 200
    assert json.loads(origin.get("").text)["streams"][0]["tracks"] == []
    for n in range(5):
        for track, media in cmaf.items():
            assert ways[track].send(f"live/{path(TRACKS[track], n + 1)}", media.segments()[n]).status == 200
        if n < 4:
            assert not _if_ended(text(origin, "180p"))
    check_whole(origin, cmaf)
    assert 'AUDIO="audio-64k"' in origin.get("live/multivariant.m3u8").text


def test_an_mpd_names_the_requests(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins()
    mpd = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" availabilityStartTime="1970-01-01T00:00:00Z"><Period>'
        + "".join(
            '<AdaptationSet><SegmentTemplate media="$RepresentationID$-$Number%03d$.m4s" '
            f'initialization="$RepresentationID$-init.mp4"/><Representation id="{track}"/></AdaptationSet>'
            for track in cmaf
        )
        + "</Period></MPD>"
    )
    for track, media in cmaf.items():
        way = senders(origin)
        assert way.send("live/manifest.mpd", mpd.encode()).status == 200
        assert way.send(f"live/{track}-init.mp4", media.header).status == 200
    for track, media in cmaf.items():
        way = senders(origin)
        assert way.send_all([f"live/{track}-{n:03}.m4s" for n in range(5)], media.segments()) == [200] * 5
    check_whole(origin, cmaf)


def test_the_names_of_an_mpd_survive_a_restart(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    """A source sends the MPD when it starts, and not because the origin did."""
    mpd = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" availabilityStartTime="1970-01-01T00:00:00Z"><Period><AdaptationSet>'
        '<SegmentTemplate media="$RepresentationID$-$Number$.m4s" initialization="$RepresentationID$-init.mp4"/>'
        '<Representation id="180p"/></AdaptationSet></Period></MPD>'
    )
    origin, media = origins(), cmaf["180p"]
    way = senders(origin)
    assert way.send("live/manifest.mpd", mpd.encode()).status == 200
    assert way.send("live/180p-init.mp4", media.header).status == 200
    assert way.send_all([f"live/180p-{n}.m4s" for n in range(3)], media.segments()[:3]) == [200] * 3
    origin.stop()
    origin = origins()
    way = senders(origin)
    assert way.send("live/180p-3.m4s", media.segments()[3]).status == 412, "its init section again"
    assert way.send("live/180p-init.mp4", media.header).status == 200
    assert way.send("live/180p-3.m4s", media.segments()[3]).status == 200
    assert [one["name"] for one in json.loads(origin.get("").text)["streams"][0]["tracks"]] == ["180p"]


def test_mpds_that_are_none(origins: Callable[..., Running], senders: Callable[..., CmafSender]) -> None:
    """They belong to interface 2: a presentation is an object, and what is none is refused there."""
    origin = origins()
    assert senders(origin).send("live/a.mpd", b"<!DOCTYPE a><MPD/>").status == 400
    assert senders(origin, chunk=2**16).send("live/a.mpd", bytes(2**20)).status == 400
    assert senders(origin).send("live/a.mpd", b"<MPD/>").status == 201


def test_media_without_its_header_is_412_and_the_sender_sends_it_again(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins()
    media = cmaf["180p"]
    way = senders(origin)
    reply = way.send("live/180p.cmfv", media.segments()[0])
    assert reply.status == 412 and "wanted an init section" in reply.text
    assert '"streams": []' in origin.get("").text
    way.close()  # an answer of 4xx ends the connection
    assert way.send_all(["live/180p.cmfv"] * 6, [media.header, *media.segments()]) == [200] * 6
    check_whole(origin, {"180p": media})
    assert way.send("live/180p.cmfv", media.segments()[-1]).status == 412, "the track has ended"


def test_what_a_broken_connection_sent_is_sent_again(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    """In the middle of a segment, after its first fragment; on a new connection, the header first."""
    origin = origins()
    for track, media in cmaf.items():
        path, segments = f"live/{TRACKS[track]}", media.segments()
        way = senders(origin)
        assert way.send_all([path] * 3, [media.header, *segments[:2]]) == [200] * 3
        way.break_off(path, segments[2][:-100])
        assert way.send_all([path] * 5, [media.header, *segments[1:]]) == [200] * 5
    check_whole(origin, cmaf)
    assert samples(origin, "180p") == {"received": 150, "published": 150, "refused": 0, "repeated": 45}


def test_requests_out_of_order_on_a_connection_each(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins()
    media = cmaf["180p"]
    assert senders(origin).send("live/180p.cmfv", media.header).status == 200
    for n in (0, 2, 1, 1, 3, 4):
        assert senders(origin).send(f"live/180p/{n}.cmfv", media.segments()[n]).status == 200
    check_whole(origin, {"180p": media})


def test_a_segment_that_never_comes_is_a_discontinuity(
    origins: Callable[..., Running],
    senders: Callable[..., CmafSender],
    cmaf: dict[str, Cmaf],
    caplog: pytest.LogCaptureFixture,
) -> None:
    origin = origins(segment=0.5, window=30.0)
    media = cmaf["180p"]
    way = senders(origin)
    segments = media.segments(ends=False)
    assert way.send_all(["live/180p.cmfv"] * 5, [media.header, *segments[:2], *segments[3:]]) == [200] * 5
    playlist = until(lambda: (t := text(origin, "180p")).count("DISCONTINUITY\n") == 1 and t)
    assert playlist.count("#EXTINF") == 3
    assert "live/180p: nothing came for 2.000 s to 3.000 s: a discontinuity" in caplog.text
    assert way.send("live/180p.cmfv", segments[2]).status == 200, "too late, and no jump"
    assert samples(origin, "180p") == {"received": 150, "published": 90, "refused": 30, "repeated": 0}


def test_a_sender_of_segments_that_falls_silent_is_interrupted(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins(segment=0.5, window=30.0, ingest_stalled=0.1)
    media = cmaf["180p"]
    segments = media.segments()
    way = senders(origin)
    assert way.send_all(["live/180p.cmfv"] * 2, [media.header, segments[0]]) == [200] * 2
    until(lambda: samples(origin, "180p")["published"] == 30)
    assert not _if_ended(text(origin, "180p"))
    assert way.send("live/180p.cmfv", segments[1]).status == 412
    way.close()
    assert way.send_all(["live/180p.cmfv"] * 5, [media.header, *segments[1:]]) == [200] * 5
    assert _if_ended(text(origin, "180p")).count("DISCONTINUITY\n") == 1


@pytest.mark.parametrize("end", [styp(b"msdh", b"lmsg"), box(b"mfra")], ids=["lmsg", "mfra"])
def test_what_ends_a_track(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf], end: bytes
) -> None:
    origin = origins()
    media = cmaf["180p"]
    segments = media.segments(ends=False)
    way = senders(origin)
    assert way.send_all(["live/180p.cmfv"] * 5, [media.header, *segments[:4]]) == [200] * 5
    assert not _if_ended(text(origin, "180p"))
    last = end if end.endswith(b"mfra") else end + b"".join(media.fragments[8:])
    assert way.send_all(["live/180p.cmfv"] * 2, [segments[4], last]) == [200] * 2
    check_whole(origin, {"180p": media})


def test_filler_is_media_and_an_empty_request_is_nothing(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins()
    media = cmaf["180p"]
    bodies = [media.header]
    for n, segment in enumerate(media.segments()):
        bodies += [b"", segment.replace(b"msix", b"slat", 1) if n == 2 else segment]
    assert senders(origin).send_all(["live/180p.cmfv"] * 11, bodies) == [200] * 11
    check_whole(origin, {"180p": media})


def test_prft_and_emsg_are_passed_on(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    """Also where a fragment is cut in two: the sound's are."""
    origin = origins()
    for track, media in cmaf.items():
        marked = [prft(n, n) + box(b"emsg", b"event %d" % n) + fragment for n, fragment in enumerate(media.fragments)]
        sent = Cmaf(media.header, marked)
        assert senders(origin).send_all([f"live/{TRACKS[track]}"] * 2, [sent.header, sent.segments(11)[0]]) == [200] * 2
        out = until(lambda track=track: _if_ended(text(origin, track)) and published(origin, track))
        assert [out.count(b"event %d" % n) for n in range(len(marked))] == [1] * len(marked)
        assert out.count(b"prft") == len(marked)
        assert frames(out) == frames(media.endless)


def test_redundant_encoders_and_one_dies(origins: Callable[..., Running], locked: dict[str, Cmaf]) -> None:
    """Two endless requests a track: no frame twice, none missing, no discontinuity; then the first comes back."""
    origin = origins()
    for track, media in locked.items():
        path = f"live/{TRACKS[track]}"
        one, other = Feeder(origin, path), Feeder(origin, path, "PUT")
        one.send(media.header + b"".join(media.fragments[:3]))
        other.send(media.header + b"".join(media.fragments[:2]))
        one.send(media.fragments[3])
        until(lambda track=track: samples_if(origin, track, received=3))
        one.break_off()
        other.send(b"".join(media.fragments[2:7]))
        back = Feeder(origin, path)
        back.send(media.header + b"".join(media.fragments[5:]))
        other.send(b"".join(media.fragments[7:]))
        assert other.end().status == 200
        assert back.end().status == 200
    check_whole(origin, locked)


def samples_if(origin: Running, track: str, *, received: int) -> bool:
    """Whether the track has that many samples at least; before its first segment, nobody can tell."""
    tracks = [one for stream in json.loads(origin.get("").text)["streams"] for one in stream["tracks"]]
    return any(one["name"] == track and one["samples"]["received"] >= received for one in tracks)


def test_redundant_encoders_with_a_request_a_segment(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], locked: dict[str, Cmaf]
) -> None:
    """Each loses another segment."""
    origin = origins()
    for track, media in locked.items():
        path = f"live/{TRACKS[track]}"
        one, other = senders(origin), senders(origin)
        for way in (one, other):
            assert way.send(path, media.header).status == 200
        for n, segment in enumerate(media.segments()):
            for way, lost in ((one, 1), (other, 3)):
                if n != lost:
                    assert way.send(path, segment).status == 200
    check_whole(origin, locked)


def test_an_endless_request_that_breaks_and_goes_on(origins: Callable[..., Running], cmaf: dict[str, Cmaf]) -> None:
    """Both tracks of one encoder lose their connections, and come back one after the other."""
    origin = origins()
    first = {track: Feeder(origin, f"live/{TRACKS[track]}") for track in cmaf}
    for track, media in cmaf.items():
        first[track].send(media.header + b"".join(media.fragments[:5]))
    for track in cmaf:
        until(lambda track=track: samples_if(origin, track, received=1))
        first[track].break_off()
    for track, media in cmaf.items():
        second = Feeder(origin, f"live/{TRACKS[track]}")
        second.send(media.header + b"".join(media.fragments[3:]))
        assert second.end().status == 200
    check_whole(origin, cmaf)


def test_a_stream_that_stops_for_good_is_published_to_its_end(
    origins: Callable[..., Running], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins(segment=1.0)
    media = cmaf["180p"]
    feeder = Feeder(origin, "live/180p.cmfv")
    feeder.send(media.header + b"".join(media.fragments[:5]))
    until(lambda: samples_if(origin, "180p", received=75))
    feeder.break_off()
    until(lambda: samples(origin, "180p")["published"] == 75)
    assert not _if_ended(text(origin, "180p"))


@pytest.mark.live
@pytest.mark.long
def test_two_ffmpegs_that_send_the_same_and_one_is_killed(origins: Callable[..., Running], ffmpeg: str) -> None:
    """Decode times from the Unix epoch: `-output_ts_offset`, and `frag_discont`, without which they begin at zero."""
    origin = origins()
    urls = {track: f"{origin.ingest}/ingest/live/{file}" for track, file in TRACKS.items()}
    command = encoder_command(ffmpeg, urls, seconds=6, realtime=True)
    epoch = str(round(time.time()))
    for at in reversed([n for n, word in enumerate(command) if word == "-f" and command[n + 1] == "mp4"]):
        command[at:at] = ["-output_ts_offset", epoch]
    command = [f"{word}+frag_discont" if word.startswith("+cmaf") else word for word in command]
    with encoder(command) as one, encoder(command) as other:
        until(lambda: samples_if(origin, "180p", received=60) and samples_if(origin, "audio-64k", received=60))
        one.kill()
        assert other.wait(GUARD_S) == 0
    for track, step in (("180p", 512), ("audio-64k", 1024)):
        playlist = until(lambda track=track: _if_ended(text(origin, track)))
        assert "DISCONTINUITY\n" not in playlist and "GAP" not in playlist
        times = [time for time, _, _ in frames(published(origin, track))]
        assert {after - before for before, after in itertools.pairwise(times)} == {step}
    pictures = samples(origin, "180p")
    assert (pictures["received"], pictures["published"], pictures["refused"]) == (180, 180, 0)
    assert pictures["repeated"] >= 30


def test_a_camera_that_sends_its_first_segment_before_its_header(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], cmaf: dict[str, Cmaf]
) -> None:
    """And that one again at last, as an encoder does that makes up for what it lost."""
    origin = origins()
    media = cmaf["180p"]
    first, *segments, last = media.segments()
    assert senders(origin, method="PUT").send("live/180p/segment_1001.cmfv", first).status == 412
    way = senders(origin, method="PUT")
    names = ["init.cmfv", *(f"segment_{1002 + n}.m4s" for n in range(3)), "segment_1001.m4s", "segment_1005.m4s"]
    bodies = [media.header, *segments, first, last]
    assert way.send_all([f"live/180p/{name}" for name in names], bodies) == [200] * 6
    assert _if_ended(text(origin, "180p")).count("#EXTINF") == 4
    assert samples(origin, "180p") == {"received": 150, "published": 120, "refused": 30, "repeated": 0}


def test_an_endless_request_that_is_closed_by_mfra_and_hung_up(
    origins: Callable[..., Running], cmaf: dict[str, Cmaf]
) -> None:
    origin = origins()
    media = cmaf["180p"]
    feeder = Feeder(origin, "live/180p.cmfv")
    feeder.send(media.endless + box(b"mfra"))
    until(lambda: samples_if(origin, "180p", received=150))
    feeder.break_off()
    check_whole(origin, {"180p": media})


@pytest.mark.live
def test_a_producer_reference_time_before_each_frame(
    origins: Callable[..., Running], senders: Callable[..., CmafSender], ffmpeg: str, tmp_path: Path
) -> None:
    """Chunks of one frame, as low-latency encoders make them: of a segment a request, and of an endless one."""
    command = encoder_command(ffmpeg, {"180p": f"file:{tmp_path / 'v.mp4'}"}, seconds=4, fragment_us=1)
    at = command.index("-frag_duration")
    command[at:at] = ["-write_prft", "wallclock"]
    command = [f"{word}+frag_every_frame" if word.startswith("+cmaf") else word for word in command]
    subprocess.run(command, check=True, timeout=GUARD_S)
    data = (tmp_path / "v.mp4").read_bytes()
    chunks = [whole for kind, whole in boxes(data) if kind in (b"prft", b"moof", b"mdat")]
    assert len(chunks) == 3 * 120
    media = Cmaf(Cmaf.of(data).header, [b"".join(chunks[n : n + 3]) for n in range(0, 360, 3)])
    origin = origins()
    assert senders(origin, chunk=3000).send_all(
        ["live/180p.cmfv"] * 5, [media.header, *media.segments(30)]
    ) == [200] * 5  # fmt: skip
    assert origin.post("live/endless.cmfv", data).status == 200
    for track in ("180p", "endless"):
        out = until(lambda track=track: _if_ended(text(origin, track)) and published(origin, track))
        assert frames(out) == frames(data)
        assert [whole for kind, whole in boxes(out) if kind == b"prft"] == chunks[::3]
