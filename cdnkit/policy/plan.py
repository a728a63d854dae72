"""The machine's answers: what the shell is to do.

A request is answered at once (`Serve`, `Refuse`) or it holds a ticket and waits (`Fetch`, `Join`). When the answer of
the origin lands, `Landing.answers` gives every ticket its answer: the leader of a fill is only the first who waited.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from cdnkit.policy.gate.admission import Admitted
from cdnkit.policy.http.messages import Lines, RequestHead
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.outcomes import Cause, Outcome, Purpose, Refusal
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.slices import Assembly, Block


@dataclass(slots=True)
class Refuse:
    """Answer without the cache: a check of the gate refused, or the parent failed."""

    status: int
    reason: str
    """Rule and fact, for the viewer and the record: "token: expired", "geo: KP is denied"."""
    headers: Lines
    rule: Rule
    outcome: Outcome = Outcome.REFUSED
    body: bytes = b""
    """A page or a line that says why."""
    words: str = ""
    """The profile's words for a failure of the parent."""
    silent: bool = False
    """The parent gave no answer at all."""
    admitted: Admitted | None = None
    """What the gate made of the request, with its token; None: the request goes on as it came."""
    refusal: Refusal | None = None
    """The gate's; None for a failure."""


@dataclass(slots=True)
class Fetch:
    """An obligation: exactly one response or failure settles it, however its first asker ends."""

    id: int
    ticket: int
    """The request that waits for it first; 0 for a refresh, for which nobody waits."""
    purpose: Purpose
    request: RequestHead
    """What to send to the parent, under the Host that its fields name, or under the parent's own."""
    key: str
    rule: Rule
    cause: Cause | None
    entry: Entry | None = None
    """The stored response it validates."""
    collapsible: bool = True
    """Others may wait on it."""
    sent_at: float = 0.0
    flight_key: str = ""
    """What others must ask for to wait on it: the cache key, and the range where one was passed on."""
    refusal: Refusal | None = None
    """The gate's, where it asks for the page that its client is shown instead."""
    admitted: Admitted | None = None
    """As of a `Refuse`."""

    @property
    def outcome(self) -> Outcome:
        """What the record says if its asker leaves before anything landed."""
        if self.refusal is not None:
            return Outcome.REFUSED
        return Outcome.PASS if self.purpose is Purpose.PASS else Outcome.MISS


@dataclass(slots=True)
class Join:
    """Wait for a fill that is in flight already."""

    ticket: int
    fetch_id: int
    rule: Rule
    cause: Cause | None
    refusal: Refusal | None = None
    """As of a `Fetch`."""
    admitted: Admitted | None = None
    """As of a `Refuse`."""

    @property
    def outcome(self) -> Outcome:
        return Outcome.COLLAPSED if self.refusal is None else Outcome.REFUSED


@dataclass(slots=True)
class Serve:
    """Answer from a stored response, whole or filling: the shell has its body under `entry.id`."""

    entry: Entry
    status: int
    headers: Lines
    outcome: Outcome
    cause: Cause | None
    rule: Rule
    body: bool = True
    """False: head only (HEAD, 304, 416)."""
    span: Span | None = None
    """The part of the stored body to send; None: all of it."""
    pieces: list[bytes | Span] | None = None
    """Of a multipart/byteranges answer: its framing and the parts of the stored body, in order."""
    blocks: Iterator[Block] | None = None
    """Of an answer put together from slices: the blocks whose bytes follow, in order."""
    refresh: Fetch | None = None
    """To be started behind the viewer's back."""
    fetch_id: int = 0
    """The fill that brought it, for the record; 0 for a hit."""
    refusal: Refusal | None = None
    """The gate's, where it is the page of a refusal."""
    admitted: Admitted | None = None
    """As of a `Refuse`."""

    @property
    def reason(self) -> str:
        return "" if self.refusal is None else self.refusal.reason


@dataclass(slots=True)
class Relay:
    """Pass the parent's answer on to one viewer as it comes; nothing is stored."""

    status: int
    headers: Lines
    outcome: Outcome
    cause: Cause | None
    rule: Rule
    fetch_id: int
    body: bool = True
    refusal: Refusal | None = None
    """As of a `Serve`."""

    @property
    def reason(self) -> str:
        return "" if self.refusal is None else self.refusal.reason


@dataclass(slots=True)
class Assemble:
    """The answer is put together from blocks: ask the machine for each as `assembly` says, the opening one first.

    `EdgeMachine.assembled` makes the head of what the opening block was answered with.
    """

    assembly: Assembly
    rule: Rule
    outcome: Outcome = Outcome.HIT
    """What the record says while no block needed the parent; the first that does has the word."""
    cause: Cause | None = None
    admitted: Admitted | None = None
    """As of a `Refuse`."""


Decision = Serve | Fetch | Join | Refuse
Plan = Decision | Assemble
Answer = Serve | Relay | Fetch | Refuse


@dataclass(slots=True)
class Landing:
    """What an answer (or a failure) of the parent means for everyone concerned."""

    answers: dict[int, Answer] = field(default_factory=dict)
    """Ticket -> answer. A `Fetch` here is a new obligation, for a request that may not share what came; so is the
    `refresh` of a `Serve`, whether its viewer is still there or not."""
    store: Entry | None = None
    """Keep (or share) the body that follows under this entry's id; None: relay it or throw it away."""
    prefix: int | None = None
    """The body that follows is kept behind the whole body of this entry: a part is being completed."""
    coding: str = ""
    """The content coding to put on the body that follows; "": as it comes."""
    cut_at: int | None = None
    """The body is broken off where it grows beyond so many bytes; None: however long it is."""
    dropped: list[int] = field(default_factory=list)
    """Entry ids whose bodies nobody will ask for again."""
    changed: list[Entry] = field(default_factory=list)
    """Stored responses whose heads or lifetimes are not what they were: a shell that keeps heads keeps them anew."""
    marks: list[str] = field(default_factory=list)
    """What a tier that nodes share must not answer with any more (cdnkit/policy/machine/purge_marks.py)."""


class PurgeKind(StrEnum):
    """What a purge order names."""

    URL = "url"
    SURROGATE_KEYS = "surrogate-keys"
    """Whatever has any of them: one order, however many they are."""
    PREFIX = "prefix"
    """Every URL that begins so: what a wildcard at the end of a path says."""
    EVERYTHING = "everything"

    @classmethod
    def _missing_(cls, value: object) -> "PurgeKind | None":
        """Records of earlier versions have a kind of their own for one key."""
        return cls.SURROGATE_KEYS if value == "surrogate-key" else None


@dataclass(slots=True)
class PurgeOrder:
    """Take stored responses away (hard), or make them stale so that they are asked for again (soft)."""

    kind: PurgeKind
    value: str = ""
    """A path with its query for `URL`, the beginning of one for `PREFIX` (scheme and host say no more than whose of
    several services it is), keys separated by spaces as in the field `Surrogate-Key`, or ""."""
    soft: bool = False
    service: str = ""
    """Of one of several services alone; "": of the one that has the URL's host by name, else of all."""


@dataclass(slots=True)
class Purged:
    """What a purge touched."""

    count: int
    """Stored responses it took away or made stale."""
    dropped: list[int]
    """Entry ids whose bodies nobody will ask for again."""
    changed: list[Entry] = field(default_factory=list)
    """Stored responses it made stale."""
    everything: bool = False
    """Nobody will ask again for any body there is; `dropped` does not name them."""
    lasting: bool = True
    """For the shell to say: False when it could not be made to outlive the process."""
