"""A head that ticks is, at any time, the head that would be made anew then."""

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http.messages import Lines
from edge.wire import HTTP1, HTTP2, Wire

OTHERS = st.lists(
    st.tuples(
        st.sampled_from(["x", "age", "cache-status", "etag", "via"]),
        st.sampled_from(["%d", "100%", "a; hit; ttl=5", "ttl=", '"%(age)d"', "é", "7"]),
    ),
    max_size=4,
)


def lines_at(before: Lines, behind: Lines, age: int, ttl: int) -> Lines:
    ours = [
        ("age", str(age)),
        ("via", "1.1 fra"),
        ("x-cache", "HIT"),
        ("cache-status", f"above; ttl=9, fra; hit; ttl={ttl}"),
    ]
    return [*before, *ours, *behind]


@pytest.mark.parametrize("wire", [HTTP1, HTTP2])
@given(OTHERS, st.sampled_from([[], [("content-length", "12")]]), st.tuples(*[st.integers(0, 10**9)] * 4))
def test_a_head_that_ticks(wire: Wire, before: Lines, behind: Lines, times: tuple[int, int, int, int]) -> None:
    made = wire.ingredients(206, lines_at(before, behind, *times[:2]))
    told = wire.head(made, *times[2:])
    wanted = wire.status(206) + wire.fields(lines_at(before, behind, *times[2:]))
    if wire is HTTP1:
        assert told == wanted
    else:
        assert Decoder().decode(told, raw=True) == Decoder().decode(wanted, raw=True)
