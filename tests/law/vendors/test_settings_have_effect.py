"""No setting is taken in silence without effect: each key of a behavior changes what a node does, or is refused.

One script of requests and answers is told to a node with the setting and to one without. A new key of a behavior fails
here until it has a row.
"""

from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Assemble, Fetch
from cdnkit.policy.rules.service import Behavior, Key, Ttl
from cdnkit.vendors import PROFILES
from cdnlab.errors import BadDocument
from cdnlab.settings.document import parse
from tests.kit.machine import NOW, at
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
BESIDE = f'\n[token.viewer]\nkey = "{SECRET}"\n[response_headers.player]\nset = {{ "X-Robots-Tag" = "noindex" }}\n'

ROWS = {  # key of a behavior -> as it is written; behind a line end, what the node without it has too
    "cache": "false",
    "methods": '"GET, HEAD"',
    "cached_methods": '"GET, HEAD, OPTIONS"',
    "ttl.min": '"5s"',
    "ttl.default": '"7s"',
    "ttl.max": '"3s"',
    "key.query": '["a"]',
    "key.query_except": '["a"]',
    "key.headers": '["X-Kind"]',
    "key.cookies": '["s"]',
    "key.cookies_except": '["s"]\nkey.cookies = "all"',
    "key.accept_encoding": '["gzip"]',
    "key.host": "true",
    "slice": '"4KiB"',
    "stale_while_revalidate": '"30s"',
    "stale_if_error": '"20s"',
    "error_ttl": '"4s"',
    "error_ttls": "{ 404 = '4s' }",
    "cache_policy": '"CachingOptimized"',
    "origin_request_policy": '"AllViewer"',
    "response_headers_policy": '"player"',
    "compress": 'true\nkey.accept_encoding = ["gzip"]',
    "server_timing": "100",
    "token": '"viewer"',
    "geo": '{ deny = ["KP"] }',
    "rate_limit": "{ requests = 1 }",
    "viewer_protocol": '"https-only"',
    "viewer_headers": '["CloudFront-Viewer-Country"]',
}
SAME = {("fastly", "key.host")}
"""(profile, key) where the value above is the profile's own."""

REFUSED = {
    ("rfc9111", "cache_policy"), ("rfc9111", "origin_request_policy"), ("rfc9111", "compress"),
    ("rfc9111", "server_timing"), ("rfc9111", "viewer_headers"),
    ("fastly", "cache_policy"), ("fastly", "origin_request_policy"), ("fastly", "compress"),
    ("fastly", "server_timing"), ("fastly", "viewer_headers"),
    *((profile, "viewer_protocol") for profile in PROFILES),  # the edge below has no listen_tls
}  # fmt: skip
"""(profile, key) that the settings file refuses."""


def asks() -> list[tuple[float, RequestHead]]:
    """What viewers ask, and when."""
    from_kp = ask("/kp")
    from_kp.place = Place(country="KP")
    kinds = [
        ask("/bare"), from_kp, ask("/bare", query="a=1&b=1"), ask("/bare", query="a=2&b=1"),
        ask("/bare", query="a=1&b=2"), ask("/bare", host="other"),
        ask("/bare", x_kind="1"), ask("/bare", cookie="s=1; t=1"), ask("/bare", cookie="s=2; t=1"),
        ask("/bare", accept_encoding="gzip, br"), ask("/bare", accept_encoding="gzip"),
        ask("/bare", method="OPTIONS"), ask("/bare", method="POST"), ask("/short"), ask("/long"), ask("/404"), ask("/410"), ask("/large", range="bytes=0-9"),
    ]  # fmt: skip
    return [(NOW + after, one) for after in (0, 2, 4.5, 6, 12, 40) for one in kinds]


def origin(request: RequestHead, now: float) -> ResponseHead:
    match request.path:
        case "/short":
            return says(503) if now > NOW + 10 else says(cache_control="max-age=1")
        case "/long":
            return says(cache_control="max-age=100")
        case "/404" | "/410":
            return says(int(request.path[1:]))
    return says(content_type="text/plain", content_length="5000", last_modified=at(-1000))


def told(machine: EdgeMachine) -> list[Any]:
    """All that the script makes the node say, to viewers and to its origin."""
    seen: list[Any] = []
    for now, request in asks():
        plan: Any = machine.on_request(request, now)
        while isinstance(plan, Fetch):
            seen.append((plan.request.target, plan.request.method, sorted(plan.request.headers.lines)))
            landing = machine.on_response(plan, origin(plan.request, now), now)
            machine.on_body_end(plan, 5000, now)
            plan = landing.answers[plan.ticket]
        if isinstance(plan, Assemble):
            seen.append("sliced")
            continue
        seen.append((plan.status, plan.outcome, sorted(name for name, _ in plan.headers)))
        refresh = getattr(plan, "refresh", None)
        if refresh is not None:
            machine.on_response(refresh, says(), now)
            machine.on_body_end(refresh, 5000, now)
    return seen


def node_of(profile: str, key: str, *, without: bool = False) -> EdgeMachine:
    value, _, beside = ROWS[key].partition("\n")
    written = beside if without else f"{key} = {value}\n{beside}"
    text = f'profile = "{profile}"\n[[behavior]]\npath = "*"\n{written}\n[[node]]\nname = "fra"\n{BESIDE}'
    document = parse(text, file="cdn.toml", folder=Path(), environ={}).document
    return EdgeMachine(document.service(document.nodes[0]), PROFILES[profile])


def test_every_key_of_a_behavior_has_a_row() -> None:
    inner = {f"ttl.{name}" for name in Ttl.model_fields} | {f"key.{name}" for name in Key.model_fields}
    assert set(ROWS) == (set(Behavior.model_fields) - {"path", "ttl", "key"}) | inner


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("key", ROWS)
def test_a_setting_changes_what_the_node_does_or_is_refused(profile: str, key: str) -> None:
    if (profile, key) in REFUSED:
        with pytest.raises(BadDocument, match=key):
            node_of(profile, key)
        return
    changed = told(node_of(profile, key)) != told(node_of(profile, key, without=True))
    assert changed is ((profile, key) not in SAME)
