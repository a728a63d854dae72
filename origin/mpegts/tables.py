"""PAT and PMT of a transport stream with one program of one stream (ISO/IEC 13818-1 2.4.4)."""

PAT_PID = 0
PMT_PID = 0x1000
MEDIA_PID = 0x100

_PROGRAM = 1
_POLYNOMIAL = 0x04C11DB7


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (_POLYNOMIAL if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32(data: bytes) -> int:
    """CRC_32 of annex A. Over a section with its CRC, it is 0."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value


def _section(table_id: int, number: int, body: bytes) -> bytes:
    """A section, the only one of its table; `number` is transport_stream_id or program_number."""
    head = bytes((table_id,)) + (0xB000 | len(body) + 9).to_bytes(2, "big") + number.to_bytes(2, "big")
    section = head + b"\xc1\0\0" + body  # version 0, current, section 0 of 0
    return section + crc32(section).to_bytes(4, "big")


def pat() -> bytes:
    """The program association section."""
    return _section(0, 1, _PROGRAM.to_bytes(2, "big") + (0xE000 | PMT_PID).to_bytes(2, "big"))


def pmt(stream_type: int) -> bytes:
    """The program map section; the stream carries the PCR, too."""
    pid = (0xE000 | MEDIA_PID).to_bytes(2, "big")
    return _section(2, _PROGRAM, pid + b"\xf0\0" + bytes((stream_type,)) + pid + b"\xf0\0")
