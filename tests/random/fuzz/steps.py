"""What happens to a node, as plain values: drawn from a seed, cut down when they found something, printed as a playbook.

A step names a fetch by its place among those still open ("the second of them"), so that any sub-list of a case is a
case: that is what lets a failing one be made small.
"""

from dataclasses import dataclass, field
from random import Random

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import PurgeKind

Directives = dict[str, str | None]
"""Cache-Control as values: name -> argument, None for a bare one. The oracle reads these, never the text."""


OF_PARENTS = [why for why in Failure if not why.by_viewer]
"""The rest can befall only a request with content, which no step here has."""


@dataclass(slots=True)
class Ask:
    """A viewer's request."""

    target: str = "/a"
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)
    control: Directives = field(default_factory=dict)


@dataclass(slots=True)
class Answer:
    """The origin's response head to the `which`-th open fetch."""

    which: int = 0
    status: int = 200
    control: Directives = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    date_skew: float | None = None
    """Date's distance from now, seconds; None: no Date."""
    expires_in: float | None = None
    """Expires minus Date (minus now where there is none)."""
    modified_before: float | None = None
    """Date minus Last-Modified."""
    etag: str = "strong"
    """"strong", "weak", "same" (the same tag for every version) or "none"."""
    size: int = 10
    sized: bool = True
    """Whether it tells its Content-Length."""
    changed: bool = True
    """Whether a range is of a new version; False: of the one that was sent last for this URL, if any."""
    noise: int = 0
    """Which way Cache-Control is spelled; see `spelled`."""
    polite: bool = True
    """Whether it fits the question. Else the status is said whatever was asked: a 206 to a GET without Range or of other
    bytes, a 304 or a 412 to a question without conditions, a 416 to one without Range."""


@dataclass(slots=True)
class Finish:
    """The `which`-th open body comes to its end, whole or broken off."""

    which: int = 0
    whole: bool = True


@dataclass(slots=True)
class Fail:
    """The `which`-th open fetch gets no answer."""

    which: int = 0
    why: Failure = Failure.RESET


@dataclass(slots=True)
class Purge:
    """An operator's order."""

    kind: PurgeKind = PurgeKind.URL
    value: str = "/a"
    soft: bool = False


@dataclass(slots=True)
class Wait:
    """Time passes."""

    seconds: float = 1.0


Step = Ask | Answer | Finish | Fail | Purge | Wait

TARGETS = ("/a", "/a", "/a", "/b", "/a?x=1", "/held/c", "/pass/d")
SURROGATE_KEYS = ("all", "red", "red blue")
LIFETIMES = ("0", "1", "3", "10", "60")
VARIES = ("accept-language", "Accept-Language, X-Device", "x-device", "*", "accept-language, *")
STATUSES = {
    200: 60, 304: 14, 404: 4, 503: 7, 500: 2, 204: 3, 301: 2, 302: 2, 206: 6, 299: 1, 599: 1, 416: 1, 412: 1,
}  # fmt: skip
RUDE_STATUSES = {206: 6, 304: 6, 200: 2, 416: 2, 412: 1, 503: 1}
FAR_TOO_LONG = "99999999999999999999"


def some_control(chance: Random) -> Directives:
    """A response's directives, in a random order."""
    found: Directives = {}
    if chance.random() < 0.75:
        found["max-age"] = chance.choice(LIFETIMES)
    if chance.random() < 0.12:
        found["s-maxage"] = chance.choice(LIFETIMES)
    if chance.random() < 0.15:
        found["stale-while-revalidate"] = chance.choice(LIFETIMES)
    if chance.random() < 0.15:
        found["stale-if-error"] = chance.choice(LIFETIMES)
    for name in ("no-store", "private", "no-cache", "public", "must-revalidate", "proxy-revalidate"):
        if chance.random() < 0.07:
            found[name] = None
    if chance.random() < 0.04:
        found["private"] = "x-secret"
    if chance.random() < 0.04:
        found["no-cache"] = "x-secret"
    if chance.random() < 0.03:
        found["max-age"] = chance.choice([FAR_TOO_LONG, "x", "-1", "1.5"])
    if chance.random() < 0.02:
        found["must-understand"] = None
    names = list(found)
    chance.shuffle(names)
    return {name: found[name] for name in names}


def some_wish(chance: Random) -> Directives:
    """A request's directives; mostly none."""
    if chance.random() < 0.75:
        return {}
    name = chance.choice(["no-cache", "no-store", "max-age", "max-stale", "max-stale", "min-fresh", "only-if-cached"])
    if name in ("max-age", "min-fresh"):
        return {name: chance.choice(LIFETIMES)}
    return {name: chance.choice(LIFETIMES) if name == "max-stale" and chance.random() < 0.5 else None}


def some_ask(chance: Random) -> Ask:
    fields: dict[str, str] = {}
    if chance.random() < 0.4:
        fields["accept-language"] = chance.choice(["de", "fr", "de, fr"])
    if chance.random() < 0.2:
        fields["x-device"] = chance.choice(["tv", "TV"])
    if chance.random() < 0.12:
        fields["authorization"] = chance.choice(["Basic YTph", "Basic Yjpi"])
    if chance.random() < 0.2:
        fields["range"] = chance.choice(
            ["bytes=0-3", "bytes=4-7", "bytes=2-6", "bytes=-2", "bytes=4-", "bytes=999-", "bytes=0-1,99-101", "x"]
        )
        if chance.random() < 0.3:
            fields["if-range"] = chance.choice(['"v1"', 'W/"v1"', '"same"'])
    if chance.random() < 0.1:
        fields["if-none-match"] = chance.choice(['"v1"', 'W/"v2"', '"same"', "*", '"x", "v3"'])
    if chance.random() < 0.05:
        fields["if-modified-since"] = chance.choice(["Thu, 01 Jan 2099 00:00:00 GMT", "Thu, 01 Jan 1998 00:00:00 GMT"])
    if chance.random() < 0.04:
        fields["if-match"] = '"x"'
    method = chance.choices(["GET", "HEAD", "POST", "DELETE", "OPTIONS", "REPORT"], [80, 8, 6, 2, 2, 2])[0]
    return Ask(chance.choice(TARGETS), method, fields, some_wish(chance))


def some_answer(chance: Random, rudeness: float = 0.0) -> Answer:
    """`rudeness`: how often the origin answers what was not asked."""
    polite = chance.random() >= rudeness
    fields: dict[str, str] = {}
    if chance.random() < 0.3:
        fields["vary"] = chance.choice(VARIES)
    if chance.random() < 0.5:
        fields["surrogate-key"] = chance.choice(SURROGATE_KEYS)
    if chance.random() < 0.1:
        fields["age"] = chance.choice(["1", "5", "100", "x", "-1", "2, 7"])
    if chance.random() < 0.15:
        fields["x-secret"] = "s3cret"
    if chance.random() < 0.1:
        fields["set-cookie"] = "id=1"
    if chance.random() < 0.05:
        fields |= {"connection": "close, x-hop", "x-hop": "1", "keep-alive": "5"}
    if chance.random() < 0.06:
        fields["location"] = chance.choice(["/b", "http://h/b", "http://other/b", "b"])
    if chance.random() < 0.03:
        fields["content-location"] = "/b"
    statuses = STATUSES if polite else RUDE_STATUSES
    return Answer(
        which=chance.randrange(4),
        status=chance.choices(list(statuses), list(statuses.values()))[0],
        control=some_control(chance),
        fields=fields,
        date_skew=chance.choice([None, 0.0, 0.0, 0.0, -5.0, 5.0, -3600.0]),
        expires_in=chance.choice([None, None, None, None, 5.0, 0.0, -5.0]),
        modified_before=chance.choice([None, None, 100.0, 10_000.0]),
        etag=chance.choice(["strong", "strong", "weak", "same", "none"]),
        size=chance.choice([0, 1, 10, 10, 2000]),
        sized=chance.random() < 0.8,
        changed=chance.random() < 0.3,
        noise=chance.randrange(SPELLINGS),
        polite=polite,
    )


def some_purge(chance: Random) -> Purge:
    kind = chance.choice(list(PurgeKind))
    target = chance.choice(TARGETS)
    value = {
        PurgeKind.URL: target,
        PurgeKind.PREFIX: target[: chance.randrange(1, len(target) + 1)],
        PurgeKind.SURROGATE_KEYS: chance.choice(["all", "red", "red none", "all red"]),
    }
    return Purge(kind, value.get(kind, ""), chance.random() < 0.3)


def some_case(chance: Random, length: int = 30) -> list[Step]:
    """A random life of a node. The weights keep a few fetches open at a time, so that things cross."""
    steps: list[Step] = []
    rudeness = chance.choice([0.0, 0.0, 0.2, 0.9])
    for _ in range(chance.randrange(4, length)):
        kind = chance.choices(["ask", "answer", "finish", "fail", "purge", "wait"], [36, 24, 14, 4, 6, 16])[0]
        match kind:
            case "ask":
                steps.append(some_ask(chance))
            case "answer":
                steps.append(some_answer(chance, rudeness))
            case "finish":
                steps.append(Finish(chance.randrange(3), chance.random() < 0.9))
            case "fail":
                steps.append(Fail(chance.randrange(4), chance.choice(OF_PARENTS)))
            case "purge":
                steps.append(some_purge(chance))
            case "wait":
                steps.append(Wait(chance.choice([0.25, 1.0, 1.0, 2.0, 4.0, 20.0, 200.0])))
    return steps


SPELLINGS = 6


def spelled(control: Directives, noise: int) -> str | None:
    """Cache-Control's text, in one of the many ways that mean the same (RFC 9111 §5.2, RFC 9110 §5.6.1)."""
    if not control:
        return None
    parts = [name if argument is None else f"{name}={argument}" for name, argument in control.items()]
    quoted = [name if argument is None else f'{name}="{argument}"' for name, argument in control.items()]
    # A field list is quoted always: without quotes its comma would end it.
    parts = [q if n in ("private", "no-cache") else p for n, p, q in zip(control, parts, quoted, strict=True)]
    match noise:
        case 1:
            return ",".join(part.upper() if "x-" not in part else part for part in parts)
        case 2:
            return ", ".join(quoted)
        case 3:
            return " ,, " + " \t, ,".join(parts) + ","
        case 4:
            return 'ext="a, b=c, d", ' + ", ".join(parts) + ", other=1"
        case 5:
            return ", ".join(parts) + ', more="max-age=9, public"'
    return ", ".join(parts)
