"""Whose address a request counts for: a truth table of peers and fields, and no field that a viewer can forge."""

from functools import cache
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http.client import ClientField
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.http.place import address_of
from cdnkit.settings.edge import Whereabouts
from edge.viewers import Viewers

TRUSTED = ("127.0.0.0/8", "10.0.0.0/8", "2001:db8:ffff::/48")
EVERY: tuple[ClientField, ...] = get_args(ClientField)

PROXY, VIEWER, FORGED = "10.0.0.1", "203.0.113.9", "198.51.100.66"


def asked(peer: str, lines: list[tuple[str, str]], believed: tuple[ClientField, ...] = EVERY) -> str:
    return viewers(believed).address(peer, Headers(lines))


@cache
def viewers(believed: tuple[ClientField, ...]) -> Viewers:
    return Viewers(Whereabouts(), trusted=TRUSTED, believed=believed)


XFF, FWD, CF, FCI, LAB = (
    "X-Forwarded-For",
    "Forwarded",
    "CloudFront-Viewer-Address",
    "Fastly-Client-IP",
    "CDNLab-Client-IP",
)

ONE_FIELD = [  # peer, field, its lines, whose address it is
    # who is not trusted speaks for himself
    (VIEWER, XFF, [FORGED], VIEWER),
    (VIEWER, FWD, [f"for={FORGED}"], VIEWER),
    (VIEWER, CF, [f"{FORGED}:1"], VIEWER),
    (VIEWER, FCI, [FORGED], VIEWER),
    (VIEWER, LAB, [FORGED], VIEWER),
    ("::ffff:203.0.113.9", LAB, [FORGED], VIEWER),
    ("::ffff:10.0.0.1", XFF, [VIEWER], VIEWER),  # a dual-stack socket's way to write 10.0.0.1
    ("", XFF, [FORGED], ""),  # no address at all: a Unix socket
    # X-Forwarded-For: from the right, to the first that is not trusted
    (PROXY, XFF, [VIEWER], VIEWER),
    (PROXY, XFF, [f"{FORGED}, {VIEWER}"], VIEWER),
    (PROXY, XFF, [f"{FORGED},{VIEWER} ,\t10.0.0.7"], VIEWER),
    (PROXY, XFF, [FORGED, VIEWER], VIEWER),  # two lines are one list (RFC 9110 section 5.3)
    (PROXY, XFF, [f"{FORGED}, {VIEWER}", "10.0.0.7, 10.0.0.8"], VIEWER),
    (PROXY, XFF, ["10.0.0.9, 10.0.0.8"], "10.0.0.9"),  # trusted all the way: the farthest
    (PROXY, XFF, [f"{FORGED}, , {VIEWER}, ,"], VIEWER),  # empty elements do not count (RFC 9110 section 5.6.1)
    (PROXY, XFF, [""], PROXY),
    (PROXY, XFF, [" , ,"], PROXY),
    (PROXY, XFF, [f"{FORGED}, unknown"], PROXY),
    (PROXY, XFF, [f"{FORGED}, unknown, 10.0.0.7"], "10.0.0.7"),  # the nearest that is known
    (PROXY, XFF, [f"{FORGED}, _hidden"], PROXY),
    (PROXY, XFF, [f"{FORGED}, viewer.example"], PROXY),
    (PROXY, XFF, [f"{FORGED}, 999.0.0.1"], PROXY),
    (PROXY, XFF, ["203.0.113.9:4711"], VIEWER),
    (PROXY, XFF, ["203.0.113.9:http"], PROXY),
    (PROXY, XFF, ["203.0.113.9:"], PROXY),
    (PROXY, XFF, ["2001:db8::9"], "2001:db8::9"),
    (PROXY, XFF, ["[2001:db8::9]"], "2001:db8::9"),
    (PROXY, XFF, ["[2001:db8::9]:4711"], "2001:db8::9"),
    (PROXY, XFF, ["[2001:db8::9"], PROXY),
    (PROXY, XFF, ["[2001:db8::9]x"], PROXY),
    (PROXY, XFF, ["[203.0.113.9]"], PROXY),
    (PROXY, XFF, ["::ffff:203.0.113.9"], VIEWER),
    (PROXY, XFF, ["2001:DB8:0:0:0:0:0:9"], "2001:db8::9"),  # one address, one text
    (PROXY, XFF, ["fe80::1%eth0"], PROXY),  # a zone is a matter of one machine
    (PROXY, XFF, ['"203.0.113.9"'], PROXY),
    (PROXY, XFF, [f"{VIEWER}, 2001:db8:ffff::1"], VIEWER),
    (PROXY, XFF, ["9" * 100_000], PROXY),
    # Forwarded (RFC 7239; the first five are its own examples, section 4 and 6)
    (PROXY, FWD, ['For="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"),
    (PROXY, FWD, ["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
    (PROXY, FWD, ["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
    (PROXY, FWD, ['for="_gazonk"'], PROXY),
    (PROXY, FWD, ["for=unknown"], PROXY),
    (PROXY, FWD, [f"for={FORGED}", f"proto=https;for={VIEWER}"], VIEWER),
    (PROXY, FWD, [f'for={FORGED}, for="203.0.113.9:4711"'], VIEWER),
    (PROXY, FWD, ['for="203.0.113.9:_port"'], VIEWER),
    (PROXY, FWD, [f"for={FORGED}, for={VIEWER};by=10.0.0.1;host=a.example, for=10.0.0.7"], VIEWER),
    (PROXY, FWD, [f'for={FORGED}, for={VIEWER};host="a, b=c;for={FORGED}"'], VIEWER),  # a quoted comma is none
    (PROXY, FWD, [f"for={VIEWER}; proto=http ;"], VIEWER),
    (PROXY, FWD, [f"FOR={VIEWER}"], VIEWER),
    (PROXY, FWD, ['for="203.0.113.\\9"'], VIEWER),  # a quoted pair is what it quotes
    (PROXY, FWD, [f'for="{FORGED}, for={VIEWER}'], VIEWER),  # a viewer's open quote swallows nothing
    (PROXY, FWD, [f'for="{FORGED}', f"for={VIEWER}"], VIEWER),
    (PROXY, FWD, ["proto=https"], PROXY),  # an element without `for` names nobody
    (PROXY, FWD, [f"for={FORGED}, proto=https"], PROXY),
    (PROXY, FWD, [f"for={VIEWER};for={FORGED}"], PROXY),
    (PROXY, FWD, ["for=203.0.113.9:80"], PROXY),  # ":" wants quotes
    (PROXY, FWD, ['for="2001:db8::9"'], PROXY),  # IPv6 wants brackets
    (PROXY, FWD, ["for=[2001:db8::9]"], PROXY),
    (PROXY, FWD, ["for"], PROXY),
    (PROXY, FWD, ["for="], PROXY),
    (PROXY, FWD, ['for="'], PROXY),
    (PROXY, FWD, [VIEWER], PROXY),
    # CloudFront-Viewer-Address: always with its port
    (PROXY, CF, ["203.0.113.9:46532"], VIEWER),
    (PROXY, CF, ["2001:db8::9:46532"], "2001:db8::9"),
    (PROXY, CF, ["2001:db8:0:0:0:0:0:9:46532"], "2001:db8::9"),
    (PROXY, CF, ["[2001:db8::9]:46532"], "2001:db8::9"),
    (PROXY, CF, [VIEWER], PROXY),
    (PROXY, CF, ["203.0.113.9:port"], PROXY),
    (PROXY, CF, ["203.0.113.9:1", f"{FORGED}:1"], PROXY),  # one of the two is somebody else's
    # one bare address
    (PROXY, FCI, [VIEWER], VIEWER),
    (PROXY, FCI, [f" {VIEWER}\t"], VIEWER),
    (PROXY, FCI, ["2001:db8::9"], "2001:db8::9"),
    (PROXY, FCI, [f"{VIEWER}, {FORGED}"], PROXY),
    (PROXY, FCI, [VIEWER, VIEWER], PROXY),
    ("127.0.0.1", LAB, [VIEWER], VIEWER),
    ("127.0.0.1", LAB, ["nobody"], "127.0.0.1"),
    ("::1", LAB, [VIEWER], "::1"),  # not in this table's networks
]  # fmt: skip


@pytest.mark.parametrize(("peer", "name", "lines", "client"), ONE_FIELD)
def test_one_field(peer: str, name: ClientField, lines: list[str], client: str) -> None:
    assert asked(peer, [(name, line) for line in lines]) == client


def test_the_first_field_believed_that_is_there_counts() -> None:
    both = [(XFF, VIEWER), (LAB, FORGED)]
    assert asked(PROXY, both, (XFF, LAB)) == VIEWER
    assert asked(PROXY, both, (LAB, XFF)) == FORGED
    assert asked(PROXY, both, (FCI, XFF)) == VIEWER
    # A field that is there and names nobody is not passed over: who wrote it knew no better.
    assert asked(PROXY, [(XFF, "unknown"), (FCI, FORGED)], (XFF, FCI)) == PROXY


def test_a_field_that_is_not_believed_is_the_viewers_even_from_a_trusted_proxy() -> None:
    """A proxy passes on what it does not know: nginx that writes X-Forwarded-For lets Fastly-Client-IP through."""
    lines = [(XFF, VIEWER), *((name, FORGED) for name in EVERY if name != XFF)]
    assert asked(PROXY, lines, (XFF,)) == VIEWER
    assert asked(PROXY, lines, ()) == PROXY


# ---- no forged field changes a verdict --------------------------------------------------------------------------------

addresses = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.sampled_from([PROXY, FORGED]))
scraps = st.sampled_from(
    [",", ";", '"', "\\", "for=", "For=", "[", "]", ":", "=", " ", "unknown", "_x", "%", "proto=http"]
)
written = st.one_of(
    addresses,
    st.lists(st.one_of(addresses, scraps), max_size=8).map("".join),
    st.text(st.characters(min_codepoint=9, max_codepoint=255, exclude_characters="\n\r"), max_size=30),
)
fields = st.lists(st.tuples(st.sampled_from(EVERY), written), max_size=8)
orders = st.permutations(EVERY)


@given(st.sampled_from([VIEWER, "2001:db8::9", "8.8.8.8", ""]), fields, orders)
def test_an_untrusted_peer_is_itself_whatever_it_writes(
    peer: str, lines: list[tuple[str, str]], believed: list[ClientField]
) -> None:
    assert asked(peer, lines, tuple(believed)) == peer


@given(written, st.sampled_from([VIEWER, "2001:db8::9"]), fields, st.booleans())
def test_what_a_viewer_writes_does_not_change_what_an_honest_proxy_adds(
    forged: str, viewer: str, others: list[tuple[str, str]], same_line: bool
) -> None:
    """The proxy appends to the viewer's line, or adds a line of its own; the field is the one it is believed for."""
    node = f'for="[{viewer}]"' if ":" in viewer else f"for={viewer}"
    for name, added in ((XFF, viewer), (FWD, node)):
        lines = [(name, f"{forged}, {added}")] if same_line else [(name, forged), (name, added)]
        beside = [line for line in others if line[0] != name]
        assert asked(PROXY, [*beside, *lines], (name,)) == viewer  # type: ignore[arg-type]


@given(fields, orders)
def test_whatever_comes_the_answer_is_an_address(lines: list[tuple[str, str]], believed: list[ClientField]) -> None:
    client = asked(PROXY, lines, tuple(believed))
    assert str(address_of(client)) == client
