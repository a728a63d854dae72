"""Where the URL of a shared tier leads, and what its health and its log lines say of it."""

from typing import Any

import pytest

from edge.stores import shared
from edge.stores.shared import SharedTier

URLS = [  # given a URL                            host, port, database, user, password, TLS
    ("redis://10.0.0.7", "10.0.0.7", 6379, 0, None, None, False),
    ("redis://10.0.0.7:7000", "10.0.0.7", 7000, 0, None, None, False),
    ("redis://cache.local/3", "cache.local", 6379, 3, None, None, False),
    ("redis://cache.local:7000/3", "cache.local", 7000, 3, None, None, False),
    ("rediss://cache.local", "cache.local", 6379, 0, None, None, True),
    ("redis://:s%40cret@cache.local", "cache.local", 6379, 0, None, "s@cret", False),
    ("redis://ada:s@cache.local:1", "cache.local", 1, 0, "ada", "s", False),
]


@pytest.mark.parametrize(("url", "host", "port", "db", "user", "password", "tls"), URLS)
def test_where_a_url_leads(
    url: str, host: str, port: int, db: int, user: str | None, password: str | None, tls: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given: dict[str, Any] = {}
    monkeypatch.setattr(shared, "RedisCache", lambda **named: given.update(named))
    SharedTier(url, rules="rules", name="fra", clock=lambda: 0.0)
    assert (given["endpoint"], given["port"], given["db"], given["ssl"]) == (host, port, db, tls)
    assert (given["connection_pool_kwargs"]["username"], given["password"]) == (user, password)
