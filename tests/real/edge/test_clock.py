"""The clocks a lab lives by when a machine sleeps, or its time is set."""

import asyncio
import time

import pytest
from botocore.exceptions import ClientError

from edge.clock import Clock
from tests.kit.control import Lab, lab

HOUR = 3600.0


def test_a_node_ages_what_it_has_while_the_machine_sleeps_and_is_never_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system's CLOCK_MONOTONIC goes on in its sleep")
    real, asleep = time.clock_gettime, 0.0

    def clock_gettime(clock: int) -> float:
        return real(clock) + (asleep if clock == time.CLOCK_BOOTTIME else 0.0)

    monkeypatch.setattr(time, "clock_gettime", clock_gettime)
    now = Clock()
    before = now()
    asleep = HOUR
    assert HOUR <= now() - before < HOUR + 60
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert now() - before >= HOUR


def test_the_control_api_knows_the_time_that_clients_sign_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins with the machine's time a day behind; then that is set right."""
    real, behind = time.time, 24 * HOUR
    monkeypatch.setattr(time, "time", lambda: real() - behind)

    async def test(one: Lab) -> None:
        nonlocal behind
        calls = one.boto().list_invalidations
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            await asyncio.to_thread(calls, DistributionId="ECDNLAB")
        behind = 0.0
        told = await asyncio.to_thread(calls, DistributionId="ECDNLAB")
        assert told["InvalidationList"]["Quantity"] == 0

    lab(test)
