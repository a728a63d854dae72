"""An MPEG-TS segment from an fMP4 segment: the same samples, at the same times.

Pure, and of one segment alone: what is made does not depend on the segments that were made before, so any of them can
be made when it is first requested, and is the same bytes each time.

Times are the encoder's, in units of 1/90000 s, modulo 2^33, and `OFFSET` later: before the first sample, which may have
time 0, there must be room for its DTS and for the PCR. All tracks have the same offset, so they stay in step.

A sample's composition offset may be negative (`edit_lists`), and a PTS may not be before its DTS. So the DTS of
pictures are earlier than their decode times, by as many frames as the parameter set says that pictures are reordered.
Where it does not say, the segment's own offsets do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from origin.errors import BadMedia
from origin.media.fragments import Fragment, FragmentReader
from origin.media.samples import NON_SYNC
from origin.media.tracks import InitSection
from origin.mpegts.elementary import H264, Aac, Codec
from origin.mpegts.packets import PACKET, Packets, adaptation, pes_header
from origin.mpegts.tables import MEDIA_PID, PAT_PID, PMT_PID, pat, pmt

CLOCK = 90_000
OFFSET = 10 * CLOCK
LEAD = CLOCK // 2
"""How long before its DTS a sample arrives: PCR to DTS. At most 1 s (2.4.2.6); ffmpeg's and Apple's are near this."""
PCR_EVERY = CLOCK // 11
"""0.1 s is the longest allowed (2.7.2); sound is gathered into PES packets for as long."""
_LONGEST_PAUSE = 60 * CLOCK
"""Between two samples that PCRs are sent through."""
_TOLERANCE = 90
"""1 ms: of sound that does not begin where the sound before it ended."""


@dataclass(slots=True)
class _Sample:
    """`dts` and `pts` in ticks of the track."""

    dts: int
    pts: int
    key: bool
    data: memoryview


def remux(init: bytes, codec: Codec, segment: bytes, number: int, most: int) -> bytes:
    """The transport stream of a segment with this media sequence number; `codec`: what `read_codec` gave for `init`.

    `BadMedia`: what cannot be remuxed, or would have more than `most` bytes.
    """
    timescale, samples = _read(init, segment)
    # Once each in a segment, so that their counters go on with its number.
    pieces: list[bytes | memoryview] = [Packets(PAT_PID, number).section(pat())]
    pieces.append(Packets(PMT_PID, number).section(pmt(codec.stream_type)))
    size = 0
    packets = Packets(MEDIA_PID)
    media = _pictures(codec, samples, timescale) if isinstance(codec, H264) else _sound(codec, samples, timescale)
    before: _Pes | None = None
    for one in media:
        if before is not None:
            size += _write(packets, before, one.dts, pieces)
            if size > most:
                raise BadMedia("segment", f"more than {most} bytes of MPEG-TS", f"at most {most}")
        before = one
    if before is not None:
        _write(packets, before, None, pieces)
    return b"".join(pieces)


@dataclass(slots=True)
class _Pes:
    """A PES packet to be; times in units of 1/90000 s."""

    stream_id: int
    dts: int
    pts: int
    key: bool
    data: bytes


def _write(packets: Packets, pes: _Pes, following: int | None, pieces: list[bytes | memoryview]) -> int:
    """Adds the packets of `pes`, and the PCRs up to the DTS that follows; None: it is the last. Returns its bytes."""
    clock = OFFSET + pes.dts - LEAD
    field = adaptation(random_access=pes.key, pcr=clock)
    header = pes_header(pes.stream_id, len(pes.data), OFFSET + pes.pts, OFFSET + pes.dts)
    pieces += packets.write(header + pes.data, field, last=following is None)
    pause = 0 if following is None else min(following - pes.dts, _LONGEST_PAUSE)
    between = range(PCR_EVERY, pause, PCR_EVERY) if pause > CLOCK // 10 else range(0)
    pieces += [packets.clock(clock + later) for later in between]
    return len(pes.data) + PACKET * (1 + len(between))


def _read(init: bytes, segment: bytes) -> tuple[int, list[_Sample]]:
    """(timescale, samples in decode order)."""
    reader = FragmentReader(max(len(init), len(segment)))
    found = [*reader.feed(init), *reader.feed(segment)]
    reader.finish()
    head, *fragments = found
    if not isinstance(head, InitSection) or not fragments:
        raise BadMedia("segment", f"{len(fragments)} fragments", "an init section and fragments")
    samples: list[_Sample] = []
    for one in fragments:
        assert isinstance(one, Fragment)
        samples += _samples(one)
    return head.track.timescale, samples


def _samples(fragment: Fragment) -> Iterator[_Sample]:
    table = fragment.row
    if table is None:
        raise BadMedia(f"decode time {fragment.start}", "samples that lie apart", "samples in a row")
    data = memoryview(fragment.data)
    starts = accumulate(table.durations, initial=fragment.start)
    places = accumulate(table.sizes, initial=fragment.media)
    for start, at, size, shift, flags in zip(starts, places, table.sizes, table.shifts, table.flags, strict=False):
        if size == 0:
            raise BadMedia(f"decode time {start}", "a sample of 0 bytes", "bytes")
        yield _Sample(start, start + shift, not flags & NON_SYNC, data[at : at + size])


def at_90khz(ticks: int, timescale: int) -> int:
    """The nearest unit of 1/90000 s."""
    return (2 * ticks * CLOCK + timescale) // (2 * timescale)


def _pictures(codec: H264, samples: list[_Sample], timescale: int) -> Iterator[_Pes]:
    """An access unit in each PES packet."""
    decode_times = _decode_times(samples, timescale, _delay(codec, samples))
    for sample, dts in zip(samples, decode_times, strict=True):
        data = b"".join(codec.access_unit(sample.data, key=sample.key))
        yield _Pes(codec.stream_id, dts, at_90khz(sample.pts, timescale), sample.key, data)


def _delay(codec: H264, samples: list[_Sample]) -> int:
    """How much earlier than its decode time a sample's DTS is, in ticks: the same in all segments of an encoder.

    A key frame's PTS is later than its DTS by the frames that are reordered. An encoder may have that in its offsets
    already, or have taken it out by an edit list.
    """
    longest = max(sample.dts - sample.pts for sample in samples)
    first = samples[0]
    if codec.reordered is None or len(samples) == 1:
        return max(0, longest)
    frame = (samples[-1].dts - first.dts) / (len(samples) - 1)
    return max(0, longest, round(codec.reordered * frame) - (first.pts - first.dts))


def _decode_times(samples: list[_Sample], timescale: int, delay: int) -> list[int]:
    """DTS: they grow, and none is after its PTS."""
    times: list[int] = []
    following: int | None = None
    for sample in reversed(samples):
        latest = at_90khz(sample.pts, timescale)
        if following is not None:
            latest = min(latest, following - 1)
        following = min(at_90khz(sample.dts - delay, timescale), latest)
        times.append(following)
    return times[::-1]


def _sound(codec: Aac, samples: list[_Sample], timescale: int) -> Iterator[_Pes]:
    """Frames in PES packets of nearly 0.1 s: a time stamp is of the first one, and those after it follow by length."""
    gathered: list[bytes | memoryview] = []
    start, frames = 0, 0
    for sample in samples:
        at = at_90khz(sample.pts, timescale)
        implied = start + round(frames * codec.frame * CLOCK)
        full = round((frames + 1) * codec.frame * CLOCK) > PCR_EVERY
        if gathered and (full or abs(at - implied) > _TOLERANCE):
            yield _Pes(codec.stream_id, start, start, True, b"".join(gathered))
            gathered, frames = [], 0
        if not gathered:
            start = at
        gathered += codec.adts(sample.data)
        frames += 1
    yield _Pes(codec.stream_id, start, start, True, b"".join(gathered))
