"""The origin's faults: each does what it says, over real sockets, and none reaches the encoders."""

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, request

BODY = b"0123456789" * 1000


@pytest.fixture
def origin(origins: Callable[..., Running], tmp_path: Path) -> Running:
    (tmp_path / "vod").mkdir()
    (tmp_path / "vod" / "a.bin").write_bytes(BODY)
    return origins(faults=True, vod=tmp_path / "vod")


def ask(url: str, method: str = "GET", body: Any = None) -> tuple[int, bytes, bool]:
    """Status, body, and whether all of it came."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=GUARD_S)
    try:
        connection.request(method, parts.path, None if body is None else json.dumps(body).encode())
        answer = connection.getresponse()
        try:
            return answer.status, answer.read(), True
        except http.client.IncompleteRead as broken:
            return answer.status, broken.partial, False
    finally:
        connection.close()


def test_each_fault_and_its_end(origin: Running) -> None:
    switch, file = f"{origin.ingest}/faults", f"{origin.url}/vod/a.bin"
    assert ask(file) == (200, BODY, True)
    assert json.loads(ask(switch)[1]) == {"delay": "0s", "error_rate": 0.0, "status": 503, "break_rate": 0.0}

    assert ask(switch, "PUT", {"error_rate": 1, "status": 500})[0] == 200
    assert ask(file)[0] == 500
    assert ask(f"{origin.url}/healthz")[0] == 200  # who asks whether it lives is told so

    assert ask(switch, "PUT", {"break_rate": 1})[0] == 200  # and the errors have ended
    status, body, whole = ask(file)
    assert (status, whole) == (200, False) and 0 < len(body) < len(BODY) and BODY.startswith(body)

    assert ask(switch, "PUT", {"delay": "300ms"})[0] == 200
    began = time.monotonic()
    assert ask(file) == (200, BODY, True)
    assert time.monotonic() - began >= 0.3

    assert ask(switch, "DELETE")[0] == 200
    assert ask(file) == (200, BODY, True)


WRONG = [
    ({"delay": "soon"}, "delay: found 'soon', wanted"),
    ({"error_rate": 2}, "error_rate: found 2, wanted less than or equal to 1"),
    ({"status": 200}, "status: found 200, wanted greater than or equal to 500"),
    ({"latency": 1}, "latency: found 1, wanted one of delay, error_rate, status, break_rate"),
    ([], "faults: found []"),
]


@pytest.mark.parametrize(("body", "complaint"), WRONG)
def test_what_is_wrong_is_said_and_changes_nothing(origin: Running, body: Any, complaint: str) -> None:
    status, told, _ = ask(f"{origin.ingest}/faults", "PUT", body)
    assert status == 400 and any(complaint in one for one in json.loads(told)["error"]), told
    assert ask(f"{origin.url}/vod/a.bin")[0] == 200
    assert ask(f"{origin.ingest}/faults", "POST")[0] == 405


def test_an_order_too_deep_or_too_long_is_no_defect_of_ours(origin: Running) -> None:
    for body, complaint in ((b"[" * 50_000, "content: found no JSON"), (b" " * 100_000, "more than 65536 bytes")):
        reply = request(f"{origin.ingest}/faults", "PUT", body=body)
        assert reply.status == 400 and complaint in reply.text


def test_an_origin_that_was_not_told_so_has_no_switch(origins: Callable[..., Running], tmp_path: Path) -> None:
    """`cdnlab origin` in production: whoever reaches ingest may encode, not break what others watch."""
    origin = origins()
    for method, body in (("GET", None), ("PUT", {"error_rate": 1}), ("DELETE", None)):
        status, told, _ = ask(f"{origin.ingest}/faults", method, body)
        assert status == 404 and b"cdnlab origin --faults" in told
    assert ask(f"{origin.url}/")[0] == 200


def test_the_switch_is_out_of_reach_of_caches(origin: Running) -> None:
    assert ask(f"{origin.url}/faults", "PUT", {"error_rate": 1})[0] == 405
    assert ask(f"{origin.url}/faults")[0] == 404
