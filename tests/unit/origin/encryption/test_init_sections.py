"""Init sections of encrypted tracks, read by another reader, and which tracks can be encrypted."""

import pytest

from origin.encryption.init_sections import check, parameter_sets, protected
from origin.errors import NotSupported
from origin.media.boxes import Box
from origin.media.tracks import InitSection, Kind, Track, read_init
from tests.kit.cbcs_reader import boxes, only, tenc_of
from tests.unit.origin.media.test_fragments import FTYP, box
from tests.unit.origin.media.test_sample_entries import asc, avcc, esds, pictures, sound
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
    from tests.unit.origin.encryption.test_fragments import read

    sets = parameter_sets(read(encoded["180p.cmfv"])[0])
    assert list(sets.sequences) == [0] and list(sets.pictures) == [0]


@pytest.mark.parametrize(
    ("kind", "codec", "fits"),
    [
        (Kind.VIDEO, "avc1.64001f", True),
        (Kind.VIDEO, "avc3.64001f", True),
        (Kind.VIDEO, "hvc1.1.6.L93.b0", False),
        (Kind.VIDEO, "av01.0.04M.08", False),
        (Kind.AUDIO, "mp4a.40.2", True),
        (Kind.AUDIO, "opus", True),
        (Kind.AUDIO, "ec-3", True),
    ],
)
def test_codecs(kind: Kind, codec: str, fits: bool) -> None:
    track = Track(kind, 1, 1000, codec)
    if fits:
        check(track, "live/1")
    else:
        with pytest.raises(NotSupported, match=r"live/1.*wanted H\.264"):
            check(track, "live/1")
