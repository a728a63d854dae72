"""Who feeds a stream's tracks: senders come, share a track, go, come back, or take it over.

A *sender* is one encoder's way into one track: a request without end, or a request for each segment. A *feed* is a
session of the stream with the senders that it has now.

| happens                                                        | then                                              |
|----------------------------------------------------------------|---------------------------------------------------|
| init section unlike the track's, then a fragment               | a newer encoder: it takes over (`Stream.begin`)   |
| init section like the track's, then a fragment that continues  | it goes on, in the same session; senders that are |
|                                                                | not epoch-locked are superseded by it             |
| the same, and both are epoch-locked                            | redundant encoders: they share the session        |
| the same, and the fragment does not continue                   | a newer encoder: it takes over                    |
| a request without end breaks off, and it was the only sender   | the session waits: `PATIENCE` segments            |
| a sender with a request for each segment falls silent          | the session waits: `stalled` seconds              |
| nobody comes                                                   | the session is interrupted                        |
| a sender ends properly, others send on                         | nothing                                           |
| the last sender ends properly                                  | the track has ended                               |
| one that is epoch-locked, or still known, sends on after that  | a new generation, in which the siblings come along|

No I/O, and `now` is an argument; the shell calls `tick` a few times a second.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from origin.errors import BadMedia
from origin.live.account import Account, Hole
from origin.live.ingest_paths import Names
from origin.live.reception import PATIENCE, Reception, Way
from origin.live.session import Session, State
from origin.media.fragments import Fragment
from origin.media.tracks import InitSection

if TYPE_CHECKING:
    from origin.live.stream import Stream

MOST_SENDERS = 8
"""Of a track, with a request for each segment. Redundancy takes two; connections that were lost leave theirs behind
until they have been silent for long enough."""

Connection = object
"""What tells senders apart that need a request for each segment: the client's address and port."""


@dataclass(slots=True, eq=False)
class Sender:
    """One encoder's way into one track."""

    track: str
    init: InitSection
    way: Way
    tell: Callable[[], None]
    """Called when a newer encoder has taken over."""
    seen_at: float
    """When it sent an init section or a fragment last."""
    connection: Connection = None
    """Of a sender with a request for each segment."""
    feed: "Feed | None" = None
    """None: it has sent no fragment since its init section."""
    is_superseded: bool = False

    def supersede(self) -> None:
        """A newer encoder has taken over."""
        self.is_superseded = True
        self.tell()


@dataclass(slots=True, eq=False)
class Feed:
    """A session and its senders."""

    session: Session
    account: Account
    reception: Reception
    senders: set[Sender]
    waits_until: float | None = None
    """The last sender is gone: how long it may take to come back, or to send what is missing."""
    outcome: State = State.BROKEN
    """What becomes of the track if nothing comes until then."""
    ended_at: int | None = None
    """A sender ended properly here, in ticks."""

    @property
    def is_live(self) -> bool:
        return self.session.state is State.LIVE

    def supersede(self) -> None:
        """A newer encoder has taken over the track."""
        self.reception.drop("ahead of a hole when a newer encoder took over")
        for sender in self.senders:
            sender.supersede()
        self.senders.clear()

    def push(self, fragments: Iterable[Fragment], now: float) -> None:
        for fragment in fragments:
            try:
                self.session.push(fragment, now)
            except BadMedia:
                self.reception.drop("ahead of a hole when the track was broken off")
                self.session.finish(State.BROKEN)
                raise

    def finish(self, how: State, now: float) -> None:
        """Publish what is here; nobody sends any more."""
        if self.is_live:
            # `BadMedia` breaks the session off, and there is nobody to respond to: the account names the samples.
            with suppress(BadMedia):
                self.push(self.reception.drain(now), now)
            self.session.finish(how)


class Feeds:
    """One stream's. `stalled`: seconds after which a sender that is silent is gone."""

    def __init__(self, stream: "Stream", stalled: float) -> None:
        self.stream = stream
        self._stalled = stalled
        self._feeds: dict[str, Feed] = {}
        self._kept: dict[str, dict[Connection, Sender]] = {}
        """Senders with a request for each segment, by track and connection."""
        self.names: Names | None = None
        """What an MPD calls the tracks' requests."""
        self._named_at = 0.0
        self._expected: set[Sender] = set()
        """They have sent an init section and no fragment yet."""

    @property
    def expected(self) -> set[str]:
        """Tracks whose init section has come and whose first fragment has not."""
        return {sender.track for sender in self._expected}

    @property
    def tracks(self) -> set[str]:
        """Tracks whose init section has come, and a sender may go on."""
        return self.expected | self._kept.keys()

    @property
    def live(self) -> set[str]:
        """Tracks that are fed."""
        return {track for track, feed in self._feeds.items() if feed.is_live}

    @property
    def is_idle(self) -> bool:
        """Nobody feeds a track, nor is anybody expected to."""
        named = self.names is not None and not self._feeds
        return not self._expected and not named and not self.live

    def state_of(self, track: str) -> State:
        """How the session of a track stands that has had one."""
        return self._feeds[track].session.state

    def is_fed(self, track: str) -> bool:
        return track in self.expected or ((feed := self._feeds.get(track)) is not None and feed.is_live)

    def held_by(self, track: str) -> int:
        """Bytes of a track's fragments that wait for what lies before them."""
        feed = self._feeds.get(track)
        return feed.reception.held_bytes if feed is not None else 0

    def interrupt(self, track: str, now: float) -> None:
        """Break a track off at the next tick, unless something more of it comes before."""
        if (feed := self._feeds.get(track)) is not None and feed.is_live:
            feed.waits_until, feed.outcome = now, State.BROKEN

    def name(self, names: Names, now: float) -> None:
        """An MPD says what the tracks' requests are called."""
        self.names, self._named_at = names, now

    def resume(self, session: Session, taken: Iterable[tuple[int, int, bytes]], due: int, now: float) -> None:
        """A track that an earlier run of the origin was fed: as if its sender had just broken off.

        `taken`: start, duration and bytes of what came last, which may be missing; `due`: where the next one begins.
        """
        feed = self._feed_of(session)
        session.supersede = feed.supersede
        feed.reception.resume(taken, due, now)
        feed.waits_until, feed.outcome = now + self._stalled, State.BROKEN

    def expect(self, sender: Sender) -> Sender:
        """The sender has sent its init section: it begins, or begins anew, with its next fragment."""
        sender.feed, sender.is_superseded = None, False
        self._expected.add(sender)
        self.stream.awaiting(sender, sender.init.track.kind)
        return sender

    def keep(self, sender: Sender, connection: Connection) -> None:
        """The request ended after the init section: this sender makes a request for each segment."""
        kept = self._kept.setdefault(sender.track, {})
        gone = [kept.pop(connection)] if connection in kept else []
        while len(kept) >= MOST_SENDERS:
            gone.append(kept.pop(min(kept, key=lambda one: kept[one].seen_at)))
        for one in gone:
            self._settle(one)
            if (feed := one.feed) is not None and one in feed.senders:
                feed.senders.discard(one)
                if not feed.senders:
                    feed.waits_until, feed.outcome = sender.seen_at + self._stalled, State.BROKEN
        sender.way, sender.connection = Way.SEGMENTS, connection
        kept[connection] = sender

    def sender_of(self, track: str, connection: Connection, now: float) -> Sender | None:
        """Whose segment it is that comes without an init section; None: the track's init section is not known."""
        kept = self._kept.get(track, {})
        sender = kept.get(connection)
        if sender is None and kept:  # a connection for each request, or a new one for the same sender
            sender = max(kept.values(), key=lambda one: (not one.is_superseded, one.seen_at))
        if sender is None and (feed := self._feeds.get(track)) is not None and feed.is_live:
            sender = Sender(track, feed.session.init, Way.SEGMENTS, _nothing, now, connection)
        return sender

    def push(self, sender: Sender, fragment: Fragment, now: float) -> bool:
        """Takes a fragment. False: the sender is superseded. `BadMedia`: the track is broken off."""
        sender.seen_at = now
        self._settle(sender)
        if sender.way is Way.SEGMENTS:
            self._kept.setdefault(sender.track, {}).setdefault(sender.connection, sender)
        feed = sender.feed
        if feed is None or not feed.is_live or sender not in feed.senders:
            if sender.is_superseded:
                return False
            if self._is_of_the_past(sender, fragment):
                return True
            feed = self._feed_for(sender, fragment, now)
        feed.waits_until = None
        feed.push(feed.reception.take(fragment, now, sender=sender, way=sender.way), now)
        return True

    def renew(self, sender: Sender, init: InitSection, now: float) -> None:
        """Another init section in the middle of a request; an equal one, repeated for late joiners, changes nothing."""
        if init.id == sender.init.id:
            return
        sender.init = init
        feed = sender.feed
        if feed is None or not feed.is_live or sender not in feed.senders:
            return
        self._take_alone(feed, sender)
        feed.push(feed.reception.drain(now), now)
        feed.reception.begin_anew()
        feed.session.renew(init, now)

    def leave(self, sender: Sender, how: State, now: float, *, waits: bool = True) -> None:
        """The sender has ended, or broke off (`State.BROKEN`): the last one decides what becomes of the track.

        `waits`: one that broke off may come back; not so where what it sent was refused, or it was silent for long.
        """
        self.forget(sender)
        feed = sender.feed
        if feed is None or sender not in feed.senders:
            return
        feed.senders.discard(sender)
        if how is State.ENDED:
            feed.ended_at = feed.reception.last
        if feed.senders:
            return
        if waits and (how is State.BROKEN or feed.reception.held):
            feed.waits_until, feed.outcome = now + PATIENCE * self.stream.length, how
        else:
            feed.finish(how, now)

    def forget(self, sender: Sender) -> None:
        """The sender makes no more requests."""
        self._settle(sender)
        kept = self._kept.get(sender.track, {})
        if kept.get(sender.connection) is sender:
            del kept[sender.connection]
            if not kept:
                del self._kept[sender.track]

    def tick(self, now: float) -> None:
        """What time brings: holes are given up, senders that are silent are gone."""
        self._clear(now)
        self._drop_silent(now)
        for feed in self._feeds.values():
            if not feed.is_live:
                continue
            with suppress(BadMedia):  # it breaks the session off, and the account names the samples
                feed.push(feed.reception.expire(now), now)
            if feed.waits_until is not None and now >= feed.waits_until:
                feed.finish(feed.outcome, now)

    def close(self, now: float) -> None:
        """The origin stops: publish what is here."""
        for sender in list(self._expected):
            self.forget(sender)
        for feed in self._feeds.values():
            feed.finish(State.BROKEN, now)

    def _clear(self, now: float) -> None:
        """Forget the feeds of tracks that are forgotten, and names that nobody uses."""
        over = [track for track, feed in self._feeds.items() if not feed.is_live and track not in self.stream.tracks]
        for track in over:
            del self._feeds[track]
        if not self._feeds and now >= self._named_at + self._stalled:
            self.names = None

    def _drop_silent(self, now: float) -> None:
        for sender in [one for kept in self._kept.values() for one in kept.values()]:
            ended_at = sender.feed.ended_at if sender.feed is not None else None
            # Where another one has ended properly, who is not heard of has probably ended as well.
            silent = self._stalled if ended_at is None else min(self._stalled, PATIENCE * self.stream.length)
            if now >= sender.seen_at + silent:
                nothing_since = (
                    ended_at is not None and sender.feed is not None and ended_at == sender.feed.reception.last
                )
                self.leave(sender, State.ENDED if nothing_since else State.BROKEN, now, waits=False)

    def _settle(self, sender: Sender) -> None:
        """It is no longer expected."""
        self._expected.discard(sender)
        self.stream.stop_awaiting(sender)

    def _is_of_the_past(self, sender: Sender, fragment: Fragment) -> bool:
        """A track that is over had this fragment: a redundant encoder, or one that sends it again, is late."""
        feed = self._feeds.get(sender.track)
        if feed is None or feed.is_live or not (sender.feed is feed or feed.reception.locked):
            return False
        if not feed.reception.has(fragment, exactly=False):
            return False
        feed.account.repeated += fragment.samples
        return True

    def _feed_for(self, sender: Sender, fragment: Fragment, now: float) -> Feed:
        """The feed that the sender joins with this fragment, which may be a new one."""
        feed = self._feeds.get(sender.track)
        if feed is not None and feed.session.generation is self.stream.generation:
            like = feed.session.init.is_like(sender.init)
            if feed.is_live and like and feed.reception.continues(fragment, now, sender.way):
                if not feed.reception.locked:
                    self._take_alone(feed, sender)
                return self._join(sender, feed)
            locked = feed.reception.locked and feed.reception.continues(fragment, now, sender.way)
            if not feed.is_live and (sender.feed is feed or (like and locked)):
                # The same encoder, or one that goes on for it, after an interruption: the siblings come along.
                self.stream.reopen(feed.session, now)
        return self._join(sender, self._begin(sender, now))

    def _take_alone(self, feed: Feed, sender: Sender) -> None:
        """The other senders of the feed are superseded."""
        for other in feed.senders - {sender}:
            feed.senders.discard(other)
            self.forget(other)
            other.supersede()

    def _join(self, sender: Sender, feed: Feed) -> Feed:
        feed.senders.add(sender)
        sender.feed = feed
        return feed

    def _begin(self, sender: Sender, now: float) -> Feed:
        feed: Feed
        session = self.stream.begin(sender.track, sender.init, now, lambda: feed.supersede())
        feed = self._feed_of(session)
        return feed

    def _feed_of(self, session: Session) -> Feed:
        name, stream = session.name, self.stream
        account, scale = stream.accounts[name], session.track.timescale

        def refuse(fragments: list[Fragment], why: str) -> None:
            account.received += sum(fragment.samples for fragment in fragments)
            account.refuse(session.track, fragments, why)

        def repeat(fragment: Fragment) -> None:
            account.repeated += fragment.samples

        def hole(start: int, end: int) -> None:
            account.complaints.append(Hole(start / scale, end / scale))

        senders: set[Sender] = set()
        reception = Reception(
            session.track, stream.length, stream.largest, senders, refuse=refuse, repeat=repeat, hole=hole
        )
        feed = self._feeds[name] = Feed(session, account, reception, senders)
        return feed


def _nothing() -> None:
    """A sender whose requests are over by the time it is superseded: the next one is told."""
