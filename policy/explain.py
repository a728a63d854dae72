"""What a node would do with a request, and why: the machine's facts, told without touching them."""

from math import isinf
from typing import Any

from policy.index import Entry
from policy.judging import Judgement, Way
from policy.machine import EdgeMachine
from policy.messages import RequestHead
from policy.record import Cause
from policy.reuse import standing


def explain(machine: EdgeMachine, request: RequestHead, now: float) -> dict[str, Any]:
    """Facts as JSON values; instants are seconds from now (negative: past)."""
    behavior = machine.behavior_of(request)
    refusal = machine.gate.refusal(request, behavior, now)
    request = machine.gate.stripped(request, behavior)
    judgement = machine.judged(request, behavior, now)
    return {
        "node": machine.service.name,
        "profile": machine.profile.name,
        "behavior": behavior.model_dump(mode="json", exclude_defaults=True, exclude={"token"})
        | {"path": behavior.path},
        "gate": {"token": behavior.token, "country": request.country or None}
        | (
            {"refused": refusal.status, "reason": refusal.reason} | (refusal.facts or {})
            if refusal
            else {"refused": None}
        ),
        "key": judgement.key,
        "stored": [
            _entry(entry, now, selected=entry is judgement.entry) for entry in machine.index.variants(judgement.key)
        ],
        "in_flight": machine.flights.to_join(judgement.flight_key or judgement.key) is not None,
        "cause": judgement.cause.value if judgement.cause is not None else None,
        "next": "refused by the gate" if refusal is not None else _next(machine, judgement, now),
    }


def _entry(entry: Entry, now: float, *, selected: bool) -> dict[str, Any]:
    life = entry.life
    return {
        "status": entry.status,
        "selected": selected,
        "vary": dict(entry.selecting),
        "standing": standing(life, now).value,
        "age": round(life.age(now), 3),
        "fresh_for": round(life.fresh_until - now, 3),
        "refreshable_for": round(life.refreshable_until - now, 3),
        "fallback_for": round(life.fallback_until - now, 3),
        "set_by": life.rule,
        "etag": entry.etag,
        "last_modified": entry.last_modified,
        "surrogate_keys": list(entry.surrogate_keys),
        "unreachable_for": None if isinf(life.unreachable_until) else round(life.unreachable_until - now, 3),
        "may_be_stale": life.may_be_stale,
        "part": None if entry.part is None else [entry.part.start, entry.part.stop],
        "bytes": entry.length,
        "complete": entry.complete,
        "hits": entry.hits,
    }


def _next(machine: EdgeMachine, judgement: Judgement, now: float) -> str:
    """In words, what the very next such request would get."""
    entry = judgement.entry
    if judgement.way is not Way.ASK:
        return str(judgement.way.value)
    if not judgement.alone and machine.flights.to_join(judgement.flight_key) is not None:
        return "wait for the fill that is in flight"
    cause = judgement.cause.value if judgement.cause is not None else ""
    if entry is None:
        return f"fetch from the parent ({cause})"
    if judgement.cause is Cause.PARTIAL:
        return "fetch from the parent what the stored part lacks"
    asking = "revalidate with the parent" if entry.has_validator else "fetch anew from the parent"
    covered = now < entry.life.fallback_until
    return f"{asking} ({cause})" + (", and serve this copy if it fails" if covered else "")
