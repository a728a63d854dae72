"""What a node would do with a request, and why: the machine's facts, told without touching them."""

from typing import Any

from policy.index import Entry
from policy.key import cache_key, drop_parameter
from policy.machine import EdgeMachine
from policy.messages import RequestHead
from policy.reuse import Standing, asked, forbids_reuse, standing


def explain(machine: EdgeMachine, request: RequestHead, now: float) -> dict[str, Any]:
    """Facts as JSON values; instants are seconds from now (negative: past)."""
    behavior = machine.matcher.behavior_of(request.path)
    refusal = machine.gate.refusal(request, behavior, now)
    secret = machine.gate.secret_parameter(behavior)
    if secret is not None:
        request.query = drop_parameter(request.query, secret)
    key = cache_key(request, behavior)
    found = machine.index.select(key, request.headers)
    return {
        "node": machine.service.name,
        "profile": machine.profile.name,
        "behavior": behavior.model_dump(mode="json", exclude_defaults=True, exclude={"token"})
        | {"path": behavior.path},
        "gate": {"token": behavior.token, "country": request.country or None}
        | ({"refused": refusal.status, "reason": refusal.reason} if refusal else {"refused": None}),
        "key": key,
        "stored": [_entry(entry, now, selected=entry is found) for entry in machine.index.variants(key)],
        "in_flight": machine.flights.to_join(key) is not None,
        "next": _next(machine, request, refusal is not None, key, found, now),
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
        "bytes": entry.length,
        "complete": entry.complete,
        "hits": entry.hits,
    }


def _next(machine: EdgeMachine, request: RequestHead, refused: bool, key: str, found: object, now: float) -> str:
    """In words, what the very next such request would get."""
    behavior = machine.matcher.behavior_of(request.path)
    if refused:
        return "refused by the gate"
    if request.method not in ("GET", "HEAD"):
        return "pass: the method is not cached"
    if not behavior.cache:
        return "pass: the behavior does not cache"
    if isinstance(found, Entry):
        wish = asked(request) if machine.profile.request_directives else None
        if wish is not None and forbids_reuse(wish, found.life, now):
            return "ask the parent: the request's own directives forbid reuse"
        match standing(found.life, now):
            case Standing.FRESH:
                return "hit"
            case Standing.REFRESHABLE:
                return "hit, stale, and a refresh behind it"
    if machine.flights.to_join(key) is not None:
        return "wait for the fill that is in flight"
    if isinstance(found, Entry):
        asking = "revalidate with the parent" if found.has_validator else "fetch anew from the parent"
        fallback = standing(found.life, now) is Standing.FALLBACK
        return asking + (", and serve this copy if it fails" if fallback else "")
    return f"fetch from the parent ({getattr(found, 'value', found)})"
