"""Which requests a listener that takes orders refuses, and that the three which do so ask: origin, nodes, control."""

import asyncio
import json

import pytest

from cdnkit.serving.guard import Guard, guard_of
from tests.kit.control import Lab, lab
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin

GUARD = Guard(frozenset({"origin.lan"}), "origin.ingest_hosts")
HERE = "127.0.0.1:9001"

TABLE: list[tuple[str, dict[str, str], int | None]] = [
    # given a method and fields                                                               refused with
    # Programs: curl, ffmpeg, OBS, boto3, the fastly CLI, our own commands. They send no Origin.
    ("POST", {"host": HERE}, None),
    ("POST", {}, None),  # HTTP/1.0 without a Host: no browser sends that
    ("POST", {"host": HERE, "content-type": "application/json"}, None),
    ("POST", {"host": HERE, "content-type": "video/mp4"}, None),
    ("PUT", {"host": HERE, "content-type": "application/x-www-form-urlencoded"}, None),  # curl -d; forms cannot PUT
    ("GET", {"host": HERE}, None),
    # Hosts: addresses, localhost, names from the settings.
    ("GET", {"host": "127.0.0.1"}, None),
    ("GET", {"host": "192.168.1.7:9001"}, None),
    ("GET", {"host": "[::1]:9001"}, None),
    ("GET", {"host": "[fe80::1%25eth0]:9001"}, None),
    ("GET", {"host": "[::ffff:127.0.0.1]:9001"}, None),
    ("GET", {"host": "localhost:9001"}, None),
    ("GET", {"host": "LocalHost.:9001"}, None),
    ("GET", {"host": "fra.localhost:9001"}, None),
    ("GET", {"host": "origin.lan:9001"}, None),
    ("GET", {"host": "Origin.LAN"}, None),
    ("GET", {"host": "evil.example"}, 421),  # its name, our address: DNS rebinding
    ("GET", {"host": "evil.example:9001"}, 421),
    ("GET", {"host": "localhost.evil.example"}, 421),
    ("GET", {"host": "127.0.0.1.evil.example:9001"}, 421),
    ("GET", {"host": "notlocalhost"}, 421),
    ("GET", {"host": "evil.origin.lan"}, 421),
    ("GET", {"host": "127.0.0.1@evil.example"}, 421),
    ("GET", {"host": "localhost, evil.example"}, 421),
    ("GET", {"host": "[::1"}, 421),
    ("GET", {"host": "[evil.example]"}, 421),
    ("GET", {"host": "::1"}, 421),
    ("GET", {"host": ""}, 421),
    # Pages of other origins; another port is another origin, and so is another name of this machine.
    ("POST", {"host": HERE, "origin": "http://evil.example"}, 403),
    ("POST", {"host": HERE, "origin": "http://127.0.0.1:8080"}, 403),
    ("POST", {"host": HERE, "origin": "http://localhost:9001"}, 403),
    ("POST", {"host": HERE, "origin": "null"}, 403),  # a sandboxed frame, a data: URL, a file
    ("POST", {"host": HERE, "origin": ""}, 403),
    ("POST", {"origin": "null"}, 403),
    ("OPTIONS", {"host": HERE, "origin": "http://evil.example", "access-control-request-method": "PUT"}, 403),
    ("POST", {"host": HERE, "origin": f"http://{HERE}"}, None),
    ("POST", {"host": "origin.lan", "origin": "https://Origin.lan"}, None),  # behind a proxy that ends TLS
    ("POST", {"host": "evil.example", "origin": "http://evil.example"}, 421),  # rebound: both are the page's own
    ("POST", {"host": "evil.example", "origin": f"http://{HERE}"}, 421),
    ("GET", {"host": HERE, "sec-fetch-site": "cross-site"}, 403),
    ("GET", {"host": HERE, "sec-fetch-site": "same-site"}, 403),  # localhost:3000 is of the same site
    ("GET", {"host": HERE, "sec-fetch-site": "Anything-Else"}, 403),
    ("GET", {"host": HERE, "sec-fetch-site": "none"}, None),  # typed at the address bar
    ("GET", {"host": HERE, "sec-fetch-site": "same-origin"}, None),
    # What a form can send: a browser that hides Origin is still given away by it.
    ("POST", {"host": HERE, "content-type": "application/x-www-form-urlencoded"}, 415),
    ("POST", {"host": HERE, "content-type": "Multipart/Form-Data; boundary=x"}, 415),
    ("POST", {"host": HERE, "content-type": "text/plain;charset=UTF-8"}, 415),
]


@pytest.mark.parametrize(("method", "fields", "status"), TABLE, ids=str)
def test_what_a_web_page_can_send_is_refused(method: str, fields: dict[str, str], status: int | None) -> None:
    refusal = GUARD.refusal(method, fields.items())
    assert (refusal and refusal.status) == status


def test_each_of_several_lines_counts() -> None:
    for name, good, bad in [
        ("host", "localhost", "evil.example"),
        ("origin", "http://localhost", "http://evil.example"),
        ("sec-fetch-site", "none", "cross-site"),
        ("content-type", "video/mp4", "text/plain"),
    ]:
        assert GUARD.refusal("POST", [("host", "localhost"), (name, good), (name, bad)]) is not None


def test_a_form_cannot_send_credentials_so_its_types_do_not_matter_where_they_are_asked_for() -> None:
    """Fastly's clients in Ruby and PHP send purges as forms do, with a Fastly-Key."""
    fields = [("host", HERE), ("content-type", "application/x-www-form-urlencoded")]
    assert Guard(frozenset(), "control.hosts", credentials=True).refusal("POST", fields) is None


def test_a_refusal_says_what_was_found_and_which_setting_knows_more() -> None:
    refusal = GUARD.refusal("GET", [("host", "evil\x1b[2J.example")])
    assert refusal is not None and "'evil\\x1b[2J.example'" in refusal.text and "origin.ingest_hosts" in refusal.text


def test_a_listener_knows_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Studio7")
    assert guard_of("origin.lan:9001", (), "s").hosts >= {"origin.lan", "studio7", "studio7.local"}
    assert guard_of("0.0.0.0:9001", ("Encoder-In",), "s").hosts >= {"encoder-in", "studio7"}
    assert "studio7" not in guard_of("127.0.0.1:9001", (), "s").hosts


PAGES: list[tuple[dict[str, str], int]] = [  # fields beside a POST's JSON, and the answer
    ({"host": "evil.example"}, 421),
    ({"origin": "http://evil.example"}, 403),
    ({"sec_fetch_site": "cross-site"}, 403),
    ({"content_type": "text/plain"}, 415),
]


def test_a_node_takes_no_orders_from_web_pages() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            origin.says("/a", b"v1", cache_control="max-age=60")
            await node.get("/a")
            order = json.dumps({"everything": True}).encode()
            for fields, status in PAGES:
                refused = await ask(node.admin, "/purge", method="POST", body=order, **fields)
                assert refused.status == status, fields
            assert (await ask(node.admin, "/explain?url=/a", host="evil.example")).status == 421
            assert (await ask(node.admin, "/explain?url=/a", host="localhost")).status == 200
            big = await ask(node.admin, "/purge", method="POST", body=bytes(2**20), origin="null")
            assert big.status == 403 and big.whole, "the answer is not lost to a body that nobody reads"
            assert (await ask(node.admin, "/healthz", method="HEAD", host="x.example")).status == 421
            assert (await node.health())["stored_responses"] == 1
            assert (await ask(node.admin, "/purge", method="POST", body=order)).status == 200
            assert (await node.health())["stored_responses"] == 0

    asyncio.run(run())


def test_an_admin_listener_is_reached_by_the_names_it_was_told() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, admin_hosts=("edge.lan",)) as node:
            assert (await ask(node.admin, "/healthz", host="edge.lan:8180")).status == 200
            assert (await ask(node.admin, "/healthz", host="other.lan:8180")).status == 421

    asyncio.run(run())


def test_the_control_api_takes_no_orders_from_web_pages() -> None:
    async def test(one: Lab) -> None:
        one.origin.says("/a", b"v1", cache_control="max-age=60")
        assert await one.fetched("/a") == 1
        token = {"fastly_key": "cdnlab"}
        for fields, status in PAGES[:3]:
            refused = await ask(one.control, "/service/cdnlab/purge_all", method="POST", **token, **fields)
            assert refused.status == status, fields
        assert await one.fetched("/a") == 1
        as_a_form = {"content_type": "application/x-www-form-urlencoded", **token}
        assert (await ask(one.control, "/service/cdnlab/purge_all", method="POST", **as_a_form)).status == 200
        assert await one.fetched("/a") == 2

    lab(test)
