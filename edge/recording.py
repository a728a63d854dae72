"""What the shell saw, as record lines: the policy's plan joined with bytes and times."""

import hmac
import os
from typing import Any

from policy.forward import last_node
from policy.media import classify
from policy.messages import Headers, RequestHead, ResponseHead
from policy.plan import Fetch, Join, Plan, Refuse, Relay, Serve
from policy.record import FetchRecord, RequestRecord
from policy.secrets import FIELDS, URLS

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
        "fastly-debug",
        "fastly-ff",
    }
)
"""Request fields the policy reads whatever the settings; those of keys and of Vary come on top."""

_OF_THE_OBJECT = (200, 206, 304)
"""Statuses whose type is that of what was asked for: an error's page says nothing of it."""

_BLIND = os.urandom(16)


def blinded(value: str) -> str:
    """A value that must not be written: equal texts give equal marks within one run, and nothing leads back."""
    return "#" + hmac.digest(_BLIND, value.encode("latin-1"), "sha256").hex()[:16]


def kept_headers(
    request: RequestHead, names: frozenset[str], params: frozenset[str], secrets: frozenset[str] = FIELDS
) -> list[tuple[str, str]]:
    """The request's fields of those names, secrets blinded."""
    return [(name, _written(name, value, params, secrets)) for name, value in request.headers if name in names]


def written_target(request: RequestHead, params: frozenset[str]) -> str:
    """Path and query, with the values of those parameters blinded: a token may come where none is asked for."""
    query = request.query
    if query is None or not params:
        return request.target
    return f"{request.path}?{_written_query(query, params)}"


def _written_query(query: str, params: frozenset[str]) -> str:
    pairs = [part.partition("=") for part in query.split("&")]
    return "&".join(
        f"{name}={blinded(value)}" if name in params else name + mark + value for name, mark, value in pairs
    )


def written_values(values: dict[str, Any], params: frozenset[str]) -> dict[str, Any]:
    """What a shared tier answered (`policy.stored`), with the marks that requests for it are recorded by."""
    target, *parts = str(values["key"]).split("\n")
    path, mark, query = target.partition("?")
    key = [path + mark + (_written_query(query, params) if mark else "")]
    for part in parts:
        name, colon, value = part.partition(": ")
        key.append(name + colon + (_written(name, value, params) if value else ""))
    return values | {
        "key": "\n".join(key),
        "headers": [(name, _written(name, value, params)) for name, value in values["headers"]],
        "selecting": [(name, value and _written(name, value, params)) for name, value in values["selecting"]],
    }


def _written(name: str, value: str, params: frozenset[str], secrets: frozenset[str] = FIELDS) -> str:
    if name == "cookie":
        # Each value by itself: a key may be made of some cookies and not of others.
        pairs = (pair.strip().partition("=") for pair in value.split(";"))
        return "; ".join(f"{cookie}={blinded(secret)}" for cookie, _, secret in pairs)
    if name in URLS and "?" in value:
        before, mark, query = value.partition("?")
        return before + mark + _written_query(query, params)
    return blinded(value) if name in secrets else value


def request_record(
    node: str, seq: int, at: float, request: RequestHead, plan: Plan, *, params: frozenset[str], viewers: bool,
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
        url=f"{request.scheme}://{request.host}{written_target(request, params)}",
        status=0,
        outcome=plan.outcome,
        cause=None if isinstance(plan, Refuse) else plan.cause,
        behavior=plan.behavior.path,
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
    if not isinstance(answer, Refuse):
        record.cause = answer.cause
        record.fetch = answer.fetch_id


def fetch_record(
    node: str, fetch: Fetch, seq: int, at: float, head: ResponseHead | None, failure: str, *, params: frozenset[str]
) -> FetchRecord:
    """An exchange as its head (or its failure) leaves it; the shell adds its end."""
    return FetchRecord(
        node=node,
        fetch=fetch.id,
        url=written_target(fetch.request, params),
        purpose=fetch.purpose.value,
        sent_at=fetch.sent_at,
        landed_seq=seq,
        landed_at=at,
        status=head.status if head else 0,
        headers=[(name, _written(name, value, params)) for name, value in head.headers] if head else [],
        failure=failure,
    )
