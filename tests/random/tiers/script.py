"""What happens to a cluster of three tiers, as plain values: what a script is made of, whichever world lives it.

origin ── parent ── shield ── fra
                        └──── nyc
"""

from dataclasses import dataclass
from random import Random

from cdnkit.policy.plan import PurgeKind

PARENTS = {"parent": "origin", "shield": "parent", "fra": "shield", "nyc": "shield"}
"""Each node's parent, from the origin outwards."""
EDGES = ("fra", "nyc")
TARGETS = ("/a", "/b", "/c?x=1")
LANGUAGES = ("", "de", "fr")
CONTROLS = (
    "max-age=10", "max-age=10", "max-age=3, stale-while-revalidate=5", "max-age=3, stale-if-error=20", "s-maxage=4",
    "max-age=5, must-revalidate", "no-cache, max-age=5", "max-age=0", "no-store", "private, max-age=9",
)  # fmt: skip
RUDE = (0, 0, 0, 0, 0, 0, 206, 304, 416)
SIZE = 600
"""Bytes of a body."""


@dataclass(frozen=True, slots=True)
class Says:
    """How the origin answers a target from now on."""

    control: str = "max-age=10"
    status: int = 200
    varies: bool = False
    """On Accept-Language."""
    delay: float = 0.1
    dies: str = ""
    """"head": the connection breaks in place of an answer; "body": half-way."""
    sized: bool = True
    age: int = 0
    """Seconds for which the answer has lain in a cache of the origin's own."""
    late: float = 0.0
    """Seconds between the making of an answer and its sending: what is purged meanwhile is under way."""
    rude: int = 0
    """The status of what it answers a GET that did not ask for it: 206, 304 or 416."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A viewer asks an edge."""

    edge: str = "fra"
    target: str = "/a"
    method: str = "GET"
    language: str = ""
    range: tuple[int, int] | None = None
    """First and last byte."""
    known: int = 0
    """The version of which the viewer has a copy: he asks conditionally; 0: none."""


@dataclass(frozen=True, slots=True)
class Say:
    target: str
    says: Says


@dataclass(frozen=True, slots=True)
class Change:
    """The origin has a new version of a target."""

    target: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The `which`-th of those who wait goes away."""

    which: int = 0


@dataclass(frozen=True, slots=True)
class Purge:
    """An operator's order to all nodes: `order` says to whom first."""

    kind: PurgeKind = PurgeKind.URL
    value: str = "/a"
    soft: bool = False
    order: str = "shields-first"


@dataclass(frozen=True, slots=True)
class Link:
    """A node's wire to its parent breaks, with all that is on it, or comes back."""

    node: str
    up: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """A node dies with all it holds and is there again at once, empty; its clock is `ahead` seconds of the true time."""

    node: str
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float = 1.0


Step = Ask | Say | Change | Leave | Purge | Link | Restart | Wait


def content(target: str, language: str, version: int) -> bytes:
    """The bytes of one version of one variant; no two look alike anywhere."""
    mark = f"{target} {language} v{version} ".encode()
    return (mark * (SIZE // len(mark) + 1))[:SIZE]


def tag(target: str, language: str, version: int) -> str:
    return f'"{target.strip("/")}-{language}-{version}"'


WEIGHTS = {Ask: 36, Wait: 25, Say: 10, Change: 5, Leave: 4, Purge: 7, Link: 6, Restart: 3}


def purge_value(kind: PurgeKind, target: str) -> str:
    """Of an order that names this target, perhaps among others."""
    return {
        PurgeKind.URL: target, PurgeKind.PREFIX: target[:-1],
        PurgeKind.SURROGATE_KEYS: f"{target} /none",
    }.get(kind, "")  # fmt: skip


def some_script(chance: Random, length: int) -> list[Step]:
    """A random script of so many steps."""
    kinds = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length)
    return [step for kind in kinds for step in _some(kind, chance)]


def _some(kind: type[Step], chance: Random) -> list[Step]:
    target = chance.choice(TARGETS)
    if kind is Ask:
        ask = Ask(
            chance.choice(EDGES), target, chance.choice(("GET", "GET", "GET", "HEAD")), chance.choice(LANGUAGES),
            chance.choice((None, None, None, (0, 99), (100, 199), (500, 10 * SIZE))), chance.choice((0, 0, 0, 1, 2)),
        )  # fmt: skip
        return [ask] * chance.choice((1, 1, 3))
    if kind is Wait:
        return [Wait(chance.choice((0.01, 0.05, 0.15, 0.5, 1.0, 3.0, 8.0)))]
    if kind is Say:
        status, varies = chance.choice((200, 200, 200, 200, 404, 503)), chance.random() < 0.3
        delay, dies = chance.choice((0.0, 0.1, 0.1, 1.0)), chance.choice(("", "", "", "", "head", "body"))
        late, rude = chance.choice((0.0, 0.0, 0.5, 2.0)), chance.choice(RUDE)
        sized = chance.random() < 0.5
        return [Say(target, Says(chance.choice(CONTROLS), status, varies, delay, dies, sized, late=late, rude=rude))]
    if kind is Change:
        return [Change(target)]
    if kind is Leave:
        return [Leave(chance.randrange(6))]
    if kind is Purge:
        order = chance.choice(("shields-first", "shields-first", "together", "edges-first"))
        named = chance.choice(list(PurgeKind))
        value = purge_value(named, target)
        return [Purge(named, value, chance.random() < 0.5, order)]
    node = chance.choice(list(PARENTS))
    return (
        [Link(node, chance.random() < 0.6)] if kind is Link else [Restart(node, chance.choice((0.0, 0.0, -20.0, 20.0)))]
    )
