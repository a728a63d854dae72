"""Secrets in records: a mark stands in the place of each, and marks are equal where the secrets were.

What is a secret, `cdnkit/policy/record/secrets.py` says.
"""

import hmac
import os
from collections.abc import Iterable
from typing import Any

from cdnkit.policy.gate.gate import Gate
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.plan import PurgeKind, PurgeOrder
from cdnkit.policy.record.lines import FieldLines
from cdnkit.policy.record.secrets import Veil

LONGEST_COOKIE_NAME = 64

_BLIND = bytearray(os.urandom(16))
"""Of this process; all that write the records of one node have the same."""


def blind_of_this_process() -> bytes:
    return bytes(_BLIND)


def blind_as(other: bytes) -> None:
    """Blind as another process does; before anything is recorded."""
    _BLIND[:] = other


def blinded(value: str) -> str:
    """A value that must not be written: equal texts give equal marks within one run, and nothing leads back."""
    return "~" + hmac.digest(bytes(_BLIND), value.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]


class Blind(Veil):
    """Writes a mark in a secret's place."""

    __slots__ = ("_looked_at",)

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.params, gate.headers, gate.prefixes, blinded)
        self._looked_at = self.fields_looked_at

    def value(self, name: str, value: str) -> str:
        if name != "cookie" or not value:
            return super().value(name, value)
        # Each value by itself: a key may be made of some cookies and not of others.
        return "; ".join(map(self._cookie, value.split(";")))

    @staticmethod
    def _cookie(pair: str) -> str:
        name, mark, secret = pair.strip().partition("=")
        if not mark or len(name) > LONGEST_COOKIE_NAME:
            # All of it may be a value, with an `=` of its own.
            return pair.strip() and blinded(pair)
        return f"{name}={blinded(secret)}"

    def lines(self, lines: Iterable[tuple[str, str]]) -> FieldLines:
        looked_at = self._looked_at
        return tuple([(name, self.value(name, value) if name in looked_at else value) for name, value in lines])

    def kept(self, request: RequestHead, names: frozenset[str]) -> FieldLines:
        """The request's fields of those names."""
        return self.lines(line for line in request.headers if line[0] in names)

    def shared(self, values: dict[str, Any]) -> dict[str, Any]:
        """A response that the shared tier had (`cdnkit.policy.store.serialise`), with the same marks as the requests
        for it."""
        return values | {
            "key": self.key(str(values["key"])),
            "headers": self.lines(values["headers"]),
            "selecting": [(name, value and self.value(name, value)) for name, value in values["selecting"]],
        }

    def order(self, order: PurgeOrder) -> str:
        """What an order names."""
        return self.target(order.value) if order.kind in (PurgeKind.URL, PurgeKind.PREFIX) else order.value
