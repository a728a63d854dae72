"""The cues of a text segment in fragmented MP4 (`wvtt`, ISO/IEC 14496-30 7), and the same as a WebVTT segment.

HLS has WebVTT as text (RFC 8216 3.5): hls.js and Video.js do not read it in fragmented MP4, and DASH has it only there.
A sample shows all cues of its time, and where one begins or ends, the next sample begins: a cue that is in samples that
follow one another is written once. Times count from the segment's start; X-TIMESTAMP-MAP says where that is on the
timeline of pictures and sound, in units of 1/90000 s, modulo 2^33.

Pure, and of one segment alone, as a MPEG-TS segment is: the same bytes whenever it is requested.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from origin.errors import BadMedia
from origin.media.boxes import children
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection

_CLOCK = 90_000
_WRAP = 2**33
_SIGNATURE = "WEBVTT"
_TO_HEADER = (
    ("moov", 0), ("trak", 0), ("mdia", 0), ("minf", 0), ("stbl", 0), ("stsd", 8), ("wvtt", 8), ("vttC", 0),
)  # fmt: skip
"""The boxes around the header, and where the boxes in each begin."""
_NOTHING = memoryview(b"")


@dataclass(slots=True)
class Cue:
    """One cue. Times in ticks of the track."""

    start: int
    end: int
    text: str
    identifier: str = ""
    settings: str = ""

    def follows(self, before: "Cue") -> bool:
        """Whether this is the one before, that is shown on."""
        same = (self.text, self.identifier, self.settings) == (before.text, before.identifier, before.settings)
        return same and self.start == before.end


def webvtt_segment(init: bytes, segment: bytes, most: int) -> bytes:
    """The WebVTT segment of a segment in fragmented MP4.

    `BadMedia`: it cannot be read, or would have more than `most` bytes.
    """
    reader = FragmentReader(max(len(init), len(segment)))
    head, *fragments = [*reader.feed(init), *reader.feed(segment)]
    reader.finish()
    if not isinstance(head, InitSection) or not fragments:
        raise BadMedia("segment", f"{len(fragments)} fragments", "an init section and fragments")
    shown: list[Cue] = []
    done: list[Cue] = []
    for fragment in fragments:
        assert isinstance(fragment, Fragment)
        for cues in _samples(fragment):
            on: list[Cue] = []
            for cue in cues:
                before = next((one for one in shown if cue.follows(one)), None)
                if before is None:
                    done.append(before := cue)
                else:
                    shown.remove(before)
                    before.end = cue.end
                on.append(before)
            shown = on
    assert isinstance(fragments[0], Fragment)
    text = written(header(init), done, fragments[0].start, head.track.timescale).encode()
    if len(text) > most:
        raise BadMedia("segment", f"{len(text)} bytes of WebVTT", f"at most {most}")
    return text


def _samples(fragment: Fragment) -> Iterator[list[Cue]]:
    """The cues of each sample; none where nothing is shown (`vtte`)."""
    table = fragment.row
    if table is None:
        raise BadMedia(f"decode time {fragment.start}", "samples that lie apart", "samples in a row")
    data = memoryview(fragment.data)
    starts = accumulate(table.durations, initial=fragment.start)
    places = accumulate(table.sizes, initial=fragment.media)
    for decoded, at, size, duration, shift in zip(
        starts, places, table.sizes, table.durations, table.shifts, strict=False
    ):
        start, where = decoded + shift, f"decode time {decoded}"
        boxes = children(data[at : at + size], where)
        found = (_cue(payload, start, start + duration, where) for kind, payload in boxes if kind == "vttc")
        yield [cue for cue in found if cue.text]


def _cue(payload: memoryview, start: int, end: int, where: str) -> Cue:
    said = {kind: bytes(data).decode("utf-8", "replace") for kind, data in children(payload, where)}
    lines = [line for line in _lines(said.get("payl", "")) if line.strip()]  # an empty line ends a cue
    identifier, settings = (" ".join(_lines(said.get(kind, ""))) for kind in ("iden", "sttg"))
    return Cue(start, end, _without_arrows("\n".join(lines)), _without_arrows(identifier), _without_arrows(settings))


def _lines(text: str) -> list[str]:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _without_arrows(text: str) -> str:
    """An arrow begins another cue."""
    return text.replace("-->", "--&gt;")


def header(init: bytes) -> list[str]:
    """The lines of the track's own header (`vttC`): its signature, style sheets, regions."""
    data = memoryview(init)
    for kind, before in _TO_HEADER:
        data = next((payload for name, payload in children(data, "init section") if name == kind), _NOTHING)[before:]
    lines = _lines(bytes(data).decode("utf-8", "replace"))
    lines = [line for line in lines if "-->" not in line and not line.startswith("X-TIMESTAMP-MAP")]
    while lines and not lines[-1].strip():
        lines.pop()
    known = bool(lines) and (lines[0] == _SIGNATURE or lines[0].startswith((f"{_SIGNATURE} ", f"{_SIGNATURE}\t")))
    return lines if known else [_SIGNATURE]


def written(head: list[str], cues: list[Cue], start: int, timescale: int) -> str:
    """A WebVTT segment that begins at `start` ticks."""
    mapped = start * _CLOCK // timescale % _WRAP
    lines = [head[0], f"X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{mapped}", *head[1:], ""]
    for cue in sorted(cues, key=lambda one: one.start):
        begins, ends = (_time(Fraction(at - start, timescale)) for at in (cue.start, cue.end))
        lines += [cue.identifier] if cue.identifier else []
        lines += [f"{begins} --> {ends} {cue.settings}".rstrip(), cue.text, ""]
    return "\n".join(lines)


def _time(seconds: Fraction) -> str:
    milliseconds = max(0, round(1000 * seconds))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
