"""Cache poisoning and deception: what one client provokes must not be what the next one gets, or the page says so.

The origins here are the attacker's dream: one writes everything of a request into an answer that may be stored, without a
Vary; one fails at a field; one gives the page of whoever is logged in under any name. Where a CDN is poisonable then, so
is its profile: such a row names it, and the test holds it to that too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cdnkit.policy.rules.service import Behavior, Key, Ttl
from cdnkit.vendors import PROFILES
from tests.kit.http import Reply, read_reply
from tests.kit.http2 import http2
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, Script, response, running_origin

COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "rfc9111": ("rfc9111", {}),
    "fastly": ("fastly", {}),
    "cloudfront": ("cloudfront", {}),
    "cloudfront with a cache policy": ("cloudfront", {"cache_policy": "CachingOptimized"}),
}
RFC, FASTLY, LEGACY, POLICY = COLUMNS
NOBODY: tuple[str, ...] = ()
EVERYBODY = tuple(COLUMNS)


@dataclass(frozen=True)
class Poison:
    """What an attacker sends, and who gives it to the next who asks for `/page`."""

    name: str
    lines: tuple[str, ...]
    """Each alone is one attack: a field line."""
    poisonable: tuple[str, ...]
    rule: str
    target: str = "/page"
    honest: str = "/page"
    behavior: dict[str, Any] = field(default_factory=dict)
    vary: str = ""
    content: str = ""

    @property
    def outcome(self) -> str:
        if not self.poisonable:
            return "gives it to no other client"
        if self.poisonable == EVERYBODY:
            return "is poisonable, like any cache that forwards it"
        return "is poisonable with " + ", ".join(f"`{one}`" if " " not in one else one for one in self.poisonable)


FORWARDED = (
    "RFC 9110 5.1: forwarded, and not in the key: such an origin must send Vary, or the behavior needs `key.headers`"
)
LEGACY_TABLE = (
    "the same; CloudFront without a policy removes it (its table of 2023), with one it sends what the policy lists"
)
OWN = "the node writes it itself, or it ends here"
HOP = "RFC 9110 7.6.1: for one hop"
OUTSIDE = "`key.query` removes it from the key, not from the request; with CloudFront, from both"

POISONS = [
    Poison("X-Forwarded-Host and its kin", ("x-forwarded-host: evil", "x-host: evil", "forwarded: host=evil",
           "x-forwarded-scheme: evil", "x-forwarded-port: evil", "x-evil: evil"), (RFC, FASTLY, LEGACY), FORWARDED),
    Poison("X-Original-URL, X-Rewrite-URL", ("x-original-url: /evil", "x-rewrite-url: /evil"), (RFC, FASTLY, LEGACY),
           FORWARDED),
    Poison("X-HTTP-Method-Override, X-Forwarded-Proto, X-Real-IP", ("x-http-method-override: evil",
           "x-forwarded-proto: evil", "x-real-ip: evil"), (RFC, FASTLY), LEGACY_TABLE),
    Poison("User-Agent, Cookie, Accept and its kin, Referer", ("user-agent: evil", "cookie: a=evil", "accept: evil/evil",
           "accept-language: evil", "referer: http://evil/"), (RFC, FASTLY), LEGACY_TABLE),
    Poison("Origin", ("origin: http://evil",), (RFC, FASTLY, LEGACY), FORWARDED),
    Poison("X-Forwarded-For, Via", ("x-forwarded-for: evil", "via: 1.1 evil"), EVERYBODY,
           "each hop adds itself, and keeps what it received"),
    Poison("the CDNs' own: CDN-Loop, Fastly-FF, Fastly-Client-IP, Surrogate-Key, Cache-Status, X-Cache",
           ("cdn-loop: evil", "fastly-ff: evil", "fastly-client-ip: evil", "surrogate-key: evil", "cache-status: evil",
            "x-cache: evil"), (RFC, FASTLY, LEGACY), f"{FORWARDED}; in a response, none of them is trusted"),
    Poison("X-Forwarded-Server", ("x-forwarded-server: evil",), (RFC, FASTLY, LEGACY), f"{FORWARDED}; Fastly adds to it"),
    Poison("Authorization", ("authorization: evil",), (FASTLY,), "RFC 9111 3.5: not stored unless the origin says so; "
           "CloudFront takes it out; Fastly stores it"),
    Poison("conditions", ('if-none-match: "evil"', "if-modified-since: evil", 'if-match: "evil"'), (RFC, LEGACY, POLICY),
           "forwarded on a miss; Fastly requests the whole"),
    Poison("Range, Max-Forwards", ("range: evil=0-1", "range: bytes=0-1,evil", "max-forwards: 0\r\nrange: evil"), NOBODY,
           "to be stored, the whole is asked for"),
    Poison("Connection, TE, Trailer, Upgrade", ("connection: x-y, evil", "te: evil", "trailer: evil", "upgrade: evil",
           "keep-alive: evil", "proxy-connection: evil", "connection: x-evil\r\nx-evil: evil"), NOBODY, HOP),
    Poison("Expect, Cdnlab-Client-IP, Cdnlab-Debug", ("expect: evil", "cdnlab-client-ip: evil", "cdnlab-debug: evil"),
           NOBODY, OWN),
    Poison("Host", ("x: y",), NOBODY, "the origin is told its own name; Fastly has it in the key", target="http://evil/page"),
    Poison("a field that the origin varies on", ("x-forwarded-host: evil",), (LEGACY,),
           "RFC 9111 4.1; CloudFront selects only by fields in the key", vary="x-forwarded-host"),
    Poison("a field in the key", ("x-forwarded-host: evil",), NOBODY, "`key.headers`",
           behavior={"key": Key(headers=("x-forwarded-host",))}),
    Poison("fat GET", ("content-type: text/plain",), NOBODY, "RFC 9110 9.3.1: its content has no meaning, and is not forwarded; "
           "CloudFront refuses it", content="evil"),
    Poison("a query", ("x: y",), NOBODY, "all of it is in the key; CloudFront has and sends none of it",
           target="/page?evil=1"),
    Poison("a parameter outside the key", ("x: y",), (RFC, FASTLY), OUTSIDE, target="/page?v=1&utm=evil",
           honest="/page?v=1", behavior={"key": Key(query=("v",))}),
    Poison("parameter cloaking: `;`", ("x: y",), NOBODY, "it is no separator: a value holds it, with the key",
           target="/page?v=1;utm=evil", honest="/page?v=1", behavior={"key": Key(query=("v",))}),
    Poison("parameter cloaking: `;v=` in a parameter outside the key", ("x: y",), (RFC, FASTLY), OUTSIDE,
           target="/page?v=1&utm=x;v=evil", honest="/page?v=1", behavior={"key": Key(query=("v",))}),
    Poison("parameter pollution", ("x: y",), NOBODY, "each of that name is in the key", target="/page?v=1&v=evil",
           honest="/page?v=1", behavior={"key": Key(query=("v",))}),
    Poison("`%26` in a value", ("x: y",), NOBODY, "keys are never decoded", target="/page?v=1%26utm=evil",
           honest="/page?v=1", behavior={"key": Key(query=("v",))}),
]  # fmt: skip


class Reflecting(Origin):
    """Writes all that it was asked into its answer."""

    def __init__(self, vary: str) -> None:
        super().__init__()
        self.vary = {"vary": vary} if vary else {}

    def script_for(self, target: str) -> Script:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            lines = [f"{asked.method} {asked.target}", *(f"{name}: {value}" for name, value in asked.headers.lines)]
            body = "\n".join(lines).encode("latin-1") + asked.body
            writer.write(response(body, method=asked.method, cache_control="max-age=60", **self.vary))

        return script


async def raw(node: Running, target: str, *lines: str, content: str = "", method: str = "GET") -> Reply:
    """A request of the attacker's; under the same Host as `Running.get`'s."""
    host = node.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    length = [f"content-length: {len(content)}"] if content else []
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"host: {host}", *lines, *length])
    writer.write(f"{head}\r\n\r\n{content}".encode("latin-1"))
    try:
        return await read_reply(reader, method)
    finally:
        writer.close()


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("poison", POISONS, ids=[one.name for one in POISONS])
def test_who_is_given_what_another_sent(poison: Poison, column: str) -> None:
    name, settings = COLUMNS[column]
    if "key" in poison.behavior and "cache_policy" in settings:
        settings = {}  # a cache policy has the key in it

    async def run() -> None:
        for line in poison.lines:
            origin = Reflecting(poison.vary)
            rule = Behavior(path="*", **settings, **poison.behavior)
            async with running_origin(origin), running_node(origin.url, rule, profile=PROFILES[name]) as node:
                await raw(node, poison.target, line, content=poison.content)
                first, second = await node.get(poison.honest), await node.get(poison.honest)
                assert (b"evil" in first.body) == (column in poison.poisonable), line
                assert first.status == 200 and first.body == second.body
                assert all("evil" not in value for _, value in (*first.headers, *second.headers)), line

    asyncio.run(run())


# ---- errors that a request provokes (CPDoS) ----------------------------------------------------------------------


@dataclass(frozen=True)
class Denial:
    """An error that the origin answers to a field of the attacker's, and who gives it to the next for a while."""

    status: int
    told: str
    """The origin's Cache-Control with it; "": none."""
    denied: tuple[str, ...]
    rule: str

    @property
    def name(self) -> str:
        return f"{self.status}, {f'`{self.told}`' if self.told else 'no lifetime given'}"

    @property
    def outcome(self) -> str:
        if not self.denied:
            return "gives it to no other client"
        return "stores it with " + ", ".join(f"`{one}`" for one in self.denied)


TOLD = "RFC 9111 3: an explicit lifetime; such an origin should send no-store"
UNTOLD = "RFC 9111 3: it has no lifetime, and gets none"
NEVER = "RFC 6585: never stored"
ALWAYS = "CloudFront always stores these errors, for at least ten seconds (ErrorCachingMinTTL)"
STATED = "CloudFront stores it only if configured, Fastly and RFC 9111 do not"

DENIALS = [
    *(Denial(status, "", NOBODY, UNTOLD) for status in (400, 401, 403, 405, 406, 408, 412, 413, 415, 416, 417)),
    *(Denial(status, told, NOBODY, NEVER) for status in (428, 429, 431, 511) for told in ("", "max-age=60")),
    *(Denial(status, "", (LEGACY,), ALWAYS) for status in (414, 500, 501, 503)),
    Denial(404, "", (RFC, FASTLY, LEGACY), "`error_ttl`; Fastly and CloudFront store it, too"),
    Denial(400, "max-age=60", (RFC, LEGACY), TOLD),
    Denial(403, "max-age=60", (RFC, LEGACY), TOLD),
    Denial(412, "max-age=60", (LEGACY,), STATED),
    Denial(416, "max-age=60", NOBODY, "RFC 9110 15.5.17: it answers one request's Range"),
]


def failing_at(status: int, told: str) -> Callable[[Asked], bytes]:
    fields = {"cache_control": told} if told else {}

    def answer(asked: Asked) -> bytes:
        if "x-evil" in asked.headers:
            return response(b"evil", status, asked.method, **fields)
        return response(b"good", method=asked.method, cache_control="max-age=60")

    return answer


class Answering(Origin):
    def __init__(self, answer: Callable[[Asked], bytes]) -> None:
        super().__init__()
        self.answer = answer

    def script_for(self, target: str) -> Script:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(self.answer(asked))

        return script


@pytest.mark.parametrize("column", [RFC, FASTLY, LEGACY])
@pytest.mark.parametrize("denial", DENIALS, ids=[one.name for one in DENIALS])
def test_who_is_given_an_error_that_another_provoked(denial: Denial, column: str) -> None:
    async def run() -> None:
        origin = Answering(failing_at(denial.status, denial.told))
        profile = PROFILES[COLUMNS[column][0]]
        async with running_origin(origin), running_node(origin.url, profile=profile) as node:
            assert (await raw(node, "/page", "x-evil: 1")).status == denial.status
            honest = await node.get("/page")
            assert honest.body == (b"evil" if column in denial.denied else b"good")

    asyncio.run(run())


OWN_ERRORS = [  # request line and fields                                       what the edge itself answers
    ("GET", "/page", ["x: " + "y" * 200_000], 431),  # HHO: a header too large
    ("GET", "/page", ["x: a\x07b"], 400),  # HMC: a character that is none
    ("GET", "/page", ["x: a\rb"], 400),
    ("GET", "/page", [f"x-{i}: y" for i in range(300)], 431),
    ("GET", "/page", ["transfer-encoding: gzip"], 501),
    ("GET", "/page", ["range: bytes=900-"], 416),
    ("GET", "/page", ["range: bytes=" + ",".join(["0-"] * 2000)], 200),
    ("GET", "/page", ["cache-control: only-if-cached"], 504),
    ("TRACE", "/page", [], 405),
    ("GET", "/page?" + "x" * 9000, [], 414),
]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize(("method", "target", "lines", "status"), OWN_ERRORS, ids=[str(row[3]) for row in OWN_ERRORS])
def test_an_error_of_the_edge_itself_is_nobodys_but_who_provoked_it(
    method: str, target: str, lines: list[str], status: int, profile: Any
) -> None:
    async def run() -> None:
        origin = Answering(lambda asked: response(b"good", method=asked.method, cache_control="max-age=60"))
        async with running_origin(origin), running_node(origin.url, profile=profile) as node:
            told = await raw(node, target, *lines, method=method)
            if profile is PROFILES["rfc9111"]:
                assert told.status == status  # the CDNs have words of their own for some
            honest = [await node.get("/page") for _ in range(2)]
            assert [(reply.status, reply.body) for reply in honest] == [(200, b"good")] * 2

    asyncio.run(run())


# ---- deception ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deception:
    """How the origin marks a page of one user that it gives under any name, and who gives it to the next."""

    marks: str
    deceived: tuple[str, ...]
    rule: str
    ttl: Ttl = field(default_factory=Ttl)

    @property
    def name(self) -> str:
        ttl = ", `ttl.min`" if self.ttl.min else ", `ttl.default`" if self.ttl.default else ""
        return (f"`{self.marks}`" if self.marks else "no mark") + ttl

    @property
    def outcome(self) -> str:
        if not self.deceived:
            return "stores nothing"
        return "gives it to the next client with " + ", ".join(f"`{one}`" for one in self.deceived)


NAMES = ["/account/x.m3u8", "/account;x.css", "/account%0ax.m3u8", "/account%3fx.m3u8", "/account/..%2fstatic/x.ts",
         "/account%23x.css", "/account/%2e%2e/account/x.js"]  # fmt: skip
"""Names that a cache takes for a static file, and a lenient origin for `/account`."""

MIN = Ttl(min="60s")
DECEPTIONS = [
    Deception("cache-control: private", NOBODY, "RFC 9111 3"),
    Deception("cache-control: no-store", NOBODY, "RFC 9111 3"),
    Deception("cache-control: no-cache", (FASTLY,), "RFC 9111 3: nothing is stored fresh; Fastly ignores no-cache"),
    Deception("set-cookie: a=b", (LEGACY,), "no lifetime; Fastly passes it; CloudFront stores it for a day, without the cookie"),
    Deception("", (FASTLY, LEGACY), "no lifetime; Fastly and CloudFront have one of their own"),
    Deception("", (RFC, FASTLY, LEGACY), "a lifetime from the behavior: only for content that is the same for all", Ttl(default="60s")),
    Deception("cache-control: private", (LEGACY,), "CloudFront: a min_ttl above 0 keeps what says private; RFC 9111 and "
              "Fastly do not", MIN),
    Deception("cache-control: no-store", (LEGACY,), "the same", MIN),
]  # fmt: skip


@pytest.mark.parametrize("column", [RFC, FASTLY, LEGACY])
@pytest.mark.parametrize("deception", DECEPTIONS, ids=[one.name for one in DECEPTIONS])
def test_who_is_given_a_page_of_another_under_a_static_name(deception: Deception, column: str) -> None:
    name, _, value = deception.marks.partition(": ")

    def answer(asked: Asked) -> bytes:
        user = asked.headers.first("cookie") or asked.headers.first("x-user") or "nobody"
        marks = {name.replace("-", "_"): value} if name else {}
        return response(f"account of {user}".encode(), method=asked.method, **marks)

    async def run() -> None:
        origin = Answering(answer)
        rule = Behavior(path="*", ttl=deception.ttl)
        async with running_origin(origin), running_node(origin.url, rule, profile=PROFILES[column]) as node:
            for target in NAMES:
                victim = await node.get(target, x_user="victim")
                assert victim.body == b"account of victim"
                thief = await node.get(target)
                assert (b"victim" in thief.body) == (column in deception.deceived), target

    asyncio.run(run())


@pytest.mark.parametrize("method", ["get", "Head", "gET"])
def test_a_method_in_another_case_is_another_method(method: str) -> None:
    """RFC 9110 §9.1: what an origin answers to it, 405 say, is not what it answers to GET."""

    async def run() -> None:
        origin = Answering(lambda asked: response(asked.method.encode(), cache_control="max-age=60"))
        async with running_origin(origin), running_node(origin.url) as node:
            assert (await raw(node, "/page", method=method)).body == method.encode()
            async with http2(node.url) as client:
                stream = await client.ask("/page", method=method)
                await client.until(stream)
                assert bytes(stream.body) == method.encode()
            assert (await node.get("/page")).body == b"GET"

    asyncio.run(run())


def test_a_host_poisons_no_shield() -> None:
    """Fastly tells the origin of it in X-Forwarded-Host: also where a shield, asked by its own address, stores it."""

    async def run() -> None:
        origin, fastly = Reflecting(""), PROFILES["fastly"]
        async with (
            running_origin(origin),
            running_node(origin.url, name="shield", profile=fastly, service={"gate": False}) as shield,
            running_node(shield.url, profile=fastly) as node,
        ):
            assert b"evil" in (await raw(node, "http://evil/page")).body
            for _ in range(2):
                assert b"evil" not in (await node.get("/page")).body
            assert len(origin.asked) == 2

    asyncio.run(run())
