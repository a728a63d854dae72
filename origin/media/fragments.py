"""CMAF fragments out of an ingest body: `ftyp moov (moof mdat)*` (ISO/IEC 14496-12 8.8, 23000-19 7.3.2).

Fragments keep their bytes: a segment is fragments in a row, and they will be its parts. The `prft` and `emsg` boxes
before a fragment go with it. `styp` and `sidx` are passed over, because they are about the sender's segments, and the
origin cuts its own: a brand or an index of other bytes would be wrong. What `styp` says of the track is read: brand
`lmsg`, this is the last segment (ISO/IEC 23009-1 7.3.1); brand `slat`, filler for lost input (DASH-IF live media
ingest), which is media like any other. `mfra` ends the track. `free` and other boxes are passed over.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, chain

from origin.errors import BadMedia, NeedsInit, TooLarge
from origin.media.boxes import Box, BoxReader, Fields, children
from origin.media.samples import MOST_SAMPLES, NON_SYNC, Runs, Samples
from origin.media.tracks import InitSection, Kind, Track, read_init

LARGEST_INIT = 2**20
"""Of each of an init section's two boxes. Encoders' are of about a kilobyte; DRM adds some more."""
LARGEST_LEAD = 2**20
"""Of all `prft` and `emsg` boxes before a fragment."""
LARGEST_MOOF = 2**22
"""A sample takes up to 16 bytes of it: as many as a fragment may have."""

_INIT_FIRST = "an init section (ftyp, moov) before it"


@dataclass(slots=True)
class Fragment:
    """One moof and its mdat. Times are decode times in ticks of the track's timescale."""

    start: int
    duration: int
    independent: bool
    """The first sample is a sync sample: decoding may begin here."""
    samples: int
    data: bytes
    table: Samples | None = None
    """The samples; None: it cannot be divided."""
    row: Samples | None = None
    """The samples, whose bytes lie in a row from `media` on; None: they lie apart."""
    media: int = 0
    """Where in `data` the first sample's bytes begin."""
    keys: tuple[int, ...] = ()
    """Of video: which samples are sync samples, the first one left out."""
    continued: int = 0
    """Of text: 1 where the last sample is repeated at the start of the next fragment, and counts there."""
    lead: int = 0
    """Length of the `prft` and `emsg` boxes that `data` begins with."""
    encrypted: bool = False
    """`data` is what is published, and no longer what came."""

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def longest(self) -> int:
        """Ticks of its longest sample; of an average one where the samples lie apart."""
        return max(self.row.durations) if self.row is not None else self.duration // self.samples

    def starts(self) -> list[int]:
        """When each sample is decoded, and the end; what cannot be divided is like one sample."""
        durations = (self.duration,) if self.table is None else self.table.durations
        return list(accumulate(durations, initial=self.start))

    def time_of(self, index: int) -> int:
        """When sample `index` is decoded, the first one or of one that can be divided."""
        return self.start + (sum(self.table.durations[:index]) if self.table is not None and index else 0)

    def cut_points(self) -> tuple[int, ...]:
        """Of video: the sync samples that a segment can begin with."""
        inner = self.keys if self.table is not None else ()
        return (0, *inner) if self.independent else inner

    def divide(self, index: int, track_id: int) -> tuple["Fragment", "Fragment"]:
        """What lies before sample `index`, neither the first nor past the last, and from it on; both written anew."""
        table = self.table
        assert table is not None and 0 < index < self.samples
        media = memoryview(self.data)[self.media : self.media + sum(table.sizes)]
        at = sum(table.sizes[:index])
        head = of_samples(table.part(0, index), track_id, self.start, media[:at])
        tail = of_samples(table.part(index, self.samples), track_id, head.end, media[at:])
        if self.keys:
            head.keys = tuple(key for key in self.keys if key < index)
            tail.keys = tuple(key - index for key in self.keys if key > index)
        tail.continued = self.continued
        return self._led(head), tail

    def split(self, at: int, track_id: int) -> tuple["Fragment", "Fragment"]:
        """What is shown before `at` ticks, inside the fragment, and from then on: text that lasts longer is in both."""
        table, starts = self.table, self.starts()
        assert table is not None and self.start < at < self.end
        index = bisect_right(starts, at) - 1
        if starts[index] == at:
            return self.divide(index, track_id)
        media = memoryview(self.data)[self.media : self.media + sum(table.sizes)]
        first, last = sum(table.sizes[:index]), sum(table.sizes[: index + 1])
        before, after = table.part(0, index + 1), table.part(index, self.samples)
        before = replace(before, durations=(*before.durations[:-1], at - starts[index]))
        after = replace(after, durations=(starts[index + 1] - at, *after.durations[1:]))
        head = of_samples(before, track_id, self.start, media[:last])
        tail = of_samples(after, track_id, at, media[first:])
        head.continued, tail.continued = 1, self.continued
        return self._led(head), tail

    def from_zero(self, track_id: int) -> tuple["Fragment", "Fragment | None"]:
        """What is decoded before time 0, which no fragment can say, and without bytes; and the rest, written anew."""
        starts = self.starts()[:-1]
        early = bisect_left(starts, 0) if self.table is not None else self.samples
        if early == self.samples or self.table is None:
            return replace(self, data=b""), None
        media = memoryview(self.data)[self.media + sum(self.table.sizes[:early]) :]
        table, start = self.table.part(early, self.samples), starts[early]
        rest = of_samples(table, track_id, start, media[: sum(table.sizes)])
        rest.keys = tuple(key - early for key in self.keys if key > early)
        rest.continued = self.continued
        return Fragment(self.start, start - self.start, self.independent, early, b""), self._led(rest)

    def moved(self, later: int, shown_earlier: int, track_id: int) -> "Fragment":
        """The same samples, decoded at other times and composed at other offsets, in ticks; written anew."""
        table = self.table
        assert table is not None
        table = replace(table, shifts=tuple(shift - shown_earlier for shift in table.shifts))
        media = memoryview(self.data)[self.media : self.media + sum(table.sizes)]
        moved = of_samples(table, track_id, self.start + later, media)
        moved.keys = self.keys
        return self._led(moved)

    def _led(self, first: "Fragment") -> "Fragment":
        """What begins this fragment, written anew, with what stands before it."""
        first.data = self.data[: self.lead] + first.data
        first.lead, first.media = self.lead, first.media + self.lead
        return first


def of_samples(samples: Samples, track_id: int, start: int, media: bytes | memoryview) -> Fragment:
    """The fragment of these samples; `start` is the first one's decode time, `media` their bytes."""
    data = samples.written(track_id, start, media)
    independent = not samples.flags[0] & NON_SYNC
    media_at = len(data) - len(media)
    return Fragment(start, sum(samples.durations), independent, len(samples), data, samples, samples, media_at)


class FragmentReader:
    """Push parser of one track's body: init sections and fragments, whatever the pieces.

    `largest` bounds a box and so the memory one request can take. `known` is the init section of fragments that come
    without one.
    """

    def __init__(self, largest: int, known: InitSection | None = None) -> None:
        self.is_last = False
        """A segment of brand `lmsg` has begun."""
        self.is_closed = False
        """`mfra` has come: there is no more."""
        self._known = known
        smaller = dict.fromkeys(("ftyp", "moov", "styp"), min(largest, LARGEST_INIT))
        self._boxes = BoxReader(largest, {**smaller, "moof": min(largest, LARGEST_MOOF)})
        self._largest = largest
        self._ftyp: bytes | None = None
        self._track: Track | None = None if known is None else known.track
        self._moof: tuple[Box, Fragment, int, int] | None = None
        self._lead = b""

    @property
    def offset(self) -> int:
        """Where in the body the next box begins."""
        return self._boxes.offset

    @property
    def held(self) -> int:
        """Bytes of the body that are no whole fragment or init section yet."""
        return self._boxes.held + (len(self._moof[0].data) if self._moof is not None else 0)

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
                    raise NeedsInit(where, "a fragment", _INIT_FIRST)
                fragment, first, end = read_moof(box, self._track)
                self._moof = (box, fragment, first, end)
            case "mdat":
                return self._join(box, where)
            case "styp":
                self.is_last = self.is_last or b"lmsg" in _brands(box)
            case "prft" | "emsg" | "sidx" if self._track is None:
                raise NeedsInit(where, f"the {box.kind} of a fragment", _INIT_FIRST)
            case "prft" | "emsg":
                self._lead += box.data
                if len(self._lead) > LARGEST_LEAD:
                    raise TooLarge(where, f"{len(self._lead)} bytes of prft and emsg", f"at most {LARGEST_LEAD}")
            case "mfra":
                self.is_closed = True
            case "sidx" | "free":
                pass
            case _ if self._ftyp is None and self._known is None:
                raise BadMedia(where, f"{box.kind!r}", "ftyp at the start of the body")
        return None

    def _join(self, mdat: Box, where: str) -> Fragment:
        if self._moof is None:
            raise BadMedia(where, "mdat", "a moof before it (ffmpeg: -movflags cmaf+empty_moov)")
        moof, fragment, first, end = self._moof
        low, high = len(moof.data) + mdat.header, len(moof.data) + len(mdat.data)
        if first < low or end > high:
            found = f"samples at bytes {first} to {end} from their moof"
            raise BadMedia(where, found, f"them inside this mdat, {low} to {high}")
        self._moof = None
        fragment.data = self._lead + moof.data + mdat.data
        fragment.lead = len(self._lead)
        fragment.media += fragment.lead
        self._lead = b""
        return fragment


def _brands(styp: Box) -> list[bytes]:
    """The major brand and the compatible ones."""
    payload = bytes(styp.payload)
    return [payload[at : at + 4] for at in (0, *range(8, len(payload), 4))]


def read_moof(moof: Box, track: Track) -> tuple[Fragment, int, int]:
    """(fragment without data, first byte, end) of a moof; the bytes are counted from the moof's first."""
    where = f"byte {moof.offset}, moof"
    parts = list(children(moof.payload, where))
    trafs = [payload for kind, payload in parts if kind == "traf"]
    if len(trafs) != 1:
        raise BadMedia(where, f"{len(trafs)} track fragments", "one")
    sequence = next((int.from_bytes(payload[4:8], "big") for kind, payload in parts if kind == "mfhd"), 0)
    where = f"{where}/traf"
    defaults = (track.default_duration, track.default_size, track.default_flags)
    start: int | None = None
    truns: list[memoryview] = []
    descriptions: list[bytes] = []
    groups: list[tuple[bytes, Runs]] = []
    seen_header = False
    divisible = in_a_row = True
    for kind, payload in children(trafs[0], where):
        fields = Fields(payload, f"{where}/{kind}")
        match kind:
            case "tfhd":
                seen_header = True
                defaults = _read_tfhd(fields, track)
            case "tfdt":
                version, _ = fields.version_and_flags()
                start = fields.uint(8 if version == 1 else 4)
                if start >= 2**63:
                    start -= 2**64  # the field has no sign, and ffmpeg writes -336 into it all the same
            case "trun":
                truns.append(payload)
            case "sgpd":
                descriptions.append(bytes(payload))
            case "sbgp":
                groups.append(_read_sbgp(fields))
            case _:  # `senc` and `subs`, for example, speak of samples by their place
                divisible = False
    if not seen_header or start is None or not truns:
        raise BadMedia(where, "a track fragment without tfhd, tfdt or trun", "all three")
    first = at = len(moof.data) + 8
    runs: list[_Run] = []
    room = MOST_SAMPLES
    for index, payload in enumerate(truns):
        run = _read_trun(Fields(payload, f"{where}/trun"), *defaults, room)
        room -= len(run.sizes)
        if run.offset is not None:
            in_a_row = in_a_row and (index == 0 or run.offset == at)
            at = run.offset
        if index == 0:
            first = at
        at += sum(run.sizes)
        runs.append(run)
    table = Samples(
        durations=tuple(chain.from_iterable(run.durations for run in runs)),
        sizes=tuple(chain.from_iterable(run.sizes for run in runs)),
        flags=tuple(chain.from_iterable(run.flags for run in runs)),
        shifts=tuple(chain.from_iterable(run.shifts for run in runs)),
        sequence=sequence,
        descriptions=tuple(descriptions),
        groups=tuple(groups),
    )
    samples, total = len(table), sum(table.durations)
    if samples == 0 or total == 0:
        raise BadMedia(where, f"{samples} samples of {total} ticks", "samples that last")
    row = table if in_a_row else None
    independent = not table.flags[0] & NON_SYNC
    fragment = Fragment(start, total, independent, samples, b"", row if divisible else None, row, first)
    if track.kind is Kind.VIDEO:
        fragment.keys = tuple(key for key in table.sync_samples() if key)
    return fragment, first, at


def _read_tfhd(fields: Fields, track: Track) -> tuple[int, int, int]:
    """Duration, size and flags of samples whose run does not say them."""
    _, given = fields.version_and_flags()
    if (track_id := fields.uint(4)) != track.track_id:
        raise NeedsInit(fields.where, f"track {track_id}", f"the init section's track {track.track_id}")
    if given & 0x1:
        # Absolute offsets are only right in the one file the muxer had in mind.
        raise BadMedia(
            fields.where, "a base data offset", "default-base-is-moof (ffmpeg: -movflags +default_base_moof)"
        )
    fields.take(4 if given & 0x2 else 0)
    duration = fields.uint(4) if given & 0x8 else track.default_duration
    size = fields.uint(4) if given & 0x10 else track.default_size
    return duration, size, fields.uint(4) if given & 0x20 else track.default_flags


def _read_sbgp(fields: Fields) -> tuple[bytes, Runs]:
    head = bytes(fields.take(8))
    head += bytes(fields.take(4)) if head[0] == 1 else b""
    count = fields.uint(4)
    words = fields.words(2 * count)
    return head, tuple(zip(words[::2], words[1::2], strict=True))


@dataclass(slots=True)
class _Run:
    offset: int | None
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    flags: tuple[int, ...]
    shifts: tuple[int, ...]


def _read_trun(fields: Fields, duration: int, size: int, flags: int, room: int) -> _Run:
    """`room`: the samples that the fragment may still have."""
    version, given = fields.version_and_flags()
    if (samples := fields.uint(4)) > room:
        found = MOST_SAMPLES - room + samples
        raise TooLarge(fields.where, f"{found} samples in one fragment", f"at most {MOST_SAMPLES}")
    offset = int.from_bytes(fields.take(4), "big", signed=True) if given & 0x1 else None
    first_flags = fields.uint(4) if given & 0x4 else None
    columns = [bit for bit in (0x100, 0x200, 0x400, 0x800) if given & bit]
    width = len(columns)
    # One unpack for the whole table: fragments of a second hold up to sixty rows, audio more.
    table = fields.words(samples * width)

    def column(bit: int, default: int) -> tuple[int, ...]:
        return table[columns.index(bit) :: width] if given & bit else (default,) * samples

    marks = column(0x400, flags)
    if first_flags is not None and samples:
        marks = (first_flags, *marks[1:])
    shifts = column(0x800, 0)
    if version:
        shifts = tuple(shift - 2**32 if shift >= 2**31 else shift for shift in shifts)
    return _Run(offset, column(0x100, duration), column(0x200, size), marks, shifts)
