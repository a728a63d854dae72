"""Fragments that an earlier run of the origin had in hand become the segments that they were to be.

They have the numbers, names, dates and bytes that they would have had, so that whoever has parts of one goes on with
the rest of it. The segment in hand is as long as what came of it: the next one begins behind it. The generation goes on
where an encoder does: its tracks are as those of a sender whose connection has broken off. An encoder that begins anew,
or that left out more than nothing, begins a generation of its own, as ever. Pure: no I/O.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from origin.errors import BadMedia
from origin.live.account import Account
from origin.live.segmenter import Segment
from origin.live.session import Generation, Session, State
from origin.live.stream import Stream
from origin.live.timeline import Timeline
from origin.live.window import TrackWindow
from origin.media.fragments import Fragment
from origin.media.tracks import InitSection, Kind


@dataclass(slots=True)
class InHand:
    """What the files of one track say."""

    init: InitSection
    fragments: list[Fragment]
    generation: int
    base: int
    """Media sequence number of the generation's segment 0."""
    numbers: dict[int, int]
    """By start of a fragment, the number of the segment that was in hand when its file was written."""
    discontinuity: int | None
    anchor: tuple[float, Fraction]
    """(Unix seconds, decode seconds) of one instant."""
    parts: list[int]
    """Where its listed parts end, in ticks."""


def recover(stream: Stream, found: Mapping[str, InHand], now: float) -> list[str]:
    """Numbers what each track had in hand; returns what went wrong. Only before the stream's first POST.

    A track that was fed and had nothing in hand is in `found`, too, with no fragments.
    """
    wrong = []
    for id in sorted({one.generation for one in found.values()}):
        tracks = {name: one for name, one in found.items() if one.generation == id}
        wrong += _recover(stream, id, tracks, now)
    return wrong


def _recover(stream: Stream, id: int, found: Mapping[str, InHand], now: float) -> list[str]:
    any_of = next(iter(found.values()))
    listed = [entry for window in stream.windows.values() for entry in window.listed if entry.generation == id]
    known = {entry.discontinuity for entry in listed} | {one.discontinuity for one in found.values()} - {None}
    generation = Generation(id, any_of.base, anchor=any_of.anchor, discontinuity=next(iter(known), None))
    stream.last_generation = max(stream.last_generation, id)
    if generation.discontinuity is not None:
        stream.next_discontinuity = max(stream.next_discontinuity, generation.discontinuity + 1)
    cuts = {number: end for window in stream.windows.values() for number, end in _cuts(window, id)}
    wrong = []
    for name, one in sorted(found.items(), key=lambda row: row[1].init.track.kind is not Kind.VIDEO):
        window = stream.windows.get(name)
        if window is not None and any(entry.generation > id for entry in window.listed):
            continue  # a newer encoder took over: all of it was published before
        last = next((entry for entry in reversed(window.listed) if entry.generation == id), None) if window else None
        after = None if last is None or last.gap else sum(last.ticks_at(one.init.track.timescale))
        rest = [fragment for fragment in one.fragments if after is None or fragment.end > after]
        if not rest and last is None:
            continue
        number = max(one.numbers[rest[0].start] if rest else 0, last.number + 1 if last is not None else 0)
        account = stream.accounts.setdefault(name, Account())
        session = Session(stream, name, one.init, lambda: None)
        session.attach(generation, carried=False)
        session.segmenter.last_chance = None
        session.index = number - one.base
        fragments = _divided(one.init, rest, after, one.parts)
        account.received += sum(fragment.samples - fragment.continued for fragment in fragments)
        try:
            for segment in _segments(session, fragments, cuts):
                if segment is not None:
                    account.published += segment.samples
                    stream.place(session, segment, session.index)
                    if session.track.kind is Kind.VIDEO:
                        cuts[one.base + session.index] = session.segmenter.seconds(segment.end)
                session.index += 1
        except BadMedia as error:
            session.segmenter.drop("left over from an earlier run of the origin")
            wrong.append(f"{stream.name}/{name}: {error}")
        end = fragments[-1].end if fragments else after
        if end is None or id < stream.last_generation:
            session.state = State.BROKEN
            continue
        session.end = end
        session.is_recovered = session.track.kind is Kind.VIDEO
        if session.parts is not None:
            session.segmenter.last_chance = session.is_last_chance
        taken = [(one.start, one.duration, one.data) for one in rest]
        if last is not None:
            start, ticks = last.ticks_at(session.track.timescale)
            taken.insert(0, (start, ticks, b""))
        stream.feeds.resume(session, taken, end, now)
    if any(session.state is State.LIVE for session in generation.sessions.values()):
        generation.timeline = _timeline(stream, generation, cuts)
        stream.generation = generation
    return wrong


def _timeline(stream: Stream, generation: Generation, cuts: Mapping[int, Fraction]) -> Timeline:
    """Where the pictures were cut, as far as that is known without a hole up to the last cut."""
    if not cuts:
        return Timeline()
    last = first = max(cuts)
    while first - 1 in cuts:
        first -= 1
    listed = [one for window in stream.windows.values() for one in window.listed]
    begun = next((Fraction(one.start) for one in listed if one.number == first), cuts[first])
    boundaries = [cuts[number] for number in range(first, last + 1)]
    return Timeline(start=begun, first=first - generation.base, boundaries=boundaries)


def _cuts(window: TrackWindow, id: int) -> Iterable[tuple[int, Fraction]]:
    """Where segments of pictures of this generation end, in seconds, by number."""
    if window.track.kind is Kind.VIDEO:
        for entry in window.listed:
            if entry.generation == id and not entry.gap:
                yield entry.number, Fraction(sum(entry.ticks_at(window.track.timescale)), window.track.timescale)


def _divided(init: InitSection, fragments: list[Fragment], after: int | None, parts: Iterable[int]) -> list[Fragment]:
    """The fragments behind `after`, divided where a part ended: the parts' bytes are those of the segment."""
    track = init.track
    for at, only_behind in [*([(after, True)] if after is not None else []), *((end, False) for end in parts)]:
        pieces: list[Fragment] = []
        for fragment in fragments:
            index = bisect_left(fragment.starts(), at)
            if fragment.start < at < fragment.end and fragment.table is not None and index < fragment.samples:
                text = track.kind is Kind.TEXT
                halves = fragment.split(at, track.track_id) if text else fragment.divide(index, track.track_id)
                pieces += halves
            else:
                pieces.append(fragment)
        # Of what cannot be divided, the side that its middle is on.
        fragments = [piece for piece in pieces if not only_behind or piece.start + piece.end > 2 * at]
    return fragments


def _segments(session: Session, fragments: list[Fragment], cuts: Mapping[int, Fraction]) -> Iterable[Segment | None]:
    """In order; None: the track has nothing for that number."""
    segmenter = session.segmenter
    for fragment in fragments:
        yield from segmenter.push(fragment)
    if session.track.kind is not Kind.VIDEO:
        assert session.index is not None
        number = session.generation.base + session.index
        while (cut := cuts.get(number)) is not None and segmenter.reaches(cut):
            yield segmenter.take(cut)
            number += 1
    yield from segmenter.flush()
