"""Plans: what the machine tells the shell to do.

A request is answered at once (`Serve`, `Refuse`) or it has a ticket and waits (`Fetch`, `Join`). When the origin's
response lands, `Landing.answers` has an answer for every ticket; the leader of a fill is only the first of those who
wait.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cdnkit.policy.gate.admission import Admitted
from cdnkit.policy.http.messages import Lines, RequestHead
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.outcomes import Cause, Outcome, Purpose, Refusal, RefusalKind
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.slices import Assembly, Block


class PreparedRefusal:
    """What all that are refused for one reason, under one rule and in one second, are sent
    (`cdnkit/policy/answer/refusals.py`)."""

    __slots__ = ("body", "kind", "lines", "parts", "second")

    def __init__(self, kind: RefusalKind, second: int, lines: Lines, body: bytes) -> None:
        self.kind = kind
        self.second = second
        """The Unix time of its Date."""
        self.lines, self.body = lines, body
        self.parts: Any = None
        """What a shell made of them."""


@dataclass(slots=True)
class Refuse:
    """Respond without the cache: a check of the gate refused, or the parent failed."""

    status: int
    reason: str
    """Rule and fact, for the viewer and the record: "token: expired", "geo: KP is denied"."""
    headers: Lines
    rule: Rule
    outcome: Outcome = Outcome.REFUSED
    body: bytes = b""
    """A page or a line that says why."""
    words: str = ""
    """The vendor's words for a failure of the parent."""
    silent: bool = False
    """The parent did not respond at all."""
    admitted: Admitted | None = None
    """What the gate made of the request, with its token; None: the request goes on as it came."""
    refusal: Refusal | None = None
    """The gate's; None for a failure."""
    prepared: PreparedRefusal | None = None
    """Its lines are the first of the headers, and its body is the body."""


@dataclass(slots=True)
class Fetch:
    """An upstream request to make. It ends with exactly one response or failure, even if the first client leaves."""

    id: int
    ticket: int
    """Of the first request that waits for it; 0 for a refresh, for which nobody waits."""
    purpose: Purpose
    request: RequestHead
    """What to send to the parent, with the Host among its fields, or else with the parent's own."""
    key: str
    rule: Rule
    cause: Cause | None
    entry: Entry | None = None
    """The stored response that it validates."""
    collapsible: bool = True
    """Other requests may join it."""
    sent_at: float = 0.0
    flight_key: str = ""
    """Identifies the requests that may join it: the cache key, and the range where one is forwarded."""
    refusal: Refusal | None = None
    """The gate's, where it fetches the error page for a refusal."""
    admitted: Admitted | None = None
    """As of a `Refuse`."""

    @property
    def outcome(self) -> Outcome:
        """The outcome in the record if the client leaves before anything landed."""
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
    """Respond with a stored response, complete or still filling: the shell has its body under `entry.id`."""

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
    """Of a multipart/byteranges response: its framing and the parts of the stored body, in order."""
    blocks: Iterator[Block] | None = None
    """Of a response put together from slices: the blocks whose bytes follow, in order."""
    refresh: Fetch | None = None
    """A fetch to start in the background."""
    fetch_id: int = 0
    """The fill that brought it, for the record; 0 for a hit."""
    prepared: bool = False
    """A plain hit: `entry.prepared` are the first of the headers."""
    refusal: Refusal | None = None
    """The gate's, where it is the page of a refusal."""
    admitted: Admitted | None = None
    """As of a `Refuse`."""
    shell: Any = field(default=None, init=False, compare=False)
    """What a shell has made of its head, for all who get it."""

    @property
    def reason(self) -> str:
        return "" if self.refusal is None else self.refusal.reason


@dataclass(slots=True)
class Relay:
    """Pass the parent's response on to one viewer as it comes; nothing is stored."""

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
    """Put the response together from blocks: a request to the machine for each, by `assembly`, the opening one first.

    `EdgeMachine.assembled` makes the head, from the response to the opening block.
    """

    assembly: Assembly
    rule: Rule
    outcome: Outcome = Outcome.HIT
    """The outcome in the record while no block needed the parent; the first block that does decides it."""
    cause: Cause | None = None
    admitted: Admitted | None = None
    """As of a `Refuse`."""


Decision = Serve | Fetch | Join | Refuse
Plan = Decision | Assemble
Answer = Serve | Relay | Fetch | Refuse


@dataclass(slots=True)
class Landing:
    """What follows from a response (or a failure) of the parent, for the store and for all who wait."""

    answers: dict[int, Answer] = field(default_factory=dict)
    """Ticket -> answer. A `Fetch` here is a new obligation, for a request that may not share what came; so is the
    `refresh` of a `Serve`, whether its viewer is still there or not."""
    store: Entry | None = None
    """Store (or share) the body that follows under this entry's id; None: relay it or discard it."""
    prefix: int | None = None
    """The body that follows is stored behind the body of this entry: a part is being completed."""
    coding: str = ""
    """The content coding to put on the body that follows; "": as it comes."""
    cut_at: int | None = None
    """The most bytes that the body may have, which is cut off there; None: no bound."""
    dropped: list[int] = field(default_factory=list)
    """Ids of entries whose bodies are no longer needed."""
    changed: list[Entry] = field(default_factory=list)
    """Stored responses with a new head or lifetime, for a shell that also stores heads."""
    marks: list[str] = field(default_factory=list)
    """Marks on what is purged in a shared tier (cdnkit/policy/machine/purge_marks.py)."""


class PurgeKind(StrEnum):
    """What a purge order names."""

    URL = "url"
    SURROGATE_KEYS = "surrogate-keys"
    """All that has any of them: one order for any number of keys."""
    PREFIX = "prefix"
    """Every URL with this prefix: a wildcard at the end of a path."""
    EVERYTHING = "everything"

    @classmethod
    def _missing_(cls, value: object) -> "PurgeKind | None":
        """Records of earlier versions have a kind of their own for one key."""
        return cls.SURROGATE_KEYS if value == "surrogate-key" else None


@dataclass(slots=True)
class PurgeOrder:
    """Remove stored responses (hard), or make them stale so that they are revalidated (soft)."""

    kind: PurgeKind
    value: str = ""
    """For `URL` a path with its query, for `PREFIX` the beginning of one (scheme and host only choose among several
    services), for `SURROGATE_KEYS` keys separated by spaces, as in the field `Surrogate-Key`; else ""."""
    soft: bool = False
    service: str = ""
    """Of several services, the one that it is for; "": the one that names the URL's host, or else all."""


@dataclass(slots=True)
class Purged:
    """The result of a purge."""

    count: int
    """The number of stored responses that it removed or made stale."""
    dropped: list[int]
    """Ids of entries whose bodies are no longer needed."""
    changed: list[Entry] = field(default_factory=list)
    """Stored responses that it made stale, if they are not very many: those the machine's `settle` names, later."""
    everything: bool = False
    """No body is needed any more; `dropped` does not list them."""
    lasting: bool = True
    """Set by the shell: False if the purge will not outlive the process."""
