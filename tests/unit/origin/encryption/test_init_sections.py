"""Init sections of encrypted tracks, read by another reader, and which tracks can be encrypted."""

import pytest

from origin.encryption.init_sections import check, parameter_sets, protected
from origin.errors import BadMedia, NotSupported
from origin.media.boxes import Box
from origin.media.tracks import InitSection, Kind, read_init
from tests.kit.cbcs_reader import boxes, only, tenc_of
from tests.unit.origin.encryption.test_fragments import read
from tests.unit.origin.media.test_fragments import FTYP, box
from tests.unit.origin.media.test_sample_entries import asc, avcc, esds, hvcc, pictures, sound
from tests.unit.origin.media.test_tracks import init

ID, IV = bytes(range(16)), bytes(range(16, 32))
AAC = init(box(b"mp4a", sound(esds(asc(2, 2)))))
AVC = init(box(b"avc1", pictures(avcc())), b"vide")
QUICKTIME = init(box(b"avc1", pictures(avcc()) + bytes(4)), b"vide")


def section(moov: Box) -> InitSection:
    return read_init(FTYP, moov)


@pytest.mark.parametrize("moov", [AAC, AVC, QUICKTIME], ids=["sound", "pictures", "QuickTime's four zeros"])
def test_the_sample_entry_says_how(moov: Box) -> None:
    before = section(moov)
    made = protected(before, ID, IV)
    tenc = tenc_of(made.data)
    assert (tenc.kid, tenc.iv) == (ID.hex(), IV)
    assert (tenc.crypt, tenc.skip) == ((1, 9) if before.track.kind is Kind.VIDEO else (0, 0))
    assert made.id != before.id and made.track.default_kid == ID.hex()
    pssh = only(made.data, "pssh", *only(made.data, "moov", 0, len(made.data)))
    assert made.data[pssh[0] + 20 : pssh[0] + 40] == b"\0\0\0\1" + ID
    kinds = [kind for kind, _, _ in boxes(made.data)]
    assert kinds == [kind for kind, _, _ in boxes(before.data)]


def test_each_key_has_its_own() -> None:
    before = section(AVC)
    assert protected(before, ID, IV).id == protected(before, ID, IV).id != protected(before, IV, IV).id


def test_parameter_sets_are_found(encoded: dict[str, bytes]) -> None:
    sets = parameter_sets(read(encoded["180p.cmfv"])[0])
    assert list(sets.sequences) == [0] and list(sets.pictures) == [0]


@pytest.mark.parametrize(
    ("moov", "fits"),
    [
        (AAC, True),
        (init(box(b"wvtt", bytes(8) + box(b"vttC", b"WEBVTT")), b"text"), True),
        (init(box(b"hvc1", pictures(hvcc(0x01, 0x60000000, b"\xb0", 93))), b"vide"), False),
    ],
)
def test_codecs(moov: Box, fits: bool) -> None:
    if fits:
        check(section(moov), "live/1")
    else:
        with pytest.raises(NotSupported, match=r"live/1.*hvc1.*wanted H\.264"):
            check(section(moov), "live/1")


def test_slice_groups_are_refused_with_the_init_section(encoded: dict[str, bytes]) -> None:
    head, _ = read(encoded["180p.cmfv"])
    check(head, "live/180p")
    at = head.data.index(b"\0\x04\x68") + 3  # the picture parameter set, of four bytes
    assert head.data[at] >> 3 & 1, "one slice group"
    head.data = head.data[:at] + bytes([head.data[at] & 0xF0 | 0b0100]) + head.data[at + 1 :]
    with pytest.raises(BadMedia, match="2 slice groups"):
        check(head, "live/180p")
