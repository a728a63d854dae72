"""HLS with MPEG-TS segments, read by real programs: the same frames as the fMP4, at the same times."""

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection
from origin.mpegts.elementary import read_codec
from origin.mpegts.segments import OFFSET, remux
from tests.kit.live_origin import Feeder, Running, pieces, request, until
from tests.kit.mpegts import TsReader, adts_frames
from tests.real.origin.test_packagings import frames

pytestmark = pytest.mark.live

Frames = list[tuple[Fraction, str]]
"""(presentation time in seconds, hash of the decoded frame)."""


def decoded(ffmpeg: str, source: Path | str, *, audio: bool = False, options: Sequence[str] = ()) -> Frames:
    """Every frame that ffmpeg decodes; whatever it warns of is an error. `options` are those of the input."""
    kind = ["-vn", "-f", "framemd5"] if audio else ["-an", "-f", "framemd5"]
    # The decoder's own frames, no edit list applied, and the container's times.
    command = [
        ffmpeg,
        "-nostdin",
        "-hide_banner",
        "-v",
        "warning",
        "-copyts",
        *options,
        "-i",
        str(source),
        "-fps_mode",
        "vfr",
    ]
    command += ["-enc_time_base", "1:90000", *kind, "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert done.stderr == "", "warnings"
    base = re.search(r"#tb 0: (\d+)/(\d+)", done.stdout)
    assert base is not None
    rows = [line.split(",") for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return [(Fraction(int(row[2]) * int(base[1]), int(base[2])), row[5].strip()) for row in rows]


def remuxed(body: bytes, per_segment: int = 2) -> bytes:
    """The TS segments of an encoder's body, one after the other, as a player reads them."""
    init, *rest = FragmentReader(2**26).feed(body)
    assert isinstance(init, InitSection)
    codec = read_codec(init.data)
    fragments = [one for one in rest if isinstance(one, Fragment)]
    return b"".join(
        remux(
            init.data, codec, b"".join(one.data for one in fragments[at : at + per_segment]), at // per_segment, 2**26
        )
        for at in range(0, len(fragments), per_segment)
    )


@pytest.mark.parametrize("name", ["180p.cmfv", "90p.cmfv", "audio-64k.cmfa"])
def test_ffmpeg_decodes_the_same_frames_at_the_same_times(
    ffmpeg: str, encoded: Mapping[str, bytes], tmp_path: Path, name: str
) -> None:
    (tmp_path / "one.mp4").write_bytes(encoded[name])
    (tmp_path / "one.ts").write_bytes(remuxed(encoded[name]))
    audio = name.startswith("audio")
    wanted = decoded(ffmpeg, tmp_path / "one.mp4", audio=audio)
    got = decoded(ffmpeg, tmp_path / "one.ts", audio=audio)
    assert [frame for _, frame in got] == [frame for _, frame in wanted]
    assert len(got) >= 150
    # ffmpeg shows pictures whose fMP4 has negative composition offsets later by the largest of them.
    late = wanted[0][0]
    assert got[0][0] == Fraction(OFFSET, 90_000)
    for (at, _), (meant, _) in zip(got, wanted, strict=True):
        assert abs(at - got[0][0] - meant + late) <= Fraction(1, 45_000)


# ---- as it is served -------------------------------------------------------------------------------------------------

TRACKS = ("180p", "90p", "audio-64k")


def publish(origin: Running, encoded: Mapping[str, bytes], stream: str = "live") -> None:
    """Posts all tracks to their end, as one encoder does."""
    feeders = [Feeder(origin, f"{stream}/{name}") for name in encoded]
    for feeder, data in zip(feeders, encoded.values(), strict=True):
        feeder.send(data)
    for feeder in feeders:
        assert feeder.end().status == 200
    until(
        lambda: all("ENDLIST" in origin.get(f"{stream}/{name.partition('.')[0]}/media.m3u8").text for name in encoded)
    )


def listed(origin: Running, path: str) -> list[str]:
    """URIs of a playlist; none where there is none yet."""
    reply = origin.get(path)
    return [line for line in reply.text.splitlines() if not line.startswith("#")] if reply.status == 200 else []


def test_every_class_has_its_fields(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    publish(origin, encoded)
    segment = listed(origin, "live/180p/ts.m3u8")[0]
    year, minute = "public, max-age=31536000, immutable", "public, max-age=60"
    hls = "application/vnd.apple.mpegurl"
    for path, media_type, control, key in [
        ("live/multivariant-ts.m3u8", hls, minute, "live multivariant"),
        ("live/180p/ts.m3u8", hls, minute, "live live/180p media-playlist"),
        (f"live/180p/{segment}", "video/mp2t", year, "live live/180p segment"),
        (f"live/audio-64k/{segment}", "video/mp2t", year, "live live/audio-64k segment"),
    ]:
        reply = origin.get(path)
        assert reply.status == 200
        fields = reply.headers
        assert (fields["content-type"], fields["cache-control"]) == (media_type, control)
        assert fields["surrogate-key"] == key
        assert fields["etag"].startswith('"')
        head = request(f"{origin.url}/{path}", "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(reply.body)))
        assert origin.get(path, If_None_Match=fields["etag"]).status == 304
        part = origin.get(path, Range="bytes=100-199")
        assert (part.status, part.body) == (206, reply.body[100:200])
        assert origin.get(path, Range="bytes=100-199", If_Range='"other"').body == reply.body


def test_the_same_segments_and_the_rules_hold_over_all_of_them(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins(memory=0)  # each is made anew from what is stored
    publish(origin, encoded)
    for track in TRACKS:
        fmp4, ts = origin.get(f"live/{track}/media.m3u8").text, origin.get(f"live/{track}/ts.m3u8").text
        tags = [line for line in fmp4.splitlines() if not line.startswith(("#EXT-X-MAP", "#EXT-X-VERSION"))]
        assert [line for line in ts.splitlines() if line != "#EXT-X-VERSION:3"] == [
            t.replace(".m4s", ".ts") for t in tags
        ]
        reader = TsReader()
        for name in listed(origin, f"live/{track}/ts.m3u8"):
            reader.read(origin.get(f"live/{track}/{name}").body)


def test_ffmpeg_plays_sound_and_picture_in_step(
    origins: Callable[..., Running], encoded: dict[str, bytes], ffmpeg: str
) -> None:
    """The whole stream over HTTP, as a player reads it: every frame, both from the same instant on."""
    origin = origins()
    publish(origin, encoded)
    command = [ffmpeg, "-nostdin", "-hide_banner", "-v", "warning", "-i", f"{origin.url}/live/multivariant-ts.m3u8"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    first = {}
    for track in TRACKS:
        audio = track.startswith("audio")
        wanted, got = (decoded(ffmpeg, f"{origin.url}/live/{track}/{one}.m3u8", audio=audio) for one in ("media", "ts"))
        assert [frame for _, frame in got] == [frame for _, frame in wanted]
        assert len(got) >= (230 if audio else 150)
        first[track] = got[0][0]
    assert first["180p"] == first["90p"]
    assert abs(first["audio-64k"] - first["180p"]) < Fraction(1, 40)


def test_what_a_transport_stream_does_not_carry_is_left_out(
    origins: Callable[..., Running], encoded: dict[str, bytes], ffmpeg: str, tmp_path: Path
) -> None:
    origin = origins()
    command = [ffmpeg, "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=r=48000:d=5", "-c:a", "libopus"]
    command += ["-f", "mp4", "-movflags", "cmaf+empty_moov", "-frag_duration", "500000", str(tmp_path / "opus.mp4")]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    publish(origin, {**encoded, "opus.cmfa": (tmp_path / "opus.mp4").read_bytes()})
    assert "opus/media.m3u8" in origin.get("live/multivariant.m3u8").text
    assert "opus" not in origin.get("live/multivariant-ts.m3u8").text
    assert origin.get("live/opus/ts.m3u8").status == 404
    name = listed(origin, "live/opus/media.m3u8")[0].replace(".m4s", ".ts")
    reply = origin.get(f"live/opus/{name}")
    assert (reply.status, "H.264 or AAC" in reply.text) == (404, True)
    for path in [
        "live/180p/seg-1-0.ts",
        "live/none/ts.m3u8",
        "none/multivariant-ts.m3u8",
        "live/180p/seg-1-x.ts",
        "a/b/c.ts",
    ]:
        assert origin.get(path).status == 404


def test_a_segment_that_cannot_be_made_is_a_gap(
    origins: Callable[..., Running], encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Its NAL units are cut; the fMP4 is served as it came."""
    origin = origins()
    broken = bytearray(encoded["180p.cmfv"])
    third = [m.start() for m in re.finditer(b"mdat", broken)][4]
    broken[third + 4 : third + 8] = b"\x7f\xff\xff\xff"
    publish(origin, {**encoded, "180p.cmfv": bytes(broken)})
    names = listed(origin, "live/180p/ts.m3u8")
    replies = [origin.get(f"live/180p/{name}") for name in names]
    assert [reply.status for reply in replies] == [200, 200, 404, 200, 200]
    assert "found a NAL unit of 2147483647 bytes" in replies[2].text
    text = origin.get("live/180p/ts.m3u8").text
    assert text.count("#EXT-X-GAP") == 1
    assert re.search(rf"#EXT-X-GAP\n#EXTINF:[0-9.]+,\n{names[2]}\n", text)
    assert "#EXT-X-GAP" not in origin.get("live/180p/media.m3u8").text
    assert sum("listed as a gap" in record.getMessage() for record in caplog.records) == 1


def test_many_requests_make_a_segment_once_and_a_restart_makes_the_same(
    origins: Callable[..., Running], encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counting(*args: Any) -> bytes:
        made.append(args[3])
        return remux(*args)

    monkeypatch.setattr("origin.mpegts.alternative.remux", counting)
    origin = origins()
    publish(origin, encoded)
    path = f"live/180p/{listed(origin, 'live/180p/ts.m3u8')[1]}"
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: origin.get(path), range(48)))
    assert len({(reply.status, reply.body, reply.headers["etag"]) for reply in replies}) == 1
    assert made == [1]
    origin.stop()
    again = origins().get(path)
    assert (again.status, again.body, again.headers["etag"]) == (200, replies[0].body, replies[0].headers["etag"])


def test_what_has_expired_is_gone_as_mpegts_too(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(window=3.0, linger=0.0)
    feeder = Feeder(origin, "live/180p.cmfv")
    parts = pieces(encoded["180p.cmfv"])
    feeder.send(b"".join(parts[:4]))
    first = until(lambda: listed(origin, "live/180p/ts.m3u8"))[0]
    assert origin.get(f"live/180p/{first}").status == 200
    feeder.send(b"".join(parts[4:]))
    assert feeder.end().status == 200
    until(lambda: origin.get(f"live/180p/{first.replace('.ts', '.m4s')}").status == 404)
    assert origin.get(f"live/180p/{first}").status == 404
    assert first not in listed(origin, "live/180p/ts.m3u8")


def test_an_encoder_that_starts_again(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    publish(origin, encoded)
    publish(origin, encoded)
    until(lambda: "#EXT-X-DISCONTINUITY\n" in origin.get("live/180p/ts.m3u8").text)
    text = origin.get("live/180p/ts.m3u8").text
    names = listed(origin, "live/180p/ts.m3u8")
    starts = [TsReader().read(origin.get(f"live/180p/{name}").body).pes[0].pts for name in names]
    back = [number for number in range(1, len(names)) if starts[number] < starts[number - 1]]
    assert len(back) == 1
    assert re.search(rf"#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM[^\n]*\n#EXTINF[^\n]*\n{names[back[0]]}", text)


CUT = "+frag_keyframe+empty_moov+default_base_moof"
ENCODINGS = [  # extension, encoder, movflags
    ("cmfv", ["-bf", "3", "-x264-params", "b-pyramid=normal"], CUT),  # an edit list
    ("cmfv", ["-bf", "3"], f"{CUT}+cmaf"),  # negative composition offsets
    ("cmfv", ["-bf", "2", "-x264-params", "open-gop=1"], CUT),
    ("cmfv", ["-bf", "0"], CUT),
    ("cmfv", ["-bf", "2", "-x264-params", "aud=1:slices=4"], CUT),
    ("cmfv", ["-bf", "2", "-bsf:v", "dump_extra=freq=keyframe"], CUT),  # parameter sets in the init section and in band
    ("cmfv", ["-bf", "2", "-bsf:v", "filter_units=remove_types=6"], CUT),
    ("cmfa", ["-c:a", "aac", "-ar", "44100"], "+empty_moov+default_base_moof"),  # priming in an edit list
    ("cmfa", ["-c:a", "aac", "-ar", "22050", "-ac", "1", "-b:a", "16k"], "+cmaf+empty_moov"),
    ("cmfa", ["-c:a", "aac", "-ac", "6"], "+cmaf+empty_moov"),
]


@pytest.mark.parametrize(("extension", "how", "movflags"), ENCODINGS)
def test_any_encoding_has_the_times_and_frames_of_its_fmp4(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path, extension: str, how: list[str], movflags: str
) -> None:
    sound = extension == "cmfa"
    source = "sine=r=48000:d=5" if sound else "testsrc2=s=160x90:r=30000/1001:d=5"
    command = [ffmpeg, "-nostdin", "-v", "error", "-f", "lavfi", "-i", source]
    command += [] if sound else ["-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-pix_fmt", "yuv420p"]
    command += [*how, "-f", "mp4", "-movflags", movflags, "-frag_duration", "1000000", str(tmp_path / "it")]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    origin = origins()
    publish(origin, {f"it.{extension}": (tmp_path / "it").read_bytes()})
    text = origin.get("live/it/media.m3u8").text
    names = [re.findall('URI="([^"]+)"', text)[0], *listed(origin, "live/it/media.m3u8")]
    fmp4 = b"".join(origin.get(f"live/it/{name}").body for name in names)
    (tmp_path / "it.mp4").write_bytes(fmp4)
    reader, segments = TsReader(), [origin.get(f"live/it/{name}").body for name in listed(origin, "live/it/ts.m3u8")]
    (tmp_path / "it.ts").write_bytes(b"".join(segments))
    streams = [reader.read(one) for one in segments]
    init = next(FragmentReader(2**26).feed(fmp4))
    assert isinstance(init, InitSection)
    wanted = [Fraction(start + shift, init.track.timescale) for start, shift, _ in frames(fmp4)]
    pes = [one for stream in streams for one in stream.pes]
    got = [pts for stream in streams for pts, _ in adts_frames(stream)] if sound else [one.pts for one in pes]
    assert len(got) == len(wanted)
    assert max(abs(one - OFFSET - 90_000 * at) for one, at in zip(got, wanted, strict=True)) <= 1
    assert all(before.dts < after.dts for before, after in pairwise(pes)), "over segments, too"
    hashes = [[frame for _, frame in decoded(ffmpeg, tmp_path / f"it.{kind}", audio=sound)] for kind in ("mp4", "ts")]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) >= 100
