"""A node's record files, read as a trace.

Reading costs more than replaying. msgspec makes an object of a line in one step, and of requests it reads at first what
tells plain hits. Nearly all lines are plain hits, and a replay looks at few of them again. So of each, the trace keeps
only when it was and where its line is in the file; the line is read again when it is asked for (`StoredEvents`).
"""

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, overload
from weakref import finalize

import msgspec

from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.lines import FieldLines, LostRecord, PartRecord, Requested
from cdnkit.replay.trace import (
    Alike,
    BadTrace,
    Event,
    Exchange,
    Line,
    Ordered,
    Torn,
    Trace,
    are_plain,
    events_in,
    is_plain,
)

CHUNK_BYTES = 1 << 22
"""Bytes per read: about 10,000 lines, so that progress is visible and a long file is not twice in memory."""
REMEMBERED = 65_536
"""Sets of request fields that are known to be plain."""
READ_BYTES = 2048
"""Bytes per read where one line is read again: most lines have fewer."""


class Glance(msgspec.Struct, tag_field="kind", tag="request", gc=False):
    """As much of a request as tells whether it is a plain hit: the rest of most is never looked at."""

    seq: int
    at: float
    method: str
    url: str
    status: int
    outcome: Outcome
    cause: Cause | None
    headers: msgspec.Raw = msgspec.Raw(b"[]")
    block: int | None = None


_LINES: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_GLANCES: msgspec.json.Decoder[Glance | Exchange | Ordered | LostRecord | PartRecord] = msgspec.json.Decoder(
    Glance | Exchange | Ordered | LostRecord | PartRecord
)
_FIELDS = msgspec.json.Decoder(FieldLines)
_REQUESTED = msgspec.json.Decoder(Requested)


class StoredEvents(Sequence[Event]):
    """The events of a trace, of which most are still in its files."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self.places = array("q")
        """Of each event: where its line begins, or (negative) its index in `kept`, inverted."""
        self._files: list[int] = []
        self._begins: list[int] = []

    def open(self, path: Path, begin: int) -> BinaryIO:
        """One more file, to be read from its beginning. `begin`: where it is, if all lay one behind the other."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finalize(self, os.close, file)
        self._files.append(file)
        self._begins.append(begin)
        return open(file, "rb", closefd=False)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, position: int) -> Event: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Event]: ...
    def __getitem__(self, position: int | slice) -> Event | Sequence[Event]:
        if isinstance(position, slice):
            return [self[one] for one in range(len(self))[position]]
        place = self.places[position]
        if place < 0:
            return self.kept[~place]
        index = bisect_right(self._begins, place) - 1
        line, begin = b"", place - self._begins[index]
        while b"\n" not in line and (some := os.pread(self._files[index], READ_BYTES, begin + len(line))):
            line += some
        try:
            return _REQUESTED.decode(line.partition(b"\n")[0])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadTrace(f"the line at byte {place}: no record: {error}") from error


class _Reading:
    """A trace while it is read, event by event."""

    def __init__(self) -> None:
        self.events = StoredEvents()
        self._seqs = array("q")
        self._places = array("q")
        self._times = array("d")
        self._urls = array("i")
        """Of plain hits, the index of their URL; -1 for all others."""
        self._known: dict[str, int] = {}
        self._plain: set[bytes] = set()
        """The fields of plain requests, in JSON."""
        self._records = self._highest = 0
        self._further = False
        """What comes is of a further worker."""
        self._elsewhere: set[int] = set()
        """Indices in `kept`."""

    def begin_worker(self) -> None:
        """The files of one more worker follow, whose records count by themselves."""
        self._records = self._highest = 0
        self._further = True

    def add_lines(
        self, lines: "Sequence[Glance | Line]", texts: Sequence[bytes], begin: int, path: Path, first: int
    ) -> None:
        """`texts`: of each line, without its end; `begin`: where the first one is; `first`: its number."""
        known, plain, hit, glance = self._known, self._plain, Outcome.HIT, Glance
        seqs, places, times, urls = self._seqs.append, self._places.append, self._times.append, self._urls.append
        for number, (line, text) in enumerate(zip(lines, texts, strict=True)):  # runs for every line of a trace
            if type(line) is not glance:
                assert not isinstance(line, Glance)
                self.keep(line)
            elif (
                line.outcome is hit
                and line.status == 200
                and line.cause is None
                and line.method == "GET"
                and line.block is None
                and (bytes(line.headers) in plain or self._learn(bytes(line.headers)))
            ):
                index = known.get(line.url)
                if index is None:
                    index = known[line.url] = len(known)
                seqs(line.seq)
                places(begin)
                times(line.at)
                urls(index)
                self._records += 1
                if line.seq > self._highest:
                    self._highest = line.seq
            else:
                self.keep(_decoded(text, path, first + number))
            begin += len(text) + 1

    def _learn(self, headers: bytes) -> bool:
        """Whether requests with these fields are plain."""
        if not are_plain(_FIELDS.decode(headers)):
            return False
        if len(self._plain) >= REMEMBERED:
            self._plain.clear()
        self._plain.add(headers)
        return True

    def keep(self, line: Line | Torn) -> None:
        events, self._records, self._highest = events_in(line, self._records, self._highest)
        for event in events:
            if self._further and type(event) is Requested:
                self._elsewhere.add(len(self.events.kept))
            self._seqs.append(event.seq)
            self._places.append(~len(self.events.kept))
            self._times.append(0.0)
            self._urls.append(-1)
            self.events.kept.append(event)

    def trace(self) -> Trace:
        events = self.events
        by_index = [Alike() for _ in self._known]
        plain = dict(zip(self._known, by_index, strict=True))
        others: list[int] = []
        elsewhere: set[int] = set()
        put, places, times, urls = events.places.append, self._places, self._times, self._urls
        for position, number in enumerate(sorted(range(len(self._seqs)), key=self._seqs.__getitem__)):
            place = places[number]
            put(place)
            if place >= 0:
                alike = by_index[urls[number]]
                alike.status = alike.status or 200
                if alike.status != 200:
                    alike.odd.append(len(alike.positions))
                alike.positions.append(position)
                alike.times.append(times[number])
                continue
            event = events.kept[~place]
            if ~place in self._elsewhere:
                elsewhere.add(position)
            if type(event) is Requested and is_plain(event):
                plain.setdefault(event.url, Alike()).add(position, event)
            else:
                others.append(position)
        return Trace(events, plain, others, self._further, frozenset(elsewhere))


def read_trace(
    *paths: Path, workers: Sequence[Sequence[Path]] = (), read: Callable[[int], None] | None = None
) -> Trace:
    """All events of one life of a node, from its files in their order, and those of each further worker. BadTrace names
    the file and the line. `read` is called with the number of bytes of each read.

    What a worker answered has the number of the last event that it knew to be over, and comes behind that.

    Lines that are not JSON, as a full disk or a killed node leaves them, are skipped and counted.
    """
    reading, begin = _Reading(), 0
    for files in (paths, *workers):
        if files is not paths:
            reading.begin_worker()
        for path in files:
            try:
                with reading.events.open(path, begin) as file:
                    begin = _read_file(file, path, begin, reading, read)
            except OSError as error:
                raise BadTrace(f"{path}: {error.strerror}") from error
    return reading.trace()


def _read_file(file: BinaryIO, path: Path, begin: int, reading: _Reading, read: Callable[[int], None] | None) -> int:
    """Read all its lines; returns where the next file begins."""
    first, rest = 1, b""
    while chunk := file.read(CHUNK_BYTES):
        if read is not None:
            read(len(chunk))
        whole, newline, rest_of_chunk = chunk.rpartition(b"\n")
        if not newline:
            rest += chunk
            continue
        whole, rest = rest + whole, rest_of_chunk
        texts = whole.split(b"\n")
        glances = _glanced(whole)
        if len(glances) == len(texts):
            reading.add_lines(glances, texts, begin, path, first)
        else:
            for number, text in enumerate(texts, start=first):
                if text.strip():
                    reading.keep(_decoded(text, path, number))
        begin += len(whole) + 1
        first += len(texts)
    if rest.strip():
        reading.keep(Torn())
    return begin + len(rest)


def _glanced(lines: bytes) -> "Sequence[Glance | Line]":
    """All lines at once, without those that are empty; none, if one is no record."""
    try:
        return _GLANCES.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()


def _decoded(line: bytes, path: Path, number: int) -> Line | Torn:
    """What is not JSON is torn, JSON that is no record is an error."""
    try:
        return _LINES.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if _is_json(line):
            raise BadTrace(f"{path}: line {number}: no record: {error}") from error
        return Torn()


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
