"""Which stored response a request selects: Vary's secondary key, row by row (RFC 9111 §4.1)."""

import pytest

from cdnkit.policy import EdgeMachine, Fetch, Headers, RequestHead, ResponseHead, Serve, Service
from cdnkit.policy.http.dates import format_date

NOW = 1_795_000_000.0
Lines = list[tuple[str, str]]


def get(*lines: tuple[str, str]) -> RequestHead:
    return RequestHead("GET", "http", "h", "/a", None, Headers(lines))


def fill(edge: EdgeMachine, request: RequestHead, *lines: tuple[str, str], now: float = NOW) -> None:
    plan = edge.on_request(request, now)
    assert isinstance(plan, Fetch)
    edge.on_response(plan, ResponseHead(200, Headers([("cache-control", "max-age=60"), *lines])), now)
    edge.on_body_end(plan, 1, now)


def told(edge: EdgeMachine, request: RequestHead, now: float = NOW) -> str | None:
    """What the answer from the store says of itself in `x-is`; None where the parent is asked."""
    plan = edge.on_request(request, now)
    if isinstance(plan, Fetch):
        return None
    assert isinstance(plan, Serve)
    return dict(plan.headers).get("x-is", "")


ROWS = [  # Vary, the first request's fields, another's, is it answered with the same?
    ("x-a", [("x-a", "1")], [("x-a", "1")], True),
    ("x-a", [("x-a", "1")], [("x-a", "2")], False),
    ("x-a", [], [], True),  # both absent
    ("x-a", [("x-a", "1")], [], False),
    ("x-a", [], [("x-a", "")], False),  # empty is not absent
    ("X-A, x-a", [("x-a", "1")], [("X-A", "1")], True),  # named twice, and in another case
    ("x-a", [("x-a", "1"), ("x-b", "1")], [("x-a", "1"), ("x-b", "2")], True),  # what it does not name splits nothing
    ("x-a, x-b", [("x-a", "1"), ("x-b", "1")], [("x-a", "1"), ("x-b", "2")], False),
    ("x-a", [("x-a", "1, 2")], [("x-a", "1,2")], True),  # white space around commas
    ("x-a", [("x-a", "1, 2")], [("x-a", "1"), ("x-a", "2")], True),  # lines are joined
    ("x-a", [("x-a", "1, 2")], [("x-a", "2, 1")], False),  # of an unknown field the order counts,
    ("x-a", [("x-a", "abc")], [("x-a", "ABC")], False),  # and the case
    ("accept-encoding", [("accept-encoding", "gzip, br")], [("accept-encoding", "BR,gzip")], True),
    ("accept-encoding", [("accept-encoding", "gzip;q=0.5, br")], [("accept-encoding", "br, gzip;q=0.50")], True),
    ("accept-encoding", [("accept-encoding", "gzip, br")], [("accept-encoding", "gzip")], False),
    ("accept-encoding", [("accept-encoding", "gzip")], [("accept-encoding", "gzip;q=0")], False),
    ("accept-encoding", [("accept-encoding", "gzip")], [], False),
    (", x-a ,", [("x-a", "1")], [("x-a", "2")], False),  # empty members name nothing
]


@pytest.mark.parametrize(("vary", "first", "other", "same"), ROWS)
def test_selection(vary: str, first: Lines, other: Lines, same: bool) -> None:
    edge = EdgeMachine(Service())
    fill(edge, get(*first), ("vary", vary))
    assert (told(edge, get(*other)) is not None) is same


@pytest.mark.parametrize("lines", [[("vary", "*")], [("vary", "x-a, *")], [("vary", "x-a"), ("vary", ",*")]])
def test_a_star_anywhere_matches_nothing(lines: Lines) -> None:
    edge = EdgeMachine(Service())
    fill(edge, get(("x-a", "1")), *lines)
    assert told(edge, get(("x-a", "1"))) is None


def test_variants_stand_side_by_side_and_each_is_replaced_by_its_own() -> None:
    edge = EdgeMachine(Service())
    for value in ("1", "2", "3"):
        fill(edge, get(("x-a", value)), ("vary", "x-a"), ("x-is", value))
    assert [told(edge, get(("x-a", value))) for value in ("1", "2", "3")] == ["1", "2", "3"]
    fill(edge, get(("x-a", "2"), ("cache-control", "no-cache")), ("vary", "x-a"), ("x-is", "new"))
    assert [told(edge, get(("x-a", value))) for value in ("1", "2", "3")] == ["1", "new", "3"]
    assert len(edge.index) == 3


def test_an_answer_that_may_not_be_stored_does_not_reach_back_to_other_variants() -> None:
    edge = EdgeMachine(Service())
    fill(edge, get(("x-a", "1")), ("vary", "x-a"))
    fill(edge, get(("x-a", "2")), ("vary", "x-a"), ("cache-control", "no-store"))
    assert told(edge, get(("x-a", "1"))) is not None and told(edge, get(("x-a", "2"))) is None


def test_of_several_that_match_the_latest_answers() -> None:
    """One varies on a field, a later one on another: a request that both fit gets the later."""
    edge = EdgeMachine(Service())
    fill(edge, get(("x-a", "1")), ("vary", "x-a"), ("x-is", "old"), ("date", format_date(NOW)))
    fill(
        edge,
        get(("x-a", "2"), ("x-b", "1")),
        ("vary", "x-b"),
        ("x-is", "new"),
        ("date", format_date(NOW + 5)),
        now=NOW + 5,
    )
    assert told(edge, get(("x-a", "1"), ("x-b", "1")), NOW + 6) == "new"
    assert told(edge, get(("x-a", "1")), NOW + 6) == "old"  # whom the later one does not fit


def test_one_without_vary_is_for_whom_no_other_fits() -> None:
    """An origin that forgets Vary for those who have no preference (RFC 9111 §4.1)."""
    edge = EdgeMachine(Service())
    fill(edge, get(("x-a", "1")), ("vary", "x-a"), ("x-is", "1"))
    fill(edge, get(), ("x-is", "default"))
    assert [told(edge, get(*lines)) for lines in ([("x-a", "1")], [], [("x-a", "2")])] == ["1", "default", "default"]


def test_a_variant_that_comes_while_another_is_validated_stays() -> None:
    edge = EdgeMachine(Service())
    fill(edge, get(("x-a", "1")), ("vary", "x-a"), ("etag", '"1"'), ("x-is", "1"))
    asking = edge.on_request(get(("x-a", "1")), NOW + 70)
    assert isinstance(asking, Fetch) and asking.request.headers.first("if-none-match") == '"1"'
    fill(edge, get(("x-a", "2")), ("vary", "x-a"), ("etag", '"2"'), ("x-is", "2"), now=NOW + 70)
    head = ResponseHead(304, Headers([("etag", '"1"'), ("cache-control", "max-age=60"), ("vary", "x-a")]))
    edge.on_response(asking, head, NOW + 71)
    assert [told(edge, get(("x-a", value)), NOW + 72) for value in ("1", "2")] == ["1", "2"]


def test_a_validation_keeps_the_fields_that_vary_names() -> None:
    edge = EdgeMachine(Service())
    fill(edge, get(("x-a", "1")), ("vary", "x-a"), ("etag", '"1"'))
    asking = edge.on_request(
        get(("x-a", "1"), ("if-none-match", '"mine"'), ("range", "bytes=0-0"), ("if-range", '"mine"')), NOW + 70
    )
    assert isinstance(asking, Fetch)
    fields = asking.request.headers
    assert fields.all("x-a") == ["1"] and fields.all("if-none-match") == ['"1"']
    assert "range" not in fields and "if-range" not in fields
