"""A token that stands before the path: what cache, origin and record see, whichever behavior the path proper is under."""

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Refuse
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.rules.tokens import Jwt

KEY = "a text of 32 characters and more, as HS256 wants it"
NOW = 1_795_000_000.0

PATHS = [  # asked for                what the origin is asked for, or the status of a refusal
    ("/open/a", "/open/a"),
    ("/t/abc/open/a", "/open/a"),  # no token is wanted there: the prefix is the settings' own all the same
    ("/u/abc/open/a", "/open/a"),
    ("/x/abc/open/a", "/x/abc/open/a"),  # nobody's
    ("/live/a", 403),
    ("/t/abc/live/a", 403),  # no token of that scheme
]


@pytest.mark.parametrize(("path", "then"), PATHS)
def test_what_stands_before_a_path_reaches_nobody(path: str, then: str | int) -> None:
    tokens = {
        "one": Jwt(scheme="jwt", key=KEY, param="", path_prefix="/t/"),
        "two": Jwt(scheme="jwt", key=KEY, param="", path_prefix="/u/"),
    }
    behaviors = (Behavior(path="/live/*", token="one"), Behavior(path="/other/*", token="two"), Behavior(path="*"))
    edge = EdgeMachine(Service(name="fra", behaviors=behaviors, tokens=tokens))
    plan = edge.on_request(RequestHead("GET", "http", "h", path, None, Headers()), NOW)
    if isinstance(then, int):
        assert isinstance(plan, Refuse) and plan.status == then
    else:
        assert isinstance(plan, Fetch) and plan.request.path == then
