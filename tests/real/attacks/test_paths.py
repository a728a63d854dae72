"""Spellings of a path: whatever the origin makes of it, a gate is not walked around, and a key is not another's.

`/private/*` wants a token. Each row is a path and the liberty that some origin takes in reading paths: asked without an
edge, it gives the secret away.
"""

import asyncio
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

import pytest

from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, Ttl
from cdnkit.policy.rules.tokens import Akamai
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.vendors import PROFILES
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, Origin, Script, response, running_origin
from tests.real.attacks.lab import attacked

HEX_KEY = "5ec4e7" * 8
END = 2_000_000_000
RULES = [
    Behavior(path="/private/*", token="viewer", ttl=Ttl(default="60s")),
    Behavior(path="/live/*", token="viewer", ttl=Ttl(default="60s")),
    Behavior(path="*", ttl=Ttl(default="60s")),
]
SERVICE = {"tokens": {"viewer": Akamai(scheme="akamai", key=HEX_KEY)}}

Liberty = Callable[[str], str]


def as_it_stands(path: str) -> str:
    return path


def decoded(path: str) -> str:
    return unquote(path, "latin-1")


def decoded_twice(path: str) -> str:
    return decoded(decoded(path))


def as_on_Windows(path: str) -> str:
    return decoded(path).replace("\\", "/")


def by_a_servlet(path: str) -> str:
    """Tomcat's: parameters of a segment are taken off before dots are looked at."""
    return re.sub(r";[^/]*", "", decoded(path))


def as_a_C_string(path: str) -> str:
    return decoded(path).partition("\0")[0]


def as_careless_UTF_8(path: str) -> str:
    """A UTF-8 decoder that does not look how long a character need be."""
    raw = unquote_to_bytes(path)
    return re.sub(rb"[\xc0\xc1][\x80-\xbf]", lambda two: bytes([(two[0][0] & 1) << 6 | two[0][1] & 0x3F]), raw).decode(
        "latin-1"
    )


def by_IIS(path: str) -> str:
    return re.sub(r"%u([0-9a-fA-F]{4})", lambda four: chr(int(four[1], 16)), path)


@dataclass(frozen=True)
class Spelling:
    """One way to write `/private/x`."""

    path: str
    liberty: Liberty
    rule: str

    @property
    def status(self) -> int:
        return 403 if self.rule is NORMAL else 400

    @property
    def name(self) -> str:
        return f"`{self.path}`, read {self.liberty.__name__.replace('_', ' ')}"

    @property
    def outcome(self) -> str:
        return "requires the token: 403" if self.status == 403 else "refuses it: 400"


NORMAL = "RFC 3986 6.2.2: the normal form of the path selects the behavior (CloudFront: Path normalization)"
DOTS = "the same; and under a token for path prefixes there are no dot segments"
LIBERTY = "a path that an origin may read as one under another behavior's gate is refused"

SPELLINGS = [
    Spelling("/private/x", as_it_stands, NORMAL),
    Spelling("/%70rivate/x", decoded, NORMAL),
    Spelling("/%50rivate/../private/x", decoded, DOTS),
    Spelling("/public/../private/x", as_it_stands, DOTS),
    Spelling("/public/%2e%2e/private/x", decoded, DOTS),
    Spelling("/public/.%2E/private/x", decoded, DOTS),
    Spelling("/./private/x", as_it_stands, DOTS),
    Spelling("//private/x", as_it_stands, NORMAL),
    Spelling("/private//x", as_it_stands, NORMAL),
    Spelling("/private%2fx", decoded, LIBERTY),
    Spelling("/%2fprivate/x", decoded, LIBERTY),
    Spelling("/public/..%2fprivate/x", decoded, LIBERTY),
    Spelling("/public%2f..%2fprivate%2fx", decoded, LIBERTY),
    Spelling("/%2570rivate/x", decoded_twice, LIBERTY),
    Spelling("/public/%252e%252e/private/x", decoded_twice, LIBERTY),
    Spelling("/public/%252e%252e%252fprivate/x", decoded_twice, LIBERTY),
    Spelling("/private\\x", as_on_Windows, LIBERTY),
    Spelling("/public\\..\\private\\x", as_on_Windows, LIBERTY),
    Spelling("/public/..%5cprivate/x", as_on_Windows, LIBERTY),
    Spelling("/public/..;/private/x", by_a_servlet, LIBERTY),
    Spelling("/private;a=b/x", by_a_servlet, LIBERTY),
    Spelling("/private/x%00/../../public", as_a_C_string, LIBERTY),
    Spelling("/public/%c0%ae%c0%ae/private/x", as_careless_UTF_8, LIBERTY),
    Spelling("/private%c0%afx", as_careless_UTF_8, LIBERTY),
    Spelling("/public/%u002e%u002e/private/x", by_IIS, LIBERTY),
    Spelling("/private%u002fx", by_IIS, LIBERTY),
]


class Lenient(Origin):
    """Gives the secret to who asks for it in a spelling that it takes for the right one; the rest is free for all."""

    def __init__(self, liberty: Liberty) -> None:
        super().__init__()
        self.liberty = liberty

    def script_for(self, target: str) -> Script:
        async def script(asked: Asked, writer: object) -> None:
            path = posixpath.normpath(self.liberty(asked.target.partition("?")[0]))
            secret = "/" + path.lstrip("/") == "/private/x"
            writer.write(response(b"SECRET" if secret else b"free", cache_control="max-age=60"))  # type: ignore[attr-defined]

        return script


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize("spelling", SPELLINGS, ids=[one.path for one in SPELLINGS])
def test_no_spelling_walks_around_a_gate(spelling: Spelling, profile: Profile) -> None:
    async def run() -> None:
        async with (
            running_origin(Lenient(spelling.liberty)) as origin,
            running_node(origin.url, *RULES, profile=profile, service=SERVICE) as node,
        ):
            assert (await ask(origin.url, spelling.path)).body == b"SECRET"
            for target in (spelling.path, f"http://edge{spelling.path}"):
                for _ in range(2):
                    reply = await node.get(target)
                    assert reply.status == spelling.status and b"SECRET" not in reply.body
            token = AkamaiToken(HEX_KEY).sign(expires_at=END, acls=("/private/*",))
            assert (await node.get(f"/private/x?__token__={token}")).body == b"SECRET"
            assert (await node.get("/public/x")).body == b"free"

    asyncio.run(run())


CLIMBING = ["/live/../private/x", "/live/%2e%2e/private/x", "/live/..%2fprivate/x", "/live/..;/private/x"]


@pytest.mark.parametrize("path", CLIMBING)
def test_a_token_for_one_folder_does_not_climb_into_another(path: str) -> None:
    async def run() -> None:
        async with (
            running_origin(Lenient(by_a_servlet)) as origin,
            running_node(origin.url, *RULES, service=SERVICE) as node,
        ):
            assert (await ask(origin.url, path)).body == b"SECRET"
            token = AkamaiToken(HEX_KEY).sign(expires_at=END, acls=("/live/*",))
            assert (await node.get(f"/live/x?__token__={token}")).status == 200
            reply = await node.get(f"{path}?__token__={token}")
            assert reply.status == 400 and b"SECRET" not in reply.body

    asyncio.run(run())


ALIKE = [
    "/a/~b",
    "/a/%7Eb",
    "/a/%7eb",
    "//a/~b",
    "/a/./~b",
    "/a/c/../~b",
    "/a/~b;p",
    "/a/~b%20",
    "/A/~b",
    "/a/~b.",
    "/a%",
]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_each_spelling_is_a_key_of_its_own_and_goes_on_as_it_came(profile: Profile) -> None:
    """What the origin makes of one must not be given to who asks for another: who normalises for it would have to read
    as it does."""

    async def run() -> None:
        async with attacked(profile, tiers=2) as lab:
            for _ in range(2):
                for path in ALIKE:
                    await lab.honest(path)
            assert lab.origin.requests == [f"GET {path}" for path in ALIKE]

    asyncio.run(run())
