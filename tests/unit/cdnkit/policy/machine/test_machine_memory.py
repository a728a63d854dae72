"""What a machine remembers beside what it stores: bounded in keys and in bytes, however many URLs are asked for."""

import tracemalloc
from collections.abc import Callable

import pytest

import cdnkit.policy.store.index
from cdnkit.policy import Behavior, EdgeMachine, Fetch, Headers, ResponseHead, Service
from cdnkit.policy.http.cache_control import parse
from cdnkit.policy.http.dates import parse_date
from cdnkit.policy.http.etags import tag_list
from cdnkit.policy.http.messages import get_for_url
from cdnkit.policy.http.negotiation import weighted
from cdnkit.policy.http.place import address_of
from cdnkit.policy.http.ranges import specs
from cdnkit.policy.http.target import is_token, names_host
from cdnkit.policy.record.object_class import classify
from cdnkit.policy.record.secrets import Veil
from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.store.eviction import HEAD_COST_BYTES

ROOM = 64 * HEAD_COST_BYTES


def ask(machine: EdgeMachine, number: int, tail: str, control: str) -> None:
    request = get_for_url(f"http://h/{number}/{tail}")
    plan = machine.on_request(request, float(number))
    assert isinstance(plan, Fetch)
    machine.on_response(plan, ResponseHead(200, Headers([("cache-control", control), ("vary", "x-a")])), float(number))
    machine.on_body_end(plan, 0, float(number))


@pytest.mark.parametrize("control", ["max-age=60", "private"])
def test_long_urls_are_not_remembered_letter_by_letter(control: str) -> None:
    machine = EdgeMachine(Service(name="fra", room=ROOM))
    tracemalloc.start()
    try:
        for number in range(300):
            ask(machine, number, "x" * 8000, control)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(300, 1300):
            ask(machine, number, "x" * 8000, control)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 1000 < 1000, "of a URL of 8,000 bytes each"


def test_beyond_so_many_keys_nothing_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the line of a node's memory ends that meets ever new URLs."""
    monkeypatch.setattr(cdnkit.policy.store.index, "REMEMBERED_KEYS", 500)
    machine = EdgeMachine(Service(name="fra", room=ROOM))
    for number in range(1000):
        ask(machine, number, "a.m4s", "max-age=60")
    assert len(machine.index) == ROOM // HEAD_COST_BYTES
    assert 250 <= len(machine.index._removal_causes) <= 500


LONG: list[tuple[Callable[[str], object], str]] = [  # what remembers, and what anybody may send: a number and a tail
    (classify, "/{}/{}.m4s"),
    (names_host, "{}.{}"),
    (weighted, "{};q=0.5,{}"),
    (tag_list, '"{}{}"'),
    (specs, "bytes={}-1{}"),
    (parse, "max-age={}, {}"),
    (lambda text: parse_date(text, 0.0), "{}{}"),
    (address_of, "{}{}"),
    (Veil((), ()).query, "{}{}=1"),
    (Matcher((), Behavior(path="*")).match, "/{}/{}.m4s"),
]


@pytest.mark.parametrize(("function", "text"), LONG, ids=range(len(LONG)))
def test_long_texts_are_not_remembered(function: Callable[[str], object], text: str) -> None:
    function(text.format(0, "x" * 8000))
    tracemalloc.start()
    try:
        for number in range(1, 201):
            function(text.format(number, "x" * 8000))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown / 200 < 1000, "of a text of 8,000 bytes each"


def test_names_of_fields_are_few() -> None:
    assert is_token.cache_info().maxsize == 512
