"""One live stream as a machine: it takes init sections, fragments and ends, and numbers segments.

A *generation* is one run of one encoder. All tracks of a stream come from the same encoder, so a second init section
for a track that the generation already has means that the encoder began anew, and the whole stream begins a new
generation with it, behind one discontinuity that has the same number in every track.

| happens                                     | then                                                             |
|---------------------------------------------|------------------------------------------------------------------|
| init section, track new to the generation   | the track joins it                                               |
| the same, track already in it, new encoder  | new generation; senders of the old one are superseded            |
| other init section, or decode times jump,   | new generation; the other POSTs move over to it, leftovers of the |
|   of a sender                               |   old timeline are dropped                                       |
| the last sender ends properly, on all tracks| the stream has ended                                             |
| the last sender breaks off, and none goes on| what is complete is published; the next POST begins a generation |
| a sender goes on where one broke off, or is | nothing: the generation goes on (origin/live/feeds.py says who does)  |
|   one of several redundant ones             |                                                                  |

Segment *i* of a generation has number `base + i` in every track, so tracks stay in step; where a track has nothing
for a number its siblings have, it lists a gap (EXT-X-GAP). Numbering happens here, at once; storing and listing are
the publisher's, in the order of each track's `outbox`. No I/O, and `now` is an argument.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from origin.live.account import MOST_COMPLAINTS, Account, Remark
from origin.live.feeds import Feeds
from origin.live.ingest_paths import Names
from origin.live.parts import Part, is_independent
from origin.live.segmenter import Segment, Segmenter
from origin.live.session import Generation, Session, State
from origin.live.timeline import WAIT_S
from origin.live.window import Entry, Numbered, TrackWindow
from origin.media.fragments import Fragment
from origin.media.tracks import InitSection, Kind, Track

MOST_GAPS = 200
"""In a row: more missing numbers than that are no gaps, and the window begins anew."""


class Stream:
    """One stream's state. Mutable; one event loop's."""

    def __init__(
        self,
        name: str,
        *,
        length: float,
        target: int,
        largest: int,
        part: float | None = None,
        stalled: float = 60.0,
    ) -> None:
        """`stalled`: seconds after which an encoder that is silent is gone."""
        self.name = name
        self.length = length
        self.target = target
        self.part = None if part is None else Fraction(part).limit_denominator(1_000_000)
        """The part target in seconds; None: segments only."""
        self.largest = largest
        self.windows: dict[str, TrackWindow] = {}
        self.outbox: dict[str, deque[Numbered]] = {}
        self.accounts: dict[str, Account] = {}
        self.without_parts: deque[str] = deque(maxlen=MOST_COMPLAINTS)
        """Tracks that no lawful part can be made of, not logged yet."""
        self.generation: Generation | None = None
        self.feeds = Feeds(self, stalled)
        self.awaited: dict[object, Kind] = {}
        """POSTs that are open and have sent no init section yet, and the kind their names promise."""
        self.posts: Counter[str] = Counter()
        """POSTs that are open, by track: while there is one, this is the stream of its name."""
        self.ended = False
        self.playlist_type = ""
        """EXT-X-PLAYLIST-TYPE: EVENT where nothing leaves the playlists, VOD where nothing comes any more."""
        self.next_number = 0
        self.next_discontinuity = 0
        self.last_generation = 0
        self.listed_until = 0.0
        """Program date-time at the end of what was numbered so far."""
        self._last_numbers: dict[str, int] = {}
        self._numbered: dict[int, Entry] = {}

    @property
    def tracks(self) -> set[str]:
        """Names of the tracks that the stream has, or will have."""
        return self.tracks_in_use | self.windows.keys() | self.outbox.keys()

    @property
    def tracks_in_use(self) -> set[str]:
        """Tracks that are posted now, or will be, or were in this generation: within one, a name stays taken."""
        return {*self.posts, *self.feeds.tracks, *(self.generation.sessions if self.generation else ())}

    def is_live(self, name: str) -> bool:
        """Whether a track may publish more: it is fed, or something of it is yet to be listed."""
        session = self.generation.sessions.get(name) if self.generation else None
        fed = name in self.posts or (session is not None and session.state is State.LIVE)
        return fed or bool(self.outbox.get(name))

    def may_list(self, name: str, number: int) -> bool:
        """Whether the track may yet list this number: numbered and not listed, or still to come."""
        if self.outbox.get(name):
            return True
        session = self.generation.sessions.get(name) if self.generation is not None else None
        if session is None or number < session.generation.base:
            return False
        if session.state is State.LIVE:
            return True
        # Sound that has ended waits for the pictures to be cut.
        return session.segmenter.samples > 0 and number == session.generation.base + (session.index or 0)

    def memory_of(self, name: str) -> int:
        """Bytes, about, of a track's media that no segment has taken yet."""
        session = self.generation.sessions.get(name) if self.generation else None
        return (session.segmenter.memory if session is not None else 0) + self.feeds.held_by(name)

    def forget(self, name: str) -> list[Remark]:
        """Forget a track. Its name stays taken in this generation: a new POST of it begins another generation.

        Returns what is yet to be logged of it.
        """
        self.windows.pop(name, None)
        self.outbox.pop(name, None)
        self._last_numbers.pop(name, None)
        if self.generation is not None and name in self.generation.sessions:
            self.generation.sessions[name].segmenter.drop("the track has been forgotten")
        account = self.accounts.pop(name, None)
        return list(account.complaints) if account is not None else []

    def segmenter(self, name: str, track: Track) -> Segmenter:
        refuse = partial(self.refuse, name, track)
        return Segmenter(track, self.length, self.target, self.largest, refuse)

    def refuse(self, name: str, track: Track, fragments: list[Fragment], why: str) -> None:
        """These are in no segment."""
        self.accounts[name].refuse(track, fragments, why)

    def begin(self, name: str, init: InitSection, now: float, supersede: Callable[[], None]) -> Session:
        """A POST of `name` has sent its init section. `supersede` is called when a newer encoder takes over."""
        self.ended = False
        generation = self.generation
        before = generation.sessions.get(name) if generation is not None else None
        if generation is None or name in generation.sessions:
            for session in list(generation.sessions.values()) if generation else ():
                self._retire(session)
            generation = self._open(now)
        self.accounts.setdefault(name, Account())
        session = Session(self, name, init, supersede)
        if before is not None:
            session.hand.over = before.hand.close()
        session.attach(generation, carried=False)
        return session

    def awaiting(self, post: object, kind: Kind) -> None:
        """A POST has opened; audio waits for video that is on its way."""
        self.awaited[post] = kind

    def stop_awaiting(self, post: object) -> None:
        """The POST has sent its init section, or never will."""
        if self.awaited.pop(post, None) is not None and self.generation is not None:
            self.follow(self.generation)
            self.update_ended()

    def reopen(self, by: Session, now: float) -> None:
        """`by` jumped, or sent another init section: a new generation, and its siblings come along."""
        sessions = [s for s in by.generation.sessions.values() if s.state is State.LIVE]
        for session in by.generation.sessions.values():
            session.flush()
        generation = self._open(now)
        for session in sessions:
            session.attach(generation, carried=session is not by)

    def _retire(self, session: Session) -> None:
        session.flush()
        if session.state is State.LIVE:
            session.state = State.SUPERSEDED
            session.supersede()

    def _open(self, now: float) -> Generation:
        # Seconds since 1970: a number no earlier run can have used, even where the storage folder was emptied.
        self.last_generation = max(self.last_generation + 1, int(now))
        self.generation = Generation(self.last_generation, self.next_number)
        return self.generation

    def follow(self, generation: Generation) -> None:
        """Cuts audio where the video was cut; by length where there is no video."""
        video = any(
            session.state is State.LIVE and session.track.kind is Kind.VIDEO for session in generation.sessions.values()
        ) or (generation is self.generation and Kind.VIDEO in self.awaited.values())
        timeline = generation.timeline
        for session in generation.sessions.values():
            if session.track.kind is Kind.VIDEO or session.index is None:
                continue
            segmenter = session.segmenter
            if session.index == 0 and timeline.start is not None:
                # Sound from before the first picture would make the first segment longer than the target duration.
                segmenter.drop_before(
                    timeline.start - Fraction(1, 2), "more than half a second before the first picture"
                )
            if session.index < timeline.first:
                # So far behind that nobody knows where it is to be cut.
                session.index = timeline.first
                segmenter.drop_before(timeline.boundaries[0], "hours behind the pictures")
            while session.index < timeline.count and segmenter.reaches(timeline.end_of(session.index)):
                if segment := segmenter.take(timeline.end_of(session.index)):
                    session.number(segment)
                else:  # everything held belongs behind it
                    session.index += 1
            if session.state is not State.LIVE and (not video or session.index < timeline.count):
                session.flush()  # what is left ends before the pictures' next cut
                continue
            # Video that lags by more than it should is not waited for: sound goes on. Where the pictures have ended, a
            # little more sound is waited for: the end of the last segment is no segment by itself.
            patience = max(WAIT_S, 3 * self.target) if video else Fraction(0)
            ending = not video and timeline.start is not None
            while segmenter.held > patience and segmenter.reaches() and not (ending and segmenter.fits):
                if segment := segmenter.take():
                    session.number(segment)
        if self.part is not None:
            self._list_parts(generation, video=video)

    def _list_parts(self, generation: Generation, *, video: bool) -> None:
        """Parts of pictures as they come, then those of sound that pictures have reached."""
        timeline = generation.timeline
        for session in generation.sessions.values():
            if session.track.kind is Kind.VIDEO:
                session.list_parts(None)
                if session.index == timeline.count and (until := session.segmenter.settled_until) is not None:
                    timeline.reach(until)
        for session in generation.sessions.values():
            if session.track.kind is Kind.AUDIO and session.index is not None:
                if timeline.first <= session.index < timeline.count:
                    session.list_parts(timeline.end_of(session.index))
                elif video:
                    session.list_parts(timeline.reached or Fraction(0))
                else:
                    session.list_parts(session.segmenter.next_boundary)

    def place(self, session: Session, segment: Segment, index: int) -> None:
        """Makes the entry of segment `index` of the session's generation, gaps before it filled."""
        entry = self._entry(session, index, segment.start, segment.duration, segment.size)
        entry.received = session.arrivals.of_segment(segment.fragments[-1].end)
        self._fill(session.name, entry)
        self._last_numbers[session.name] = entry.number
        self._numbered[entry.number] = entry
        if len(self._numbered) > 256:
            del self._numbered[min(self._numbered)]
        self.numbered(session.name, Numbered(entry=entry, segment=segment))

    def place_part(self, session: Session, fragments: list[Fragment]) -> None:
        """Makes the next part of the session's segment in hand, gaps before the segment filled."""
        assert session.parts is not None and session.index is not None
        maker, duration = session.parts, sum(fragment.duration for fragment in fragments)
        begun = fragments[-1].end - maker.start
        head = self._entry(session, session.index, maker.start, begun, 0)
        if maker.count == 0:
            self._fill(session.name, head)
            self._last_numbers[session.name] = head.number - 1
        part = Part(
            number=head.number,
            index=maker.count,
            generation=head.generation,
            discontinuity=head.discontinuity,
            init=head.init,
            at=head.at,
            duration=float(session.segmenter.seconds(duration)),
            independent=is_independent(fragments, session.track.kind),
            size=sum(len(fragment.data) for fragment in fragments),
            received=session.arrivals.of(fragments[-1].end),
        )
        maker.count += 1
        session.hand.parts.append(fragments[-1].end)
        self.numbered(session.name, Numbered(part=part, fragments=fragments))

    def _entry(self, session: Session, index: int, start: int, duration: int, size: int) -> Entry:
        """Of segment `index` of the session's generation, or of what there is of it; times in ticks."""
        generation = session.generation
        assert generation.anchor is not None
        if generation.discontinuity is None:
            generation.discontinuity = self.next_discontinuity
            self.next_discontinuity += 1
        number = generation.base + index
        seconds = session.segmenter.seconds
        wall, media = generation.anchor
        entry = Entry(
            number=number,
            generation=generation.id,
            discontinuity=generation.discontinuity,
            start=float(seconds(start)),
            duration=float(seconds(duration)),
            at=wall + float(seconds(start) - media),
            size=size,
            init=session.init.id,
            decode_time=start,
            ticks=duration,
        )
        self.next_number = max(self.next_number, number + 1)
        self.listed_until = max(self.listed_until, entry.at + entry.duration)
        return entry

    def _fill(self, name: str, entry: Entry) -> None:
        last = self._last_numbers.get(name)
        if last is None or (entry.number - last > MOST_GAPS and not self.playlist_type):
            return  # nothing before it, or so long ago that the window begins anew
        before = self._numbered.get(last, entry)
        for number in range(last + 1, entry.number):
            like = self._numbered.get(number)
            if like is None:  # none of the tracks has it
                like = replace(
                    before, number=number, start=before.start + before.duration, at=before.at + before.duration
                )
                self._numbered[number] = like
            duration = min(like.duration, float(self.target))
            gap = replace(like, duration=duration, size=0, init=entry.init, gap=True, ticks=0, i_frames=())
            self.numbered(name, Numbered(entry=gap))
            before = like

    def numbered(self, name: str, item: Numbered) -> None:
        self.outbox.setdefault(name, deque()).append(item)

    def update_ended(self) -> None:
        """Set `ended`: the stream has ended when every track of the generation ended properly."""
        if self.generation is None or self.awaited:
            return
        states = {session.state for session in self.generation.sessions.values()}
        self.ended = states == {State.ENDED}

    def to_json(self, name: str) -> dict[str, Any]:
        """The state of the stream and of one of its tracks that is to survive a restart."""
        return {
            "ended": self.ended,
            "playlist_type": self.playlist_type,
            "session": self._session_to_json(name),
            "next_discontinuity": self.next_discontinuity,
            "last_generation": self.last_generation,
            "names": self.feeds.names.to_json() if self.feeds.names is not None else None,
            "window": self.windows[name].to_json(),
        }

    def _session_to_json(self, name: str) -> dict[str, Any] | None:
        """Of a track that is being fed: what its next segment needs."""
        session = self.generation.sessions.get(name) if self.generation is not None else None
        if session is None or session.state is not State.LIVE or session.generation.anchor is None:
            return None
        wall, media = session.generation.anchor
        return {
            "generation": session.generation.id,
            "base": session.generation.base,
            "anchor": [wall, *media.as_integer_ratio()],
        }

    def resume(self, name: str, values: dict[str, Any], now: float) -> None:
        """Takes one track up where `to_json` left it; the next POST begins a new generation.

        KeyError, TypeError, ValueError: the values are not what `to_json` gave.
        """
        window = TrackWindow.from_json(name, values["window"])
        ended = bool(values["ended"])
        self.ended = ended and (self.ended or not self.windows)
        self.playlist_type = self.playlist_type or str(values.get("playlist_type", ""))
        self.next_discontinuity = max(self.next_discontinuity, int(values["next_discontinuity"]))
        self.last_generation = max(self.last_generation, int(values["last_generation"]))
        self.windows[name] = window
        if (names := values.get("names")) is not None:
            self.feeds.name(Names.from_json(names), now)
        self.next_number = max(self.next_number, window.next_number)
        if window.listed:
            self._last_numbers[name] = window.next_number - 1
            last = window.listed[-1]
            self.listed_until = max(self.listed_until, last.at + last.duration)
            self._numbered.update({entry.number: entry for entry in window.listed if not entry.gap})
