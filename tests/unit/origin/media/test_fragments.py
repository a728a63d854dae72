"""The push parser: any cut of the bytes gives the same fragments, and whatever is wrong is said."""

import io
import itertools
import random
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia, NeedsInit
from origin.media.boxes import BoxReader
from origin.media.fragments import LARGEST_LEAD, Fragment, FragmentReader, of_samples, read_moof
from origin.media.samples import Samples
from origin.media.tracks import InitSection, Kind, Track

MIB = 2**20


def parse(pieces: list[bytes], largest: int = MIB) -> tuple[list[object], str]:
    """All that was found, and the complaint that ended it, if any."""
    reader, found = FragmentReader(largest), []
    try:
        for piece in pieces:
            for one in reader.feed(piece):
                found.append(one.id if isinstance(one, InitSection) else (one.start, one.duration, one.data))
        reader.finish()
    except BadMedia as error:
        return found, str(error)
    return found, ""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(0, 2**31), max_size=40), damage=st.integers(0, 2**31), harm=st.booleans())
def test_any_cut_of_the_bytes_gives_the_same(
    encoded: dict[str, bytes], places: list[int], damage: int, harm: bool
) -> None:
    data = bytearray(encoded["90p.cmfv"])
    if harm:
        data[damage % len(data)] ^= 0xFF
    assert parse(cut(bytes(data), places)) == parse([bytes(data)])


def test_one_byte_at_a_time(encoded: dict[str, bytes]) -> None:
    data = encoded["audio-64k.cmfa"][:20_000]
    assert parse([data[i : i + 1] for i in range(len(data))]) == parse([data])


@pytest.mark.parametrize("name", ["180p.cmfv", "90p.cmfv", "audio-64k.cmfa"])
def test_a_track_is_what_another_parser_says(encoded: dict[str, bytes], name: str) -> None:
    av = pytest.importorskip("av")
    data = encoded[name]
    found = list(FragmentReader(MIB).feed(data))
    init, fragments = found[0], [one for one in found if isinstance(one, Fragment)]
    assert isinstance(init, InitSection)
    assert init.data + b"".join(one.data for one in fragments) == data
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert sum(one.samples for one in fragments) == len(packets)
        assert init.track.timescale == stream.time_base.denominator
        assert next(one.start for one in fragments) == packets[0].dts
        assert sum(one.duration for one in fragments) == sum(packet.duration for packet in packets)
        context = stream.codec_context
        if init.track.kind is Kind.VIDEO:
            assert init.track.codec == f"avc1.{context.extradata[1:4].hex()}"  # of its avcC
            assert (init.track.width, init.track.height) == (context.width, context.height)
            starts = {one.start for one in fragments if one.independent}
            assert starts == {packet.dts for packet in packets if packet.is_keyframe}
        else:
            assert init.track.codec == "mp4a.40.2"  # AAC-LC
            assert (init.track.sample_rate, init.track.channels) == (context.sample_rate, 2)


def box(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


FTYP = box(b"ftyp", b"iso6\0\0\2\0iso6cmfc")

GARBAGE = [  # given these bytes, then the complaint has these words
    (b"GET / HTTP/1.1\r\n\r\n", ["byte 0", "found bytes 47 45", "an ISO BMFF box"]),
    (b"\0\0\0\x08\x00\x01\x02\x03", ["byte 0", "an ISO BMFF box"]),
    (b"\0\0\0\x04ftyp", ["byte 0, ftyp", "found size 4", "at least the header's 8 bytes"]),
    (b"\0\0\0\0ftyp", ["byte 0, ftyp", "open size"]),
    (struct.pack(">I4sQ", 1, b"mdat", 2**40), ["byte 0, mdat", f"size {2**40}", f"at most {MIB}"]),
    (struct.pack(">I4s", MIB + 1, b"moov"), ["byte 0, moov", f"size {MIB + 1}"]),
    (box(b"abcd"), ["found 'abcd'", "ftyp at the start"]),
    (box(b"moov"), ["byte 0, moov", "ftyp before it"]),
    (FTYP + box(b"moof"), ["a fragment", "an init section"]),
    (FTYP + box(b"mdat", b"x"), ["mdat", "a moof before it"]),
    (FTYP + box(b"moov"), ["byte 24, moov", "found 0 tracks", "one track a request"]),
    (FTYP + box(b"moov", box(b"trak")), ["no mvex", "fragmented"]),
    (FTYP + box(b"moov", box(b"mvex") + box(b"trak")), ["moov/trak", "no tkhd"]),
    (FTYP + box(b"moov", b"\0\0\0\x40trak"), ["moov/trak", "size 64", "8 to 8 bytes"]),
    (FTYP + box(b"moov", b"\0\0\0"), ["3 bytes after the last box"]),
    (FTYP[:-1], ["byte 0, ftyp", "the end after 23 bytes", "all 24 bytes"]),
    (b"\0\0", ["byte 0: found the end after 2 bytes"]),
]


@pytest.mark.parametrize(("data", "words"), GARBAGE)
def test_garbage_is_refused_in_words(data: bytes, words: list[str]) -> None:
    found, complaint = parse([data])
    assert found == []
    assert [word for word in words if word not in complaint] == [], complaint


def test_a_body_cut_anywhere_is_truncated_unless_between_boxes(encoded: dict[str, bytes]) -> None:
    data = encoded["audio-64k.cmfa"]
    found = list(FragmentReader(MIB).feed(data))
    whole, at = {0}, 0
    for one in found:
        at += len(one.data)
        whole.add(at)
    ftyp = int.from_bytes(data[:4], "big")
    for end in [*sorted(whole), ftyp - 1, *random.Random(1).sample(range(ftyp + 1, len(data)), 60)]:
        complaint = parse([data[:end]])[1]
        assert bool(complaint) == (end not in whole), (end, complaint)


MOOF_DAMAGE = [  # given a change of bytes in a good body, then the complaint
    (b"tfdt", b"tfdx", "tfhd, tfdt or trun"),
    (b"trun", b"trux", "tfhd, tfdt or trun"),
    (b"traf", b"trax", "found 0 track fragments"),
    (b"mdat", b"free", "a free after a moof"),
    (b"avcC", b"avcX", "no avcC"),
    (b"avc1", b"encv", "not encrypted"),
    (b"vide", b"soun", "wanted H.264"),
]


@pytest.mark.parametrize(("old", "new", "words"), MOOF_DAMAGE)
def test_damage_is_named(encoded: dict[str, bytes], old: bytes, new: bytes, words: str) -> None:
    data = encoded["90p.cmfv"]
    assert old in data
    assert words in parse([data.replace(old, new, 1)])[1]


def test_samples_outside_their_mdat_are_refused(encoded: dict[str, bytes]) -> None:
    data = bytearray(encoded["90p.cmfv"])
    at = data.index(b"trun") + 4 + 8  # data_offset of the first run
    data[at : at + 4] = (1 << 20).to_bytes(4, "big")
    assert "wanted them inside this mdat" in parse([bytes(data)])[1]


def test_boxes_between_fragments_are_passed_over(encoded: dict[str, bytes]) -> None:
    data = encoded["90p.cmfv"]
    plain = parse([data])
    for kind in (b"styp", b"sidx", b"free", b"uuid", b"mfra"):
        dressed = data.replace(struct.pack(">I4s", *moof_head(data)), box(kind, b"12345678") + head(data), 1)
        assert parse([dressed]) == plain, kind


def test_prft_and_emsg_go_out_with_the_fragment_they_stand_before(encoded: dict[str, bytes]) -> None:
    data = encoded["90p.cmfv"]
    lead = box(b"prft", bytes(24)) + box(b"emsg", b"splice")
    at = data.index(b"moof") - 4
    init, first, *_ = FragmentReader(MIB).feed(data[:at] + lead + data[at:])
    plain = list(FragmentReader(MIB).feed(data))[1]
    assert isinstance(init, InitSection) and isinstance(first, Fragment) and isinstance(plain, Fragment)
    assert first.data == lead + plain.data
    assert first.data[first.media :] == plain.data[plain.media :]
    halves = first.divide(7, init.track.track_id)
    assert [half.data.count(lead) for half in halves] == [1, 0] and halves[0].data.startswith(lead)
    (again, *_) = FragmentReader(MIB, init).feed(halves[0].data)
    assert isinstance(again, Fragment) and again.media == halves[0].media and again.lead == len(lead)


def test_what_stands_before_a_fragment_is_bounded(encoded: dict[str, bytes]) -> None:
    emsg = box(b"emsg", bytes(2**18))
    init = next(FragmentReader(MIB).feed(encoded["90p.cmfv"]))
    assert isinstance(init, InitSection)
    reader = FragmentReader(MIB, init)
    with pytest.raises(BadMedia, match=f"bytes of prft and emsg, wanted at most {LARGEST_LEAD}"):
        for _ in range(5):
            list(reader.feed(emsg))


def test_a_segment_without_an_init_section_needs_one_that_is_known(encoded: dict[str, bytes]) -> None:
    init, *fragments = FragmentReader(MIB).feed(encoded["90p.cmfv"])
    assert isinstance(init, InitSection)
    segment = box(b"styp", b"msdh\0\0\0\0msdhmsix") + fragments[0].data
    with pytest.raises(NeedsInit, match="wanted an init section"):
        list(FragmentReader(MIB).feed(segment))
    assert list(FragmentReader(MIB, init).feed(segment)) == fragments[:1]


@pytest.mark.parametrize(
    ("before", "is_last", "is_closed"),
    [
        (b"", False, False),
        (box(b"styp", b"msdh\0\0\0\0msdhmsix"), False, False),
        (box(b"styp", b"lmsg\0\0\0\0msdh"), True, False),
        (box(b"styp", b"msdh\0\0\0\0msixlmsg"), True, False),
        (box(b"styp", b"msdhlmsg"), False, False),  # a minor version is no brand
        (box(b"styp", b"slat\0\0\0\0slat"), False, False),  # filler: media like any other
        (box(b"mfra", b""), False, True),
    ],
)
def test_what_ends_a_track(encoded: dict[str, bytes], before: bytes, is_last: bool, is_closed: bool) -> None:
    init, fragment, *_ = FragmentReader(MIB).feed(encoded["90p.cmfv"])
    assert isinstance(init, InitSection)
    reader = FragmentReader(MIB, init)
    assert list(reader.feed(before + fragment.data)) == [fragment]
    assert (reader.is_last, reader.is_closed) == (is_last, is_closed)


def moof_head(data: bytes) -> tuple[int, bytes]:
    at = data.index(b"moof") - 4
    return int.from_bytes(data[at : at + 4], "big"), b"moof"


def head(data: bytes) -> bytes:
    return struct.pack(">I4s", *moof_head(data))


def test_random_garbage_never_raises_anything_else() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        data = bytearray(chance.randbytes(chance.randrange(64)))
        if len(data) > 8 and chance.random() < 0.7:
            data[4:8] = chance.choice([b"ftyp", b"moov", b"moof", b"mdat", b"free"])
            data[:4] = len(data).to_bytes(4, "big")
        parse([FTYP, bytes(data)])


def test_damaged_media_never_raises_anything_else(encoded: dict[str, bytes]) -> None:
    chance = random.Random(8)
    for name in ("90p.cmfv", "audio-64k.cmfa"):
        whole = encoded[name][:6000]
        for _ in range(400):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(1500)] = chance.randrange(256)
            parse([bytes(data)])


BEFORE_ZERO = [  # decode time, samples of 1024 ticks that are left out, where the rest begins
    (-336, 1, 688),
    (-1024, 1, 0),
    (-2100, 3, 972),
    (-4096, 4, None),
    (-(2**40), 4, None),
]


@pytest.mark.parametrize(("start", "early", "begins"), BEFORE_ZERO)
def test_what_is_decoded_before_0_is_left_out(start: int, early: int, begins: int | None) -> None:
    """tfdt has no sign: `ffmpeg -avoid_negative_ts disabled -movflags frag_discont` writes 2^64 - 336."""
    track = Track(Kind.AUDIO, 7, 48_000, "mp4a.40.2")
    written = of_samples(Samples((1024,) * 4, (1, 2, 3, 4), (0,) * 4, (0,) * 4), 7, start % 2**64, b"abbcccdddd").data
    moof, mdat = BoxReader(MIB).feed(written)
    fragment = read_moof(moof, track)[0]
    fragment.data = moof.data + mdat.data
    assert fragment.start == start
    left_out, rest = fragment.from_zero(7)
    assert (left_out.start, left_out.samples) == (start, early)
    if begins is None:
        assert rest is None
    else:
        assert rest is not None and (rest.start, rest.samples, rest.end) == (begins, 4 - early, start + 4096)
        assert rest.data.endswith({1: b"bbcccdddd", 3: b"dddd"}[early])
        assert left_out.end == begins
