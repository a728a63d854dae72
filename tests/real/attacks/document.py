"""docs/attacks.md, written from the tables that the tests run: `python -m tests.real.attacks > docs/attacks.md`."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from tests.real.attacks.test_hosts import HOSTS
from tests.real.attacks.test_http2 import FRAMES
from tests.real.attacks.test_injection import INJECTIONS
from tests.real.attacks.test_paths import SPELLINGS
from tests.real.attacks.test_poisoning import DECEPTIONS, DENIALS, POISONS
from tests.real.attacks.test_protocols import HEADS
from tests.real.attacks.test_responses import SPLITS
from tests.real.attacks.test_smuggling import SHAPES

HEAD = """# Attacks

What attackers try on a cache, and what an edge here does with it. Each row is run against a real edge, with and without a
shield, in front of an origin that keeps every byte it is sent: `tests/real/attacks`, from which this page is written
(`make docs`). An honest client asks afterwards, another one asks from the cache, and both must get their own answers.

Floods and connections that trickle, stall or rest (slow loris, rapid reset, CONTINUATION, SETTINGS and PING floods, heads
without end, windows that stay closed) are in [limits.md](limits.md), and run in `tests/real/serving`.
"""


class Row(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def rule(self) -> str: ...


SECTIONS: list[tuple[str, str, Sequence[Row]]] = [
    (
        "Request smuggling over HTTP/1.1",
        "CL is Content-Length, TE is Transfer-Encoding; of two the first names what a careless front reads, the second what "
        "a careless origin does. For every row the tests name two such parsers, and show that they see different requests.",
        SHAPES,
    ),
    (
        "HTTP/2 in front, HTTP/1.1 behind",
        "Sent frame by frame, to an edge that asks its origin over HTTP/1.1. Written out by a proxy that copies fields as "
        "they come, such lengths and octets make another request of it, or two.",
        FRAMES,
    ),
    (
        "One head, three protocols",
        "What becomes of it over HTTP/1.1, HTTP/2 and HTTP/3, in this order: a status, or the end of the stream or of its "
        'connection; "-" where HTTP/1.1 has no such thing.',
        HEADS,
    ),
    (
        "Response splitting, and answers of two readings",
        "The origin sends another response behind the one it was asked for.",
        SPLITS,
    ),
    (
        "Header injection, and markup in pages",
        "Line ends, quotes and tags in a target or a field, spelt in eight ways, where a node writes a client's own words "
        "into an answer.",
        INJECTIONS,
    ),
    (
        "Host, and forms of a target",
        "Which of a node's services answers, and what is in a key with `key.host`, goes by the one host that a request "
        "names; the origin is told its own.",
        HOSTS,
    ),
    (
        "Spellings of a path",
        "`/private/*` wants a token, and each row is `/private/x` to an origin of that habit: asked without an edge, it gives "
        "it to everyone. Key and origin get a path as it came, so each spelling is stored by itself. CloudFront is not known "
        "to refuse what only a lenient origin reads as `/private/x`: there such an origin's gate is open. Letters of the "
        "other case and dots behind a name are other paths here, as on both CDNs; an origin that takes them for the same "
        "needs a behavior for each, or one for all.",
        SPELLINGS,
    ),
    (
        "Poisoning: fields and parameters",
        "The origin writes all that a request says into an answer that may be stored, and has no Vary. Whether the next who "
        "asks gets what another wrote is the CDN's law and the settings': where the page says *poisonable*, the CDN is, by "
        "what its documents say of keys and fields, and the way out is beside it. `cdnlab explain` shows the key of a request, part by part. A fault of "
        "the edge itself (414, 431, 400 for control characters, 416, 501) is answered to who made it, and never stored.",
        POISONS,
    ),
    (
        "Poisoning: errors that one provokes (CPDoS)",
        "The origin fails at a field that is in no key, and answers others well. Who asks next, without it, is told:",
        DENIALS,
    ),
    (
        "Cache deception",
        "The origin gives the page of whoever asks under any name behind `/account`, such as `/account/x.m3u8`, "
        "`/account;x.css`, `/account%0ax.m3u8`, `/account%3fx.m3u8` or `/account/..%2fstatic/x.ts`. No name makes a "
        "response one that may be stored: how it is marked does, and the lifetimes of its behavior.",
        DECEPTIONS,
    ),
]


def page() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    for title, words, rows in SECTIONS:
        yield f"## {title}\n\n{words}\n"
        yield "| attack | an edge | because |\n|---|---|---|"
        for row in rows:
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in (row.name, row.outcome, row.rule)) + " |"
        yield ""
