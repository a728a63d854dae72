"""Header injection: what a client writes into a URL or a field is nowhere read as a field, or as a page's own markup.

Places where a node writes a client's own words into an answer: `Location` of a redirect to HTTPS, `Cache-Status` and its
key, debug fields, the cookie that carries a token on, pages of errors and refusals.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.vendors import PROFILES
from tests.kit.node import running_node
from tests.kit.origin import running_origin


@dataclass(frozen=True)
class Injection:
    """A place, and how a node comes to write into it."""

    name: str
    behavior: dict[str, Any]
    fields: str
    status: int
    """What a target that can be read gets; others get 400."""
    outcome: str
    rule: str
    settings: tuple[str, ...] = ()


PERCENT = "a target is never decoded: `%0d%0a` stays six characters"

INJECTIONS = [
    Injection(
        "`Location` of a redirect to HTTPS", {"viewer_protocol": "redirect-to-https"}, "", 301,
        "writes it unchanged", PERCENT, ("listen_tls",),
    ),
    Injection(
        "`Cache-Status` with the key, `CDNLab-Debug`", {}, "cdnlab-debug: 1\r\n", 404,
        "writes it as a quoted string", "RFC 9651 3.3.3: a string is printable ASCII; RFC 8259 7: JSON escapes the rest",
    ),
    Injection(
        "`Fastly-Debug-Path`", {}, "fastly-debug: 1\r\n", 404, "writes it unchanged", PERCENT,
    ),
    Injection(
        "the page of a refusal", {"geo": Geo(deny=("KP",))}, "cdnlab-client-ip: 203.0.113.9\r\n", 403,
        "does not write it", "a page says which rule refused the request",
    ),
    Injection("the page of an error", {}, "host: \"><script>x</script>\r\n", 400, "does not write it",
              "a page says which rule refused the request"),
]  # fmt: skip

TARGETS = [
    "/a%0d%0aset-cookie:%20evil=1", "/a?q=%0d%0aset-cookie:%20evil=1", "/a%0aset-cookie:%20evil=1",
    "/a%E5%98%8A%E5%98%8Dset-cookie:%20evil=1", '/a"><script>evil</script>', "/a?q='><script>evil</script>",
    '/a";ttl=9;x="', "/a%22%3B%20fwd=evil",
]  # fmt: skip


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("injection", INJECTIONS, ids=[one.name for one in INJECTIONS])
def test_what_a_client_writes_is_no_field_and_no_markup(injection: Injection, profile: str, authority: object) -> None:
    async def run() -> None:
        settings = dict.fromkeys(injection.settings, "127.0.0.1:0")
        rule = Behavior(path="*", **injection.behavior)
        async with (
            running_origin() as origin,
            running_node(
                origin.url, rule, profile=PROFILES[profile], countries={"203.0.113.0/24": "KP"}, **settings
            ) as node,
        ):
            seen = set()
            for target in TARGETS:
                host, _, port = node.url.removeprefix("http://").partition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                own = "" if "host:" in injection.fields else "host: edge\r\n"
                writer.write(f"GET {target} HTTP/1.1\r\n{own}{injection.fields}connection: close\r\n\r\n".encode())
                raw = await reader.read()
                writer.close()
                head, _, body = raw.partition(b"\r\n\r\n")
                status, *lines = head.decode("latin-1").split("\r\n")
                seen.add(int(status.split(" ")[1]))
                names = {line.partition(":")[0].lower() for line in lines}
                assert "set-cookie" not in names and all(line.isprintable() for line in lines), target
                assert all(":" in line for line in lines), target
                assert b"<script" not in body, target
            assert injection.status in seen and seen <= {injection.status, 400}

    asyncio.run(run())
