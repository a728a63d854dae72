"""What the shell saw, as record lines: the policy's plan joined with bytes and times."""

import hmac
import os
from collections.abc import Iterable
from typing import Any

from cdnkit.policy.gate.gate import Gate
from cdnkit.policy.http.hops import last_node
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.plan import Assemble, Fetch, Join, Plan, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.record.lines import FetchRecord, FieldLines, RequestRecord
from cdnkit.policy.record.object_class import classify
from cdnkit.policy.record.secrets import Veil

READ_BY_POLICY = frozenset(
    {
        "cache-control",
        "pragma",
        "if-none-match",
        "if-modified-since",
        "if-range",
        "range",
        "via",
        "authorization",
        "accept-encoding",
        "content-length",
        "transfer-encoding",
    }
)
"""Request fields the policy reads whatever the settings; those of keys and of Vary come on top."""

_OF_THE_OBJECT = (200, 206, 304)
"""Statuses whose type is that of what was asked for: an error's page says nothing of it."""

LONGEST_COOKIE_NAME = 64

_BLIND = os.urandom(16)


def blinded(value: str) -> str:
    """A value that must not be written: equal texts give equal marks within one run, and nothing leads back."""
    return "~" + hmac.digest(_BLIND, value.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]


class Blind(Veil):
    """Writes a mark in a secret's place."""

    __slots__ = ()

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.params, gate.headers, gate.prefixes, blinded)

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
        return tuple([(name, self.value(name, value)) for name, value in lines])

    def kept(self, request: RequestHead, names: frozenset[str]) -> FieldLines:
        """The request's fields of those names."""
        return self.lines(line for line in request.headers if line[0] in names)

    def shared(self, values: dict[str, Any]) -> dict[str, Any]:
        """What a shared tier answered (`cdnkit.policy.store.serialise`), with the marks that requests for it are
        recorded by."""
        return values | {
            "key": self.key(str(values["key"])),
            "headers": self.lines(values["headers"]),
            "selecting": [(name, value and self.value(name, value)) for name, value in values["selecting"]],
        }

    def order(self, order: PurgeOrder) -> str:
        """What an order names."""
        return self.target(order.value) if order.kind in (PurgeKind.URL, PurgeKind.PREFIX) else order.value


def request_record(
    node: str, seq: int, at: float, request: RequestHead, plan: Plan, *, blind: Blind, viewers: bool,
) -> RequestRecord:  # fmt: skip
    """A record as the machine's first answer leaves it; `answered` completes it. The request is without its token."""
    object_class, rendition = classify(request.path)
    session = ""
    for part in (request.headers.first("cmcd-session") or "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "sid":
            session = value.strip('"')
    return RequestRecord(
        node=node,
        seq=seq,
        at=at,
        method=request.method,
        url=f"{request.scheme}://{request.host}{blind.target(request.target)}",
        status=0,
        outcome=plan.outcome,
        cause=None if isinstance(plan, Refuse) else plan.cause,
        behavior=plan.rule.path,
        object_class=object_class,
        rendition=rendition,
        bytes_sent=0,
        ttfb_ms=0.0,
        duration_ms=0.0,
        client_ip=request.client_ip,
        client_port=request.client_port,
        country=request.country,
        region=request.place.region,
        asn=request.place.asn,
        version=request.version,
        from_node="" if viewers else last_node(request),
        fetch=plan.id if isinstance(plan, Fetch) else plan.fetch_id if isinstance(plan, Join | Serve) else 0,
        session=session,
        block=request.block,
        head_bytes=request.head_bytes,
        head_fields=request.head_fields,
        refusal=None if isinstance(plan, Assemble) or plan.refusal is None else plan.refusal.kind,
    )


def content_type(answer: Serve | Relay) -> str:
    """Of what is answered, also where the answer's own head leaves it out (304)."""
    own = Headers.wrap(answer.headers).first("content-type")
    if own is None and isinstance(answer, Serve):
        own = answer.entry.headers.first("content-type")
    return own or ""


def answered(record: RequestRecord, answer: Serve | Relay | Refuse, at: float, path: str) -> None:
    """The head went out; `path` as the request has it, without a token."""
    if not isinstance(answer, Refuse) and answer.status in _OF_THE_OBJECT:
        record.object_class, record.rendition = classify(path, content_type(answer))
    record.status = answer.status
    record.outcome = answer.outcome
    record.ttfb_ms = round((at - record.at) * 1000, 3)
    record.reason = answer.reason
    record.refusal = None if answer.refusal is None else answer.refusal.kind
    if not isinstance(answer, Refuse):
        record.cause = answer.cause
        record.fetch = answer.fetch_id


def fetch_record(
    node: str, fetch: Fetch, seq: int, at: float, head: ResponseHead | None, failure: str, *, blind: Blind
) -> FetchRecord:
    """An exchange as its head (or its failure) leaves it; the shell adds its end."""
    return FetchRecord(
        node=node,
        fetch=fetch.id,
        url=blind.target(fetch.request.target),
        purpose=fetch.purpose.value,
        sent_at=fetch.sent_at,
        landed_seq=seq,
        landed_at=at,
        status=head.status if head else 0,
        headers=blind.lines(head.headers) if head else (),
        failure=failure,
    )
