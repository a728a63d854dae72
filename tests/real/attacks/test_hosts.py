"""Host, and forms of a target: one host is meant, it is one, and the origin is told its own name, or, with a profile
that sends on the viewer's, that one which the key holds (RFC 9112 §3.2)."""

import asyncio
from dataclasses import dataclass

import pytest

from cdnkit.policy.rules.profile import Profile
from cdnkit.vendors import PROFILES
from tests.real.attacks.lab import attacked


@dataclass(frozen=True)
class Named:
    """A request for `/attack` that names a host in some way."""

    name: str
    sent: bytes
    status: int
    rule: str
    host: str = "edge"
    """The host that is meant."""

    @property
    def outcome(self) -> str:
        return (
            f"refuses it: {self.status}"
            if self.status >= 400
            else "responds; the origin gets only its own name, with fastly only "
            + (f"`{self.host}`" if self.host else "the node's")
        )


def get(*lines: bytes, target: bytes = b"/attack", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/" + version, *lines]) + b"\r\n\r\n"


ONE = "RFC 9112 3.2: exactly one Host"
VALID = "RFC 9112 3.2: an invalid Host is refused"
FORM = "RFC 9112 3.2: a target is a path, or an http URL"
ABSOLUTE = "RFC 9112 3.2.2: the target names the host, whatever Host says"

HOSTS = [
    Named("two Hosts", get(b"host: edge", b"host: evil"), 400, ONE),
    Named("the same Host twice", get(b"host: edge", b"host: edge"), 400, ONE),
    Named("no Host", get(), 400, ONE),
    Named("Host, folded", get(b"x: y", b" host: evil", b"host: edge"), 200, "RFC 9112 5.2: a fold is a space"),
    Named("Host with a space before the colon", get(b"host : evil", b"host: edge"), 400, "RFC 9112 5.1"),
    Named("an empty Host", get(b"host:"), 200, "RFC 9110 7.2: allowed where there is none to name", ""),
    Named("a list of hosts", get(b"host: edge, evil"), 400, VALID),
    Named("a list of hosts without a space", get(b"host: edge,evil"), 400, VALID),
    Named("a space in Host", get(b"host: edge evil"), 400, VALID),
    Named("a user in Host", get(b"host: edge@evil"), 400, VALID),
    Named("a path in Host", get(b"host: edge/evil"), 400, VALID),
    Named("a query in Host", get(b"host: edge?evil"), 400, VALID),
    Named("a scheme in Host", get(b"host: http://evil"), 400, VALID),
    Named("a port beyond all ports in Host", get(b"host: edge:99999"), 400, VALID),
    Named("a port that is no number in Host", get(b"host: edge:evil"), 400, VALID),
    Named("any host", get(b"host: evil.example"), 200, "no key's but where `key.host` says so", "evil.example"),
    Named("any port", get(b"host: edge:8443"), 200, "the same", "edge:8443"),
    Named("a target in absolute form", get(b"host: edge", target=b"http://evil/attack"), 200, ABSOLUTE, "evil"),
    Named("another scheme in absolute form", get(b"host: edge", target=b"ftp://evil/attack"), 400, FORM),
    Named("a user in absolute form", get(b"host: edge", target=b"http://edge@evil/attack"), 400, VALID),
    Named("a target without a slash", get(b"host: edge", target=b"@evil/attack"), 400, FORM),
    Named("a target that is *", get(b"host: edge", target=b"*"), 400, FORM),
    Named("a fragment", get(b"host: edge", target=b"/attack#evil"), 400, FORM),
    Named("octets beyond ASCII in the target", get(b"host: edge", target=b"/attack\xe9"), 400, FORM),
]


@pytest.mark.parametrize("tiers", [1, 2])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize("named", HOSTS, ids=[one.name for one in HOSTS])
def test_the_origin_is_told_one_host(named: Named, profile: Profile, tiers: int) -> None:
    told = named.host if profile.host_sent == "viewer" else ""

    async def run() -> None:
        async with attacked(profile, tiers=tiers) as lab:
            async with lab.attack(named.sent, 1) as (reply,):
                assert reply.status == named.status
            asked = [one for one in lab.origin.asked if one.target == "/attack"]
            assert lab.origin.requests == (["GET /attack"] if named.status == 200 else [])
            for one in asked:
                own = lab.origin.url.removeprefix("http://")
                if named.host or tiers == 1 or profile.host_sent != "viewer":
                    assert one.headers.all("host") == [told or own]
                else:
                    # The shield was asked by its own name, and that is the viewer's to it.
                    assert len(one.headers.all("host")) == 1 and one.headers.first("host") != own
            # In the key where the profile has the host there: an honest client's host is another's.
            await lab.honest("/attack")
            await lab.honest("/victim")
            kept = named.status == 200 and profile.name != "fastly"
            assert lab.origin.requests.count("GET /attack") == (1 if kept or named.status != 200 else 2)

    asyncio.run(run())
