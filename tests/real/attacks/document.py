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

Attacks on caches, and what an edge does with each. Every row runs against a real edge, with and without a shield, in front of
an origin that records every byte it receives: `tests/real/attacks`, which also generate this page (`make docs`). Afterwards an
honest client sends a request, another one is served from the cache, and both must get their own responses.

Floods, and slow or stalled connections (slow loris, rapid reset, CONTINUATION, SETTINGS and PING floods, endless heads, closed
windows) are in [limits.md](limits.md), and run in `tests/real/serving`.
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
        "CL is Content-Length, TE is Transfer-Encoding. Of a pair, the first is what a careless front end reads, the second "
        "what a careless origin reads. For every row the tests have two such parsers, which see different requests.",
        SHAPES,
    ),
    (
        "HTTP/2 in front, HTTP/1.1 behind",
        "Sent frame by frame to an edge whose upstream requests use HTTP/1.1. If a proxy copied the fields unchanged, such "
        "lengths and octets would make a different request of it, or two.",
        FRAMES,
    ),
    (
        "One head, three protocols",
        "The result over HTTP/1.1, HTTP/2 and HTTP/3, in this order: a status, or the end of the stream or the connection; "
        '"-" where HTTP/1.1 has no such thing.',
        HEADS,
    ),
    (
        "Response splitting, and ambiguous responses",
        "The origin sends another response after the one that was requested.",
        SPLITS,
    ),
    (
        "Header injection, and markup in pages",
        "Line ends, quotes and tags in a target or a field, written in eight ways, where a node writes a client's own text "
        "into a response.",
        INJECTIONS,
    ),
    (
        "Host, and forms of a target",
        "The one host that a request names selects the service, and is in the key with `key.host`; the origin gets its own "
        "name.",
        HOSTS,
    ),
    (
        "Forms of a path",
        "`/private/*` requires a token, and each row is `/private/x` to some kind of origin, which without an edge serves it to "
        "everyone. Key and origin get the path unchanged, so each form is stored separately. CloudFront is not known to "
        "refuse a path that only a lenient origin reads as `/private/x`: there the gate of such an origin is open. Letters "
        "of the other case and trailing dots make a different path here, as on both CDNs; an origin that ignores them needs "
        "a behavior for each form, or one for all.",
        SPELLINGS,
    ),
    (
        "Poisoning: fields and parameters",
        "The origin copies the whole request into a response that may be stored, without Vary. The CDN's rules and the settings "
        "decide whether the next client gets what another client wrote. Where this page says *poisonable*, the CDN is, by "
        "its documentation of keys and fields, and the remedy is in the same row. `cdnlab explain` shows every part of a "
        "request's key. An error of the edge itself (414, 431, 400 for control characters, 416, 501) goes to the client "
        "that caused it, and is never stored.",
        POISONS,
    ),
    (
        "Poisoning: provoked errors (CPDoS)",
        "The origin fails on a field that is not in the key, and serves other requests. The next client, without the field, "
        "gets:",
        DENIALS,
    ),
    (
        "Cache deception",
        "The origin serves a client's own page under any name below `/account`, such as `/account/x.m3u8`, "
        "`/account;x.css`, `/account%0ax.m3u8`, `/account%3fx.m3u8` or `/account/..%2fstatic/x.ts`. A name never makes a "
        "response storable; only its fields do, and the lifetimes of its behavior.",
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
