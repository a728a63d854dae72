"""Playbooks of a full store: many variants of one URL, and a surrogate key that many stored responses share."""

from collections import Counter

import pytest

from cdnkit.policy import EdgeMachine, Fetch, PurgeKind, PurgeOrder, Serve
from cdnkit.policy.answer import prepared
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.eviction import HEAD_COST_BYTES
from tests.kit.machine import NOW as START
from tests.kit.machine import get, machine, says

LIVE = PurgeOrder(PurgeKind.SURROGATE_KEYS, "live")


def stored(edge: EdgeMachine, path: str, sent: dict[str, str] | None = None, **fields: str) -> tuple[Entry, str]:
    """What a miss stores, and the last member of its Cache-Status."""
    plan = edge.on_request(get(path, **(sent or {})), START)
    assert isinstance(plan, Fetch)
    landing = edge.on_response(plan, says(cache_control="max-age=60", content_length="100", **fields), START)
    edge.on_body_end(plan, 100, START)
    answer = landing.answers[plan.ticket]
    assert landing.store is not None and isinstance(answer, Serve)
    return landing.store, dict(answer.headers)["cache-status"]


# ---- a key that many share -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eviction", ["lru", "lfu", "fifo", "sieve", "s3-fifo"])
def test_a_purge_of_what_many_share_is_done_at_once_and_its_remains_leave_later(eviction: str) -> None:
    edge = machine(eviction=eviction, room=2**20)
    old = [stored(edge, f"/old/{n}", surrogate_key=f"live k{n}")[0] for n in range(200)]
    other = stored(edge, "/other", surrogate_key="vod")[0]
    filling = edge.on_request(get("/filling"), START)
    assert isinstance(filling, Fetch)
    coming = edge.on_response(filling, says(cache_control="max-age=60", surrogate_key="live"), START).store
    assert coming is not None
    purged = edge.on_purge(LIVE, START)
    assert purged.count == 201 and set(purged.dropped) == {entry.id for entry in (*old, coming)}
    assert not purged.everything and not any(entry.indexed for entry in (*old, coming))
    assert (len(edge.index), list(edge.index)) == (1, [other])
    assert edge.on_body_end(filling, 100, START).dropped == [coming.id]
    # Nothing that is gone is counted, found or lost a second time, by whatever it is named.
    again = [LIVE, PurgeOrder(PurgeKind.SURROGATE_KEYS, "k7 live k8"), PurgeOrder(PurgeKind.PREFIX, "/old")]
    assert [edge.on_purge(order, START).count for order in again] == [0, 0, 0]
    assert edge.on_lost(old[0]) == []
    causes = Counter(edge.on_request(get(f"/old/{n}"), START).cause for n in range(0, 200, 2))
    new = [stored(edge, f"/new/{n}", surrogate_key="live")[0] for n in range(40)]
    causes += Counter(edge.on_request(get(f"/old/{n}"), START).cause for n in range(1, 200, 2))
    assert causes == {Cause.PURGED: 200}
    assert len(edge.index) == len(edge.room) == 41 and edge.room.currsize == 41 * (100 + HEAD_COST_BYTES)
    assert set(edge.on_purge(LIVE, START).dropped) == {entry.id for entry in new}


def test_the_rest_of_a_purge_makes_way_for_what_comes() -> None:
    """The room is full of what was purged: what is still good is not evicted for a newcomer."""
    edge = machine(room=200 * (100 + HEAD_COST_BYTES))
    good = stored(edge, "/good", surrogate_key="vod")[0]
    for n in range(199):
        stored(edge, f"/old/{n}", surrogate_key="live")
    assert edge.on_purge(LIVE, START).count == 199
    for n in range(199):
        stored(edge, f"/new/{n}", surrogate_key="new")
    assert good.indexed and len(edge.index) == len(edge.room) == 200


def test_purges_by_two_keys_count_each_response_once() -> None:
    edge = machine(room=2**20)
    for n in range(300):
        stored(
            edge, f"/{n}", surrogate_key=" ".join(key for key, wanted in (("a", n % 2), ("b", n % 3)) if wanted) or "c"
        )
    counts = [edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, keys), START).count for keys in ("a", "b c", "a b c")]
    assert counts == [150, 150, 0]
    assert len(edge.index) == 0


# ---- variants ------------------------------------------------------------------------------------------------------------


def test_one_variant_too_many_takes_the_place_of_the_oldest_and_says_so() -> None:
    edge = machine(variants=3)
    told = [stored(edge, "/a", {"x_device": f"d{n}"}, vary="x-device")[1] for n in range(3)]
    assert not any("variant-dropped" in one for one in told)
    assert stored(edge, "/a", {"x_device": "d3"}, vary="x-device")[1].endswith("; stored; detail=variant-dropped")
    found = [isinstance(edge.on_request(get("/a", x_device=f"d{n}"), START), Serve) for n in range(4)]
    assert found == [False, True, True, True] and len(edge.index) == len(edge.room) == 3
    # Another URL has variants of its own, and a variant that is stored again takes no other's place.
    assert "variant-dropped" not in stored(edge, "/b", {"x_device": "d9"}, vary="x-device")[1]
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a", soft=True), START)
    assert "variant-dropped" not in stored(edge, "/a", {"x_device": "d1"}, vary="x-device")[1]
    assert "variant-dropped" in stored(edge, "/a", {"x_device": "d4"}, vary="x-device")[1]
    found = [isinstance(edge.on_request(get("/a", x_device="d1"), START), Serve)]
    assert found == [True]  # it was stored after d2, which made way


def test_one_variant_alone_where_the_bound_is_one() -> None:
    edge = machine(variants=1)
    first = stored(edge, "/a", {"x_device": "tv"}, vary="x-device")[0]
    second, told = stored(edge, "/a", {"x_device": "phone"}, vary="x-device")
    assert not first.indexed and second.indexed and "variant-dropped" in told and len(edge.room) == 1


def test_random_values_of_a_field_in_vary_do_not_drive_other_urls_out() -> None:
    """Varnish's issue 1120, and its change 3520 (a notice above ten variants): each bot brings a User-Agent of its
    own."""
    edge = machine(room=400 * (100 + HEAD_COST_BYTES))
    others = [stored(edge, f"/other/{n}")[0] for n in range(200)]
    for n in range(1000):
        stored(edge, "/", {"user_agent": f"bot/{n}"}, vary="user-agent")
    assert all(entry.indexed for entry in others) and len(edge.index.variants("/")) == 128


def test_a_304_that_names_another_vary_moves_the_response_to_where_it_is_found() -> None:
    edge = machine()
    for device in ("tv", "phone"):
        stored(edge, "/a", {"x_device": device}, vary="x-device", etag='"1"')
    later = START + 61
    plan = edge.on_request(get("/a", x_device="tv", accept_language="de"), later)
    assert isinstance(plan, Fetch) and plan.entry is not None
    not_modified = says(304, cache_control="max-age=60", etag='"1"', vary="accept-language")
    edge.on_response(plan, not_modified, later)
    served = edge.on_request(get("/a", x_device="none", accept_language="de"), later + 1)
    assert isinstance(served, Serve) and served.entry is plan.entry
    assert edge.on_request(get("/a", x_device="none", accept_language="fr"), later + 1).cause is Cause.VARY


# ---- memory --------------------------------------------------------------------------------------------------------------

COSTS = [  # surrogate keys, further fields, bytes beyond those of a small head
    ("a b", 0, 0),
    ("a b c", 0, 104 + 2),
    (" ".join(f"{n:03}" for n in range(1000)), 0, 998 * (104 + 6)),
    ("a", 20, (20 - 4) * 160),  # with Cache-Control, Content-Length, Date and Surrogate-Key they are 24
]


@pytest.mark.parametrize(("keys", "fields", "further"), COSTS)
def test_a_head_counts_as_what_it_costs(keys: str, fields: int, further: int) -> None:
    edge = machine()
    stored(edge, "/a", surrogate_key=keys, **{f"x_{n}": "v" for n in range(fields)})
    assert edge.room.currsize == 100 + HEAD_COST_BYTES + further


def test_heads_share_the_lines_that_they_have_in_common() -> None:
    edge = machine()
    first, second = (stored(edge, path, x="v" * 100, y="w" * 2000)[0] for path in ("/a", "/b"))
    shared = [one is other for one, other in zip(first.headers.lines, second.headers.lines, strict=True)]
    assert dict(zip([name for name, _ in first.headers.lines], shared, strict=True)) == {
        "cache-control": True, "content-length": True, "date": True, "x": True, "y": False,
    }  # fmt: skip


def test_few_heads_are_prepared_and_each_hit_is_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MOST_PREPARED", 3)
    edge = machine()
    entries = [stored(edge, f"/{n}")[0] for n in range(10)]
    for _ in range(3):
        for n in range(10):
            served = edge.on_request(get(f"/{n}"), START + 1)
            assert isinstance(served, Serve) and served.headers == served.entry.prepared != []
            assert dict(served.headers)["cache-status"] == "fra; hit; ttl=59"
        assert sum(entry.prepared_until > 0 for entry in entries) == 3
        assert all((entry.prepared_until > 0) == bool(entry.prepared) for entry in entries)
