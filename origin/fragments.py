"""CMAF fragments out of an ingest body: `ftyp moov (moof mdat)*` (ISO/IEC 14496-12 8.8, 23000-19 7.3.2).

`styp`, `sidx`, `prft`, `emsg`, `free`, `mfra` and other boxes between fragments are passed over. Fragments keep
their bytes: a segment is fragments in a row, and they will be its parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from origin.boxes import Box, BoxReader, Fields, children
from origin.errors import BadMedia
from origin.tracks import InitSection, Track, read_init

LARGEST_INIT = 2**20
"""Of each of an init section's two boxes. Encoders' are of about a kilobyte; DRM adds some more."""

_NON_SYNC = 0x10000  # sample_is_non_sync_sample, ISO/IEC 14496-12 8.8.3.1


@dataclass(slots=True)
class Fragment:
    """One moof and its mdat. Times are decode times in ticks of the track's timescale."""

    start: int
    duration: int
    independent: bool
    """The first sample is a sync sample: decoding may begin here."""
    samples: int
    data: bytes

    @property
    def end(self) -> int:
        return self.start + self.duration


class FragmentReader:
    """Push parser of one track's body: init sections and fragments, whatever the pieces.

    `largest` bounds a box and so the memory one request can take.
    """

    def __init__(self, largest: int) -> None:
        self._boxes = BoxReader(largest, {kind: min(largest, LARGEST_INIT) for kind in ("ftyp", "moov", "styp")})
        self._largest = largest
        self._ftyp: bytes | None = None
        self._track: Track | None = None
        self._moof: tuple[Box, Fragment, int, int] | None = None

    @property
    def offset(self) -> int:
        """Where in the body the next box begins."""
        return self._boxes.offset

    def feed(self, data: bytes) -> Iterator[InitSection | Fragment]:
        """What `data` completes; run it to its end before the next call. `BadMedia` says where and what."""
        for box in self._boxes.feed(data):
            found = self._take(box)
            if found is not None:
                yield found

    def finish(self) -> None:
        """The body ended as HTTP says it should; `BadMedia` if the media did not."""
        self._boxes.finish()
        if self._moof is not None:
            raise BadMedia(f"byte {self.offset}", "the end of the body", "the mdat of the moof before it")

    def _take(self, box: Box) -> InitSection | Fragment | None:
        where = f"byte {box.offset}, {box.kind}"
        if self._moof is not None and box.kind != "mdat":
            raise BadMedia(where, f"a {box.kind} after a moof", "its mdat")
        match box.kind:
            case "ftyp":
                self._ftyp = box.data
            case "moov":
                if self._ftyp is None:
                    raise BadMedia(where, "moov", "ftyp before it")
                init = read_init(self._ftyp, box)
                self._track = init.track
                return init
            case "moof":
                if self._track is None:
                    raise BadMedia(where, "a fragment", "an init section (ftyp, moov) before it")
                fragment, first, end = read_moof(box, self._track)
                self._moof = (box, fragment, first, end)
            case "mdat":
                return self._join(box, where)
            case _ if self._ftyp is None and box.kind != "styp":
                raise BadMedia(where, f"{box.kind!r}", "ftyp at the start of the body")
        return None

    def _join(self, mdat: Box, where: str) -> Fragment:
        if self._moof is None:
            raise BadMedia(where, "mdat", "a moof before it")
        moof, fragment, first, end = self._moof
        low, high = len(moof.data) + mdat.header, len(moof.data) + len(mdat.data)
        if first < low or end > high:
            found = f"samples at bytes {first} to {end} from their moof"
            raise BadMedia(where, found, f"them inside this mdat, {low} to {high}")
        self._moof = None
        fragment.data = moof.data + mdat.data
        return fragment


def read_moof(moof: Box, track: Track) -> tuple[Fragment, int, int]:
    """(fragment without data, first byte, end) of a moof; the bytes are counted from the moof's first."""
    where = f"byte {moof.offset}, moof"
    trafs = [payload for kind, payload in children(moof.payload, where) if kind == "traf"]
    if len(trafs) != 1:
        raise BadMedia(where, f"{len(trafs)} track fragments", "one")
    where = f"{where}/traf"
    duration, size, flags = track.default_duration, track.default_size, track.default_flags
    start: int | None = None
    truns: list[memoryview] = []
    seen_header = False
    for kind, payload in children(trafs[0], where):
        fields = Fields(payload, f"{where}/{kind}")
        if kind == "tfhd":
            seen_header = True
            _, given = fields.version_and_flags()
            if (track_id := fields.uint(4)) != track.track_id:
                raise BadMedia(fields.where, f"track {track_id}", f"the init section's track {track.track_id}")
            if given & 0x1:
                # Absolute offsets are only right in the one file the muxer had in mind.
                raise BadMedia(fields.where, "a base data offset", "default-base-is-moof")
            fields.take(4 if given & 0x2 else 0)
            duration = fields.uint(4) if given & 0x8 else duration
            size = fields.uint(4) if given & 0x10 else size
            flags = fields.uint(4) if given & 0x20 else flags
        elif kind == "tfdt":
            version, _ = fields.version_and_flags()
            start = fields.uint(8 if version == 1 else 4)
        elif kind == "trun":
            truns.append(payload)
    if not seen_header or start is None or not truns:
        raise BadMedia(where, "a track fragment without tfhd, tfdt or trun", "all three")
    total = samples = 0
    independent = False
    first: int | None = None
    at = len(moof.data) + 8
    for index, payload in enumerate(truns):
        run = _read_trun(Fields(payload, f"{where}/trun"), duration, size, flags)
        if run.offset is not None:
            at = run.offset
        if index == 0:
            independent, first = run.independent, at
        at += run.size
        total += run.duration
        samples += run.samples
    if samples == 0 or total == 0:
        raise BadMedia(where, f"{samples} samples of {total} ticks", "samples that last")
    assert first is not None
    return Fragment(start, total, independent, samples, b""), first, at


@dataclass(slots=True)
class _Run:
    offset: int | None
    samples: int
    duration: int
    size: int
    independent: bool


def _read_trun(fields: Fields, duration: int, size: int, flags: int) -> _Run:
    _, given = fields.version_and_flags()
    samples = fields.uint(4)
    offset = int.from_bytes(fields.take(4), "big", signed=True) if given & 0x1 else None
    first_flags = fields.uint(4) if given & 0x4 else None
    columns = [bit for bit in (0x100, 0x200, 0x400, 0x800) if given & bit]
    width = len(columns)
    # One unpack for the whole table: fragments of a second hold up to sixty rows, audio more.
    table = fields.words(samples * width)

    def column(bit: int) -> tuple[int, ...]:
        return table[columns.index(bit) :: width]

    if first_flags is None:
        first_flags = column(0x400)[0] if given & 0x400 and samples else flags
    return _Run(
        offset,
        samples,
        sum(column(0x100)) if given & 0x100 else samples * duration,
        sum(column(0x200)) if given & 0x200 else samples * size,
        not first_flags & _NON_SYNC,
    )
