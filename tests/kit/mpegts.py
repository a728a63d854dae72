"""A reader of MPEG-TS that knows nothing of our writer, and is strict (ISO/IEC 13818-1 2.4, 2.7; RFC 8216 3.2)."""

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Pes:
    """One PES packet; PTS and DTS in units of 1/90000 s."""

    stream_id: int
    pts: int
    dts: int
    data: bytes
    random_access: bool
    clock: int = 0
    """The PCR before its first byte, base."""


@dataclass
class Stream:
    """The one elementary stream of a segment."""

    stream_type: int
    pes: list[Pes]
    pcrs: list[int]
    """Bases, in order."""


@dataclass
class TsReader:
    """Reads segments in a row: continuity counters go on from one to the next."""

    counters: dict[int, int] = field(default_factory=dict)

    def read(self, data: bytes) -> Stream:
        """AssertionError: a rule is broken."""
        assert data and len(data) % 188 == 0, "whole packets"
        program: dict[str, int] = {}
        units: list[tuple[bool, int, bytearray]] = []
        pcrs: list[int] = []
        for at in range(0, len(data), 188):
            packet = data[at : at + 188]
            assert packet[0] == 0x47, "sync_byte"
            assert not packet[1] & 0x80, "transport_error_indicator"
            assert not packet[3] & 0xC0, "scrambled"
            start, pid = bool(packet[1] & 0x40), (packet[1] & 0x1F) << 8 | packet[2]
            control, counter = packet[3] >> 4 & 3, packet[3] & 15
            assert control, "reserved adaptation_field_control"
            body, random_access = packet[4:], False
            if control & 2:
                length = body[0]
                assert length == 183 if control == 2 else length <= 182
                random_access = self._adaptation(body[1 : 1 + length], pid, program, pcrs)
                body = body[1 + length :]
            self._count(pid, counter, payload=bool(control & 1))
            if not control & 1:
                continue
            if at == 0:
                assert pid == 0 and start, "a segment begins with the PAT"
            if pid == 0:
                program["pmt"] = self._pat(body, start=start)
            elif pid == program.get("pmt"):
                assert at == 188, "the PMT follows the PAT"
                program["type"], program["pid"], program["pcr"] = self._pmt(body, start=start)
            else:
                assert pid == program["pid"] == program["pcr"]
                if start:
                    units.append((random_access, pcrs[-1], bytearray()))
                units[-1][2].extend(body)
        pes = [self._pes(bytes(unit), clock, random_access=flag) for flag, clock, unit in units]
        self._time(pes, pcrs)
        return Stream(program["type"], pes, pcrs)

    def _count(self, pid: int, counter: int, *, payload: bool) -> None:
        if pid in self.counters:
            wanted = (self.counters[pid] + payload) % 16
            assert counter == wanted, f"PID {pid}: continuity_counter {counter}, wanted {wanted}"
        self.counters[pid] = counter

    def _adaptation(self, body: bytes, pid: int, program: dict[str, int], pcrs: list[int]) -> bool:
        if not body:
            return False
        flags, rest = body[0], body[1:]
        assert not flags & 0x80, "a discontinuity"
        assert not flags & 0x2F, "fields that nothing here needs"
        if flags & 0x10:
            assert pid == program["pcr"]
            value = int.from_bytes(rest[:6], "big")
            assert value >> 9 & 0x3F == 0x3F, "reserved bits"
            assert value & 0x1FF < 300
            pcrs.append(value >> 15)
            rest = rest[6:]
        assert rest == b"\xff" * len(rest), "stuffing"
        return bool(flags & 0x40)

    def _section(self, body: bytes, table: int) -> bytes:
        assert body[0] == 0, "pointer_field"
        assert body[1] == table
        length = int.from_bytes(body[2:4], "big")
        assert length >> 12 == 0xB, "section_syntax_indicator"
        section = body[1 : 4 + (length & 0xFFF)]
        assert set(body[4 + (length & 0xFFF) :]) <= {0xFF}
        assert _crc(section) == 0, "CRC_32"
        assert section[5] & 1, "current_next_indicator"
        assert section[6:8] == b"\0\0", "one section"
        return section[8:-4]

    def _pat(self, body: bytes, *, start: bool) -> int:
        assert start
        section = self._section(body, 0)
        assert len(section) == 4, "one program"
        assert int.from_bytes(section[:2], "big") != 0, "program 0 is the network's"
        return int.from_bytes(section[2:], "big") & 0x1FFF

    def _pmt(self, body: bytes, *, start: bool) -> tuple[int, int, int]:
        assert start
        section = self._section(body, 2)
        assert section[2:4] == b"\xf0\0" and len(section) == 9, "one stream"
        return section[4], int.from_bytes(section[5:7], "big") & 0x1FFF, int.from_bytes(section[:2], "big") & 0x1FFF

    def _pes(self, unit: bytes, clock: int, *, random_access: bool) -> Pes:
        assert unit[:3] == b"\0\0\1", "packet_start_code_prefix"
        stream_id, length = unit[3], int.from_bytes(unit[4:6], "big")
        video = stream_id >> 4 == 0xE
        assert length == len(unit) - 6 or (length == 0 and video), "PES_packet_length"
        assert unit[6] >> 6 == 2 and not unit[6] & 0x30
        assert unit[7] in (0x80, 0xC0), "PTS, or PTS and DTS"
        assert unit[8] == (10 if unit[7] == 0xC0 else 5)
        pts = _stamp(unit[9:14], unit[7] >> 6)
        dts = _stamp(unit[14:19], 1) if unit[7] == 0xC0 else pts
        return Pes(stream_id, pts, dts, unit[9 + unit[8] :], random_access, clock)

    def _time(self, pes: list[Pes], pcrs: list[int]) -> None:
        for before, after in pairwise(pcrs):
            assert 0 < after - before & 2**33 - 1 <= 9_000, "a PCR each 0.1 s (2.7.2)"
        for before, after in pairwise(pes):
            assert 0 < after.dts - before.dts & 2**33 - 1 < 2**32, "DTS grow"
        for one in pes:
            assert one.pts - one.dts & 2**33 - 1 < 2**32, "no PTS before its DTS"
            assert 0 < one.dts - one.clock & 2**33 - 1 <= 90_000, "in the buffer for at most a second (2.4.2.6)"


def access_units(stream: Stream) -> list[list[bytes]]:
    """NAL units of each PES packet of H.264, its AUD left out; a key frame has its parameter sets before it."""
    assert stream.stream_type == 0x1B
    found = []
    for one in stream.pes:
        assert one.data.startswith(b"\0\0\0\1")
        units = one.data[4:].split(b"\0\0\0\1")
        kinds = [unit[0] & 0x1F for unit in units]
        assert kinds[0] == 9 and kinds.count(9) == 1, "one AUD, first (ITU-T H.264 7.4.1.2.3)"
        assert one.random_access == (5 in kinds), "random_access_indicator"
        assert 5 not in kinds or (7 in kinds and 8 in kinds[kinds.index(7) :]), "SPS, PPS before IDR"
        found.append(units[1:])
    return found


def adts_frames(stream: Stream) -> list[tuple[int, bytes]]:
    """(PTS, frame without its header) of AAC; frames that have no time stamp of their own follow by length."""
    rates = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
    assert stream.stream_type == 0x0F
    found = []
    for one in stream.pes:
        at, frames = 0, 0
        while at < len(one.data):
            head = int.from_bytes(one.data[at : at + 7], "big")
            assert head >> 40 == 0xFFF1, "syncword, MPEG-4, no CRC"
            length = head >> 13 & 0x1FFF
            assert 7 < length <= len(one.data) - at, "whole frames in each PES packet"
            rate = rates[head >> 34 & 15]
            found.append((one.pts + round(frames * 1024 * 90_000 / rate), one.data[at + 7 : at + length]))
            at, frames = at + length, frames + 1
    return found


def _stamp(data: bytes, mark: int) -> int:
    assert data[0] >> 4 == mark
    assert data[0] & data[2] & data[4] & 1, "marker bits"
    return (data[0] >> 1 & 7) << 30 | data[1] << 22 | data[2] >> 1 << 15 | data[3] << 7 | data[4] >> 1


def _crc(data: bytes) -> int:
    """Bit by bit, as annex A has it."""
    register = 0xFFFFFFFF
    for byte in data:
        for place in range(7, -1, -1):
            out = register >> 31 ^ byte >> place & 1
            register = register << 1 & 0xFFFFFFFF
            register ^= 0x04C11DB7 if out else 0
    return register
