"""Edit lists, taken out of an init section so that the times of the samples can say the same (ISO/IEC 14496-12 8.6.6).

Multiplexers say by an edit list that a track begins later, and that its first composition times are left out: reordered
pictures, an encoder's priming. ffmpeg's `hls` and `dash` do. Players in browsers ignore it, and play the sound 45 ms
early. So pictures get smaller composition offsets, which may be negative (`trun` version 1), and sound gets other
decode times. A player that reads edit lists presents both as before, and one that does not presents them as it does.

Only the usual lists are moved: at most one empty edit, then one at normal speed. Others stay where they are.
"""

from dataclasses import dataclass

from origin.media.boxes import Fields, children
from origin.media.samples import box

_LONGEST_S = 60
"""Of what is usual. Pictures are reordered, and sound is primed, by less than a second."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit list says, in ticks of its track."""

    delay: int
    """The presentation begins so much later."""
    skip: int
    """So much composition time is left out at its start."""


def read_edit(moov: memoryview, timescale: int, where: str) -> Edit | None:
    """The edit of a `moov` with one track of this timescale; None: it has none, or one that cannot be moved."""
    movie_timescale, edits = 0, None
    for kind, payload in children(moov, where):
        if kind == "mvhd":
            mvhd = Fields(payload, f"{where}/mvhd")
            version, _ = mvhd.version_and_flags()
            mvhd.take(16 if version == 1 else 8)
            movie_timescale = mvhd.uint(4)
        elif kind == "trak":
            for inner, edts in children(payload, f"{where}/trak"):
                if inner == "edts":
                    edits = _read_list(edts, f"{where}/trak/edts")
    if not edits or movie_timescale == 0:
        return None
    delay = 0
    if edits[0][1] == -1:
        delay = round(edits.pop(0)[0] * timescale / movie_timescale)
    if len(edits) != 1 or edits[0][2] != 0x10000:
        return None
    skip = edits[0][1]
    usual = skip >= 0 and 0 < delay + skip < _LONGEST_S * timescale
    return Edit(delay, skip) if usual else None


def _read_list(edts: memoryview, where: str) -> list[tuple[int, int, int]]:
    """(duration, media time, rate) of each edit."""
    edits = []
    for kind, payload in children(edts, where):
        if kind == "elst":
            fields = Fields(payload, f"{where}/elst")
            version, _ = fields.version_and_flags()
            width = 8 if version == 1 else 4
            for _ in range(min(fields.uint(4), 3)):  # one more than can be moved
                duration = fields.uint(width)
                edits.append((duration, int.from_bytes(fields.take(width), "big", signed=True), fields.uint(4)))
    return edits


def without_edit_list(moov: memoryview, where: str) -> bytes:
    """The `moov` box of this payload, all but the `edts` of its track."""
    kept = b""
    for kind, payload in children(moov, where):
        if kind == "trak":
            inner = children(payload, f"{where}/trak")
            payload = memoryview(b"".join(box(k.encode("latin-1"), bytes(p)) for k, p in inner if k != "edts"))
        kept += box(kind.encode("latin-1"), bytes(payload))
    return box(b"moov", kept)
