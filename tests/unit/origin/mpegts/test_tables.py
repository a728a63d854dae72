"""PAT and PMT against another's bytes, and the CRC of annex A."""

from origin.mpegts.tables import crc32, pat, pmt


def test_the_crc_of_a_known_text() -> None:
    assert crc32(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2


def test_the_tables_as_bytes() -> None:
    assert pat().hex(" ") == "00 b0 0d 00 01 c1 00 00 00 01 f0 00 2a b1 04 b2"  # as ffmpeg writes it
    assert pmt(0x1B).hex(" ")[:-12] == "02 b0 12 00 01 c1 00 00 e1 00 f0 00 1b e1 00 f0 00"
    assert crc32(pat()) == crc32(pmt(0x0F)) == 0
