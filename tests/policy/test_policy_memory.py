"""What a machine remembers beside what it stores: bounded in keys and in bytes, however many URLs are asked for."""

import tracemalloc

import pytest

import policy.index
from policy import EdgeMachine, Fetch, Headers, ResponseHead, Service
from policy.eviction import HEAD_COST_BYTES
from policy.messages import target_of

ROOM = 64 * HEAD_COST_BYTES


def ask(machine: EdgeMachine, number: int, tail: str, control: str) -> None:
    request = target_of(f"http://h/{number}/{tail}")
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
    monkeypatch.setattr(policy.index, "REMEMBERED_KEYS", 500)
    machine = EdgeMachine(Service(name="fra", room=ROOM))
    for number in range(1000):
        ask(machine, number, "a.m4s", "max-age=60")
    assert (len(machine.index), len(machine.index._gone)) == (ROOM // HEAD_COST_BYTES, 500)
