"""The front and hypercorn give the same answers: the same bytes go to two nodes that differ in nothing else."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from h2.settings import SettingCodes

from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.policy.token import FastlyToken
from tests.kit.http2 import Stream, http2
from tests.kit.late import GUARD_S
from tests.kit.node import Running, running_node
from tests.kit.origin import Origin, running_origin

NOW = 1_700_000_000.0
KEY = "c2VjcmV0"
TOKENS = [FastlyToken(KEY).sign("/signed", int(NOW) + seconds) for seconds in (60, -60)]
PATHS = (
    "/a",
    "/a?x=1",
    "/a?",
    "/big",
    "/gzip",
    "/vary",
    "/chunked",
    "/none",
    "/moved",
    "/no-store",
    "/empty",
    "/%41",
    "//a",
    "/limited",
    "/signed",
    *(f"/signed?token={token}" for token in (*TOKENS, "x")),
    "/b/%2e%2e/signed",
)
METHODS = (*("GET",) * 12, *("HEAD",) * 4, "POST", "OPTIONS", "DELETE", "get", "TRACE")
VERSIONS = (*("HTTP/1.1",) * 14, "HTTP/1.0", "HTTP/2.0", "http/1.1")
FIELDS = (
    "Range: bytes=0-1", "Range: bytes=2-", "range: bytes=0-0,2-3", "Range: bytes=99999-", "If-None-Match: \"1\"",
    "If-None-Match: *", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "Accept-Encoding: gzip", "X: y", "X:y",
    "X:  y ", "X: a\tb", "X: é", "Cache-Control: no-cache", "Cache-Control: only-if-cached", "Cookie: a=b; c=d",
    "Connection: keep-alive", "Connection: close", "Connection: x", "Content-Length: 0", "Expect: 100-continue",
    "Origin: https://a.example", "Via: 1.1 fra", "Max-Forwards: 0", "X\0: y", "X : y", "Upgrade: h2c",
    "Transfer-Encoding: chunked", "Host: b", "Authorization: Bearer x", "A-Language: en", "CDNLab-Client-IP: 198.51.100.7", f"Long: {'x' * 20_000}",
)  # fmt: skip
BOUNDARY = re.compile(rb"cdnlab-[0-9a-f]+-[0-9a-f]{16}")
HOSTS = (*("Host: a.example",) * 12, "host: A.example:80", "Host:a.example", "", "Host: a b", "Host: ", "Host: a,b")


def requests(seed: int) -> Iterator[bytes]:
    """Requests for one connection, most of them as players write them, each with what may be wrong with it."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 12)):
        line = f"{rng.choice(METHODS)} {rng.choice(PATHS)} {rng.choice(VERSIONS)}"
        fields = [rng.choice(HOSTS), *rng.sample(FIELDS, rng.choice((0, 0, 0, 1, 1, 2, 3)))]
        end = "\r\n" if rng.random() < 0.95 else "\n"
        yield (end.join([line, *filter(None, fields)]) + end * 2).encode("latin-1")
        if rng.random() < 0.04:
            yield rng.choice((b"\r\n", b"x", b"\n\n", b"\0"))


def pieces(seed: int, stream: bytes) -> Iterator[bytes]:
    """The stream, cut anywhere: mostly not at all."""
    rng = random.Random(~seed)
    while stream:
        size = rng.choice((1, 7, 100, *(len(stream),) * 5))
        yield stream[:size]
        stream = stream[size:]


async def answers(node: Running, seed: int) -> list[bytes]:
    """All that comes back, until the node hangs up or has answered all."""
    address, _, port = node.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    stream = b"".join(requests(seed)) + b"GET /last HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    with suppress(ConnectionError):
        for piece in pieces(seed, stream):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
    came = b""
    with suppress(ConnectionError):
        came = await asyncio.wait_for(reader.read(-1), GUARD_S)
    writer.close()
    return normalised(came)


def normalised(came: bytes) -> list[bytes]:
    """Heads with their fields in order of their names, in lower case: in neither order nor case is any meaning. Nor in
    what a boundary is made of: the number of a stored response, and a hash of this process's."""
    parts = []
    for block in BOUNDARY.sub(b"boundary", came).split(b"\r\n\r\n"):
        first, *lines = block.split(b"\r\n")
        parts.append(
            b"\n".join([first, *sorted(line.partition(b":")[0].lower() + line.partition(b":")[2] for line in lines)])
        )
    return parts


def fill(origin: Origin) -> None:
    origin.says("/a", b"hello", cache_control="max-age=60", etag='"1"', last_modified="Sun, 06 Nov 1994 08:49:37 GMT")
    origin.says("/big", b"x" * 300_000, cache_control="max-age=60")
    origin.says("/gzip", b"<html>" * 500, cache_control="max-age=60", content_type="text/html")
    origin.says("/vary", b"v", cache_control="max-age=60", vary="A-Language")
    origin.says("/signed", b"s", cache_control="max-age=60")
    origin.says("/limited", b"l", cache_control="max-age=60")
    origin.says("/none", b"", status=204, cache_control="max-age=60")
    origin.says("/moved", b"", status=301, location="/a", cache_control="max-age=60")
    origin.says("/no-store", b"n", cache_control="no-store")
    origin.says("/empty", b"", cache_control="max-age=60")

    async def chunked(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: no-cache\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )

    origin.does("/chunked", chunked)


WHAT = {"seq", "url", "method", "status", "outcome", "cause", "reason", "headers", "head_bytes", "head_fields", "bytes_sent",
        "aborted", "refusal", "object_class", "version", "behavior", "from_node", "session"}  # fmt: skip
"""Of a record: all but times, ports and ids."""


SO_FAR = {"status", "outcome", "cause", "bytes_sent", "aborted"}


def of_the_law(line: dict[str, Any]) -> dict[str, Any]:
    """What of a record does not hang on chance: a client that breaks off its request may do so before or after the
    parent has responded to it, and a fill may end before or after the next request comes (`seq`)."""
    breaks_off = line.get("aborted") or ["transfer-encoding", "chunked"] in line.get("headers", ())
    names = WHAT - {"seq"} - (SO_FAR if breaks_off else set())
    return {name: value for name, value in line.items() if name in names}


@asynccontextmanager
async def both(
    origin: Origin, other: Origin, folder: Path, clock: Callable[[], float] = lambda: NOW
) -> AsyncIterator[tuple[Running, Running]]:
    """Two nodes in front of two origins: the first has a front, the second has none, and they differ in nothing else."""
    fill(origin)
    fill(other)
    rules = (
        Behavior(path="/no*", geo=Geo(deny=("KP",), unknown="allow")),
        Behavior(path="/signed", token="viewer", geo=Geo(deny=("KP",), unknown="allow")),
        Behavior(path="/limited", rate_limit=RateLimit(requests=3, per=3600.0)),
        Behavior(path="*"),
    )
    options: dict[str, Any] = {
        "clock": clock, "limits": {"idle": "2s"}, "trusted": ["127.0.0.0/8"], "countries": {"198.51.100.0/24": "KP"},
        "service": {"tokens": {"viewer": {"scheme": "fastly", "key": KEY}}},
    }  # fmt: skip
    async with (
        running_node(origin.url, *rules, records=folder / "front.jsonl", front=True, **options) as front,
        running_node(other.url, *rules, records=folder / "plain.jsonl", front=False, **options) as plain,
    ):
        yield front, plain


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 1500), marks=pytest.mark.long)])
def test_the_same_bytes_get_the_same_answers(seeds: range, half: slice, tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_origin() as other:
            async with both(origin, other, tmp_path) as (front, plain):
                for seed in seeds[half]:
                    got, wanted = await answers(front, seed), await answers(plain, seed)
                    assert got == wanted, seed
                for node in (front, plain):
                    await node.stop()
                for kind in ("request", "fetch"):
                    recorded = [
                        [of_the_law(line) for line in node.records() if line["kind"] == kind] for node in (front, plain)
                    ]
                    assert recorded[0] == recorded[1]
            assert [(one.method, one.target) for one in origin.asked] == [
                (one.method, one.target) for one in other.asked
            ]

    asyncio.run(run())


TICKED = [  # how much later, and the requests: what was prepared before must not be sent as it was
    "GET /a", "HEAD /a", 'GET /a If-None-Match: "1"', "GET /a Range: bytes=1-2", "GET /signed", "GET /limited",
    f"GET /signed?token={TOKENS[0]}", "GET /no-store CDNLab-Client-IP: 198.51.100.7", "GET /b/%2e%2e/signed",
]  # fmt: skip


def test_age_ttl_and_date_tick_on_all_that_is_prepared(tmp_path: Path) -> None:
    """Servers that prepare whole responses send the Date, or the Age, of the first one for as long as they run."""
    times = [NOW]

    async def asked(node: Running, what: str) -> list[bytes]:
        address, _, port = node.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(address, int(port))
        method, target, field = (*what.split(" ", 2), "X: y")[:3]
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n{field}\r\nConnection: close\r\n\r\n".encode())
        came = await asyncio.wait_for(reader.read(-1), GUARD_S)
        writer.close()
        return normalised(came)

    async def run() -> None:
        seen: dict[str, set[bytes]] = {what: set() for what in TICKED}
        async with (
            running_origin() as origin,
            running_origin() as other,
            both(origin, other, tmp_path, lambda: times[0]) as (front, plain),
        ):
            for _ in range(2):
                await asked(front, "GET /limited"), await asked(plain, "GET /limited")
            for later in (0.0, 0.25, 0.5, 1.0, 1.0, 0.0, 7.5, 30.0):
                times[0] += later
                for what in TICKED:
                    got, wanted = await asked(front, what), await asked(plain, what)
                    assert got == wanted, (times, what)
                    seen[what].add(got[0])
        assert all(len(heads) > 4 for heads in seen.values()), {what: len(heads) for what, heads in seen.items()}

    asyncio.run(run())


def test_a_proxys_connection_carries_many_clients_and_each_request_counts_for_its_own(tmp_path: Path) -> None:
    """Servers that remember the client of a connection's first request let the next one in by its address."""
    rule = Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow"))
    clients = ["192.0.2.1", "198.51.100.7", "192.0.2.1", "", "198.51.100.7", "198.51.100.7", "192.0.2.1"]

    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            node = running_node(
                origin.url, rule, records=tmp_path / "fra.jsonl", trusted=["127.0.0.0/8"],
                countries={"198.51.100.0/24": "KP", "192.0.2.0/24": "DE"},
            )  # fmt: skip
            async with node as edge:
                address, _, port = edge.url.removeprefix("http://").partition(":")
                reader, writer = await asyncio.open_connection(address, int(port))
                statuses = []
                for client in clients:
                    named = f"CDNLab-Client-IP: {client}\r\n" if client else ""
                    writer.write(f"HEAD /a HTTP/1.1\r\nHost: a.example\r\n{named}\r\n".encode())
                    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), GUARD_S)
                    statuses.append(int(head.split()[1]))
                writer.close()
                await edge.stop()
                assert statuses == [403 if client.startswith("198.") else 200 for client in clients]
                told = [
                    (line["client_ip"], line["country"], line["status"])
                    for line in edge.records()
                    if "url" in line and "client_ip" in line
                ]
                places = {"192.0.2.1": "DE", "198.51.100.7": "KP", "": ""}
                wanted = [(client or "127.0.0.1", places[client]) for client in clients]
                assert told == [(*client, status) for client, status in zip(wanted, statuses, strict=True)]


# ---- HTTP/2 ------------------------------------------------------------------------------------------------------------

HEADS = (
    ("range", "bytes=0-1"), ("range", "bytes=2-"), ("range", "bytes=99999-"), ("if-none-match", '"1"'),
    ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"), ("accept-encoding", "gzip"), ("x", "y"), ("x", ""),
    ("x", "a\tb"), ("x", "é"), ("cache-control", "no-cache"), ("cache-control", "only-if-cached"), ("cookie", "a=b"),
    ("cookie", "c=d"), ("content-length", "0"), ("expect", "100-continue"), ("origin", "https://a.example"),
    ("te", "trailers"), ("via", "1.1 fra"), ("max-forwards", "0"), ("priority", "u=0, i"), ("priority", "u=9"),
    ("host", "a.example"), ("cdnlab-client-ip", "198.51.100.7"), ("a-language", "en"), ("authorization", "Bearer x"), ("long", "x" * 20_000),
)  # fmt: skip
ODD_HEADS = (
    ("host", "b"), ("connection", "close"), ("te", "gzip"), ("X", "y"), ("x", " y"), ("x", "y\r\nz: a"), ("x y", "z"),
    ("x:y", "z"), ("", "z"), ("content-length", "3"), ("content-length", "-1"), (":path", "/a"), (":status", "200"),
    ("transfer-encoding", "chunked"), ("upgrade", "h2c"), (":protocol", "websocket"),
)  # fmt: skip
AUTHORITIES = (*("a.example",) * 12, "A.example:80", "", "a b", "a,b")
SCHEMES = (*("http",) * 12, "https", "ftp", "HTTP")


def heads(seed: int) -> Iterator[tuple[list[tuple[str, str]], bytes | None]]:
    """Requests of one connection: their fields, and the content of some; the last one may be no request."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 12)):
        method = rng.choice(METHODS)
        head = [(":method", method), (":scheme", rng.choice(SCHEMES)), (":path", rng.choice((*PATHS, "a", "*", "/é")))]
        head.append((":authority", authority := rng.choice(AUTHORITIES)))
        head += rng.sample(HEADS, rng.choice((0, 0, 0, 1, 1, 2, 3)))
        content = b"abc" if method in ("POST", "DELETE") and rng.random() < 0.5 else None
        not_here = {"host"} if authority != "a.example" else set()
        not_here |= {"content-length"} if content else set()
        yield [line for line in head if line[0] not in not_here], content
    if rng.random() < 0.5:
        head = [(":method", "GET"), (":scheme", "http"), (":path", "/a"), (":authority", "a.example")]
        head.insert(rng.choice((0, 4)), rng.choice(ODD_HEADS))
        yield head, None


async def answers_over_http2(node: Running, seed: int) -> list[tuple[object, ...]]:
    """What comes back on each stream, and how the connection ends; some windows are small, or open late."""
    rng, method, under_way = random.Random(~seed), "", set[str]()
    async with http2(node.url) as client:
        wire = client.h2
        wire.config.validate_outbound_headers = wire.config.normalize_outbound_headers = False
        if rng.random() < 0.3:
            wire.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: rng.choice((1000, 100_000, 2**31 - 1))})
        for at, (head, content) in enumerate(heads(seed)):
            url = dict(head).get(":path", "").partition("?")[0]
            # Streams have no order. So of one URL one is under way, and alone if it invalidates or ends all.
            if set(head) & set(ODD_HEADS) or {"POST", "DELETE"} & {head[0][1], method} or url in under_way:
                await client.flush()
                if client.streams:
                    await client.until(*client.streams.values())
                if client.closed:
                    break
                under_way.clear()
            under_way.add(url)
            method = head[0][1]
            stream_id = 2 * at + 1
            client.streams[stream_id] = Stream()
            wire.send_headers(
                stream_id, [(n.encode("latin-1"), v.encode("latin-1")) for n, v in head], end_stream=content is None
            )
            if content is not None:
                wire.send_data(stream_id, content, end_stream=True)
            if rng.random() < 0.3:
                await client.flush()
                await asyncio.sleep(0)
        await client.flush()
        await client.until(*client.streams.values())
        ends = [
            (one.status, sorted(one.headers.items()), bytes(one.body), one.whole, one.reset)
            for one in client.streams.values()
        ]
        return [*ends, (client.goaway is not None,)]


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 700), marks=pytest.mark.long)])
def test_the_same_streams_get_the_same_answers(seeds: range, half: slice, tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_origin() as other:
            async with both(origin, other, tmp_path) as (front, plain):
                for seed in seeds[half]:
                    got, wanted = await answers_over_http2(front, seed), await answers_over_http2(plain, seed)
                    assert got == wanted, seed
                for node in (front, plain):
                    await node.stop()
                recorded = [
                    sorted(str({k: v for k, v in line.items() if k in WHAT - {"seq"}}) for line in node.records())
                    for node in (front, plain)
                ]
                assert recorded[0] == recorded[1]
            asked = [sorted((one.method, one.target) for one in each.asked) for each in (origin, other)]
            assert asked[0] == asked[1]  # in no order: streams have none

    asyncio.run(run())
