"""A CDN is a folder of `cdnkit/vendors` and nothing else: a made-up one, with fields, a page and a purge of its own."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cdnkit
from cdnkit.policy.gate.plain import is_plain
from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.machine.purge_requests import purge_request
from cdnkit.policy.outcomes import Failure, Outcome, Refusal
from cdnkit.policy.plan import PurgeKind, PurgeOrder, Refuse, Serve
from cdnkit.policy.rules.profile import ForwardedRequest, Incident, Page, Profile, PurgeMethod
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.rules.signature import Signature, SignedResponse, appended
from cdnkit.vendors import CLOUDFRONT, FASTLY, PROFILES, RFC9111, purge_method_of
from tests.kit.machine import NOW, fetched, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask


class AcmeSignature(Signature):
    """`Acme-Nodes` lists the nodes, `Acme-Hits` counts; to `Acme-Why` an answer tells its outcome and key."""

    names = frozenset({"acme-nodes", "acme-hits", "acme-outcome", "acme-fetched"})

    def mark_fetched(self, headers: Headers, now: float) -> None:
        headers.lines.append(("acme-fetched", f"{self.node.name} {int(now)}"))

    def sign(self, lines: Lines, headers: Headers, x_cache: str) -> str:
        lines.append(("acme-nodes", appended(headers, "acme-nodes", self.node.name)))
        return f"{x_cache} at Acme"

    def by_request(
        self, headers: Headers, *, hits: int, started_at: float, now: float, asked: bool, request_id: str = ""
    ) -> Lines:
        return [("acme-hits", str(hits))]

    def wants_extras(self, request: RequestHead, behavior: Behavior) -> bool:
        return "acme-why" in request.headers

    def with_extras(self, answer: SignedResponse) -> Lines:
        left = "" if answer.fresh_until is None else f" {answer.fresh_until - answer.now:g}"
        return [*answer.lines, ("acme-outcome", f"{answer.outcome.value} {answer.key}{left}")]


def onward(onward: ForwardedRequest) -> tuple[str | None, Headers]:
    """No query, no cookies, and the id of the request."""
    return None, onward.headers.without(("cookie",)).plus(("acme-request", onward.request_id))


def page(incident: Incident) -> Page:
    return Page("text/acme", f"{incident.node} could not: {incident.status} {incident.words}")


ACME = Profile(
    name="acme",
    default_ttl=60.0,
    key_query="none",
    normalized=lambda request: request.with_fields(request.headers.without(("accept-language",))),
    request_fields=onward,
    purge_requests="everybody",
    purge_method=PurgeMethod(method="BAN", token_field="acme-token", soft_field="acme-gently"),
    failure_status=599,
    page=page,
    signature=AcmeSignature,
    extra_fields=frozenset({"acme-why"}),
)


def test_a_playbook_of_a_made_up_cdn() -> None:
    """A miss, two hits, one that asks for more, a soft purge and a hard one, and a page when the origin fails."""
    edge = EdgeMachine(Service(name="fra"), ACME)
    miss = fetched(edge, edge.on_request(ask(query="q=1", cookie="a=1", accept_language="de", accept="*/*"), NOW))
    assert miss.request.query is None
    names = {name for name, _ in miss.request.headers}
    assert {"accept", "acme-request"} <= names and not {"cookie", "accept-language"} & names
    answer = edge.on_response(miss, says(etag='"1"', acme_nodes="ams", acme_hits="7"), NOW + 1).answers[miss.ticket]
    edge.on_body_end(miss, 10, NOW + 1)
    assert isinstance(answer, Serve)
    told = dict(answer.headers)
    assert (told["acme-nodes"], told["acme-hits"], told["x-cache"]) == ("ams, fra", "0", "MISS at Acme")
    assert "acme-fetched" not in told and len(told) == len(answer.headers)

    for hits in (1, 2):
        hit = edge.on_request(ask(query="other"), NOW + 1 + hits)
        assert isinstance(hit, Serve) and hit.outcome is Outcome.HIT
        told = dict(hit.headers)
        assert (told["acme-hits"], told["acme-nodes"], told["x-cache"]) == (str(hits), "ams, fra", "HIT at Acme")
    why = edge.on_request(ask(acme_why="1"), NOW + 4)
    assert isinstance(why, Serve) and dict(why.headers)["acme-outcome"] == "hit /a 56"
    unchanged = edge.on_request(ask(if_none_match='"1"'), NOW + 5)
    assert isinstance(unchanged, Serve) and unchanged.status == 304
    assert dict(unchanged.headers)["acme-nodes"] == "ams, fra"

    how = purge_method_of(ACME)
    soft = purge_request(ask(method="BAN", acme_gently="1"), edge.service, ACME, how)
    assert soft == PurgeOrder(PurgeKind.URL, "/a", soft=True)
    assert edge.on_purge(soft, NOW + 6).count == 1
    again = fetched(edge, edge.on_request(ask(), NOW + 7))
    assert again.request.headers.first("if-none-match") == '"1"'
    refused = edge.on_failure(again, Failure.CONNECT_TIMEOUT, NOW + 8).answers[again.ticket]
    assert isinstance(refused, Serve), "stale stands in"
    hard = purge_request(ask(method="BAN"), edge.service, ACME, how)
    assert isinstance(hard, PurgeOrder) and edge.on_purge(hard, NOW + 9).count == 1
    last = fetched(edge, edge.on_request(ask(), NOW + 10))
    refused = edge.on_failure(last, Failure.CONNECT_TIMEOUT, NOW + 11).answers[last.ticket]
    assert isinstance(refused, Refuse)
    assert (refused.status, refused.body) == (599, b"fra could not: 599 ")
    assert dict(refused.headers)["content-type"] == "text/acme" and dict(refused.headers)["acme-nodes"] == "fra"


def test_its_purge_wants_its_own_token() -> None:
    service, how = Service(name="fra", purge_requests="token", purge_token="s3cr3t"), purge_method_of(ACME)
    assert isinstance(purge_request(ask(method="BAN", fastly_key="s3cr3t"), service, ACME, how), Refusal)
    assert isinstance(purge_request(ask(method="BAN", acme_token="s3cr3t"), service, ACME, how), PurgeOrder)
    assert purge_request(ask(method="PURGE", acme_token="s3cr3t"), service, ACME, how) is None


def test_where_a_profile_has_no_purge_fastlys_is_taken() -> None:
    assert [purge_method_of(profile) for profile in (RFC9111, CLOUDFRONT)] == [FASTLY.purge_method] * 2


def test_what_asks_for_more_is_not_plain() -> None:
    edge = node(ACME)
    assert is_plain(ask(), edge.decisive) and not is_plain(ask(acme_why="1"), edge.decisive)
    assert is_plain(ask(acme_why="1"), node(RFC9111).decisive)


def test_fields_of_another_cdn_are_fields_like_any_other() -> None:
    edge = EdgeMachine(Service(name="fra"), replace(ACME, signature=None))
    miss = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_response(miss, says(acme_nodes="ams"), NOW).answers[miss.ticket]
    assert isinstance(answer, Serve) and dict(answer.headers)["acme-nodes"] == "ams"


def test_a_folder_is_found_and_settings_may_name_it(tmp_path: Path) -> None:
    """In a process of its own, over a copy of the kit that has one folder more."""
    kit = tmp_path / "cdnkit"
    shutil.copytree(Path(cdnkit.__file__).parent, kit, ignore=shutil.ignore_patterns("__pycache__"))
    (kit / "vendors/acme").mkdir()
    (kit / "vendors/acme/__init__.py").write_text(
        "from cdnkit.policy.rules.profile import Profile\n"
        'PROFILE = Profile(name="acme", server_timing=True)\nOBSERVED = Profile(name="acme", default_ttl=6.0)\n'
    )
    program = """
import json, pathlib
from cdnkit.vendors import OBSERVED, PROFILES, profile_of
from cdnlab.settings.document import parse
read = parse('profile = "acme"\\nobserved = true\\n[[node]]\\nname = "a"\\n'
             '[[behavior]]\\npath = "*"\\nserver_timing = 5', file="cdn.toml",
             folder=pathlib.Path("."), environ={}).document
print(json.dumps([list(PROFILES), profile_of(read.service(read.nodes[0])).default_ttl]))
"""
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [["rfc9111", "acme", "cloudfront", "fastly"], 6.0]


def test_the_profiles_are_those_of_the_folders() -> None:
    assert list(PROFILES) == ["rfc9111", "cloudfront", "fastly"]
