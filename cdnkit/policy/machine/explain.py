"""What a node would do with a request, and why: the machine's facts, read without touching them."""

from dataclasses import asdict
from math import isinf
from typing import Any

from cdnkit.policy.freshness.annotate import Annotator
from cdnkit.policy.freshness.reuse import standing
from cdnkit.policy.gate.check import Check
from cdnkit.policy.gate.geo import GeoCheck
from cdnkit.policy.gate.rates import RateCheck, client_of
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Cause, Refusal
from cdnkit.policy.record.secrets import Bare, Veil
from cdnkit.policy.rule import Rule
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.key import further_parts, keyed_query
from cdnkit.policy.store.lookup import Lookup, LookupAction
from cdnkit.policy.store.slices import Assembly
from cdnkit.units.secret import hidden


def explain(machine: EdgeMachine, request: RequestHead, now: float, *, reveal: bool = False) -> dict[str, Any]:
    """Facts as JSON values; instants are seconds from now (negative: past; None: never).

    `reveal`: with the values of tokens, cookies and credentials where they are in a key or were selected by.
    """
    veil = Bare() if reveal else Veil(machine.gate.params, machine.gate.headers, machine.gate.prefixes)
    rule = machine.view.rule_of(request)
    behavior = rule.behavior
    checked = _checked(request, rule, now)
    refusal = checked[-1][1]
    rates = _rates(request, rule, now)
    admitted = None if rule.admission is None else rule.admission.admitted(request)
    request = machine.view.normalized(request if admitted is None else admitted.public, behavior)
    if behavior.slice is not None:
        request = Assembly(request, behavior.slice).opening_request()
    lookup = machine.view.lookup(request, rule, now)
    key = lookup.key
    alone, failing = machine.view.uncollapsed(key, now), machine.view.failing(key, now)
    return {
        "node": machine.service.name,
        "profile": machine.profile.name,
        "behavior": hidden(behavior.model_dump(mode="json", exclude_defaults=True, exclude={"token"}), Behavior)
        | {"path": behavior.path},
        "gate": {
            "token": behavior.token,
            "country": request.country or None,
            "rates": rates,
            "checks": [
                {"name": check.name, "kind": check.kind.value, "refuses": None if found is None else found.reason}
                for check, found in checked
            ],
        }
        | (
            {"refused": refusal.status, "reason": refusal.reason} | dict(refusal.facts)
            if refusal
            else {"refused": None}
        ),
        "viewer": _viewer(request, rule),
        "key": veil.key(key),
        **_key_parts(request, behavior, veil),
        "stored": [
            _entry(entry, machine, behavior, now, veil, selected=entry is lookup.entry)
            for entry in machine.index.variants(key)
        ],
        "in_flight": machine.flights.to_join(lookup.flight_key or key) is not None,
        "alone": None if alone is None else {"for": round(alone[0] - now, 3), "why": alone[1]},
        "failing": None
        if failing is None
        else {"for": round(failing[0] - now, 3), "status": failing[1].status, "reason": failing[1].reason},
        "pages": [page.model_dump(mode="json") for page in machine.service.error_pages],
        "room": {"used_bytes": machine.room.currsize, "bytes": machine.service.room},
        "cause": lookup.cause.value if lookup.cause is not None else None,
        "next": _refused(machine, request, refusal) if refusal else _next(machine, request, lookup, now),
    }


def _checked(request: RequestHead, rule: Rule, now: float) -> list[tuple[Check, Refusal | None]]:
    """What each check says, up to the first that refuses; nothing is counted."""
    checked = []
    for check in rule.checks:
        refusal = check.preview(request, now)
        checked.append((check, refusal))
        if refusal is not None:
            break
    return checked


def _rates(request: RequestHead, rule: Rule, now: float) -> list[dict[str, Any]]:
    """How much is left of each limit to this client; nothing is counted."""
    client = client_of(request.client_ip)
    return [
        {"limit": rates.settings.words, "client": client, "left": rates.left(request.client_ip, now)[0]}
        for rates in (check.rates for check in rule.checks if isinstance(check, RateCheck))
    ]


def _viewer(request: RequestHead, rule: Rule) -> dict[str, Any]:
    """Who asks, from where, which source says so, and what the behavior's `geo` says to that."""
    place = request.place
    geo = None if rule.geo is None else GeoCheck(rule.geo).explanation(place, request.client_ip)
    return {
        "client_ip": request.client_ip,
        "country": place.country or None,
        "region": place.region or None,
        "asn": place.asn or None,
        "anonymous": place.anonymous,
        "hosting": place.hosting,
        "told_by": dict(place.sources),
        "geo": geo,
    }


def _key_parts(request: RequestHead, behavior: Behavior, veil: Veil) -> dict[str, Any]:
    """What entered the key, part by part, and what of the URL did not."""
    query = keyed_query(request.query, behavior)
    parts = [("path", request.path), *([] if query is None else [("query", query)])]
    kept = (query or "").split("&")
    return {
        "key_parts": [[name, veil.value(name, value)] for name, value in [*parts, *further_parts(request, behavior)]],
        "not_in_key": [veil.pair(part) for part in (request.query or "").split("&") if part and part not in kept],
    }


def _entry(
    entry: Entry, machine: EdgeMachine, behavior: Behavior, now: float, veil: Veil, *, selected: bool
) -> dict[str, Any]:
    life = entry.life
    head = ResponseHead(entry.status, entry.headers)
    reader = Annotator(head, behavior, machine.profile, life.rule, now)
    windows = reader.windows
    return {
        "status": entry.status,
        "selected": selected,
        "vary": {name: value and veil.value(name, value) for name, value in entry.selecting},
        "standing": standing(life, now).value,
        "age": round(life.age(now), 3),
        "fresh_for": round(life.fresh_until - now, 3),
        "set_by": life.rule,
        "lifetime": reader.lifetime(),
        "refreshable_for": round(life.refreshable_until - now, 3),
        "refreshable_by": windows.refresh_rule,
        "fallback_for": round(life.fallback_until - now, 3),
        "fallback_by": windows.fallback_rule,
        "unreachable_for": None if isinf(life.unreachable_until) else round(life.unreachable_until - now, 3),
        "unreachable_by": windows.unreachable_rule,
        "may_be_stale": life.may_be_stale,
        "revalidate_always": life.revalidate_always,
        "read": [asdict(note) for note in reader.annotations()],
        "etag": entry.etag,
        "last_modified": entry.last_modified,
        "surrogate_keys": list(entry.surrogate_keys),
        "part": None if entry.part is None else [entry.part.start, entry.part.stop],
        "bytes": entry.length,
        "complete": entry.complete,
        "hits": entry.hits,
    }


def _refused(machine: EdgeMachine, request: RequestHead, refusal: Refusal) -> str:
    page = machine.view.page_for(refusal.status, request, refusal)
    said = f"refused: {refusal.status} {refusal.reason}"
    return said if page is None else f"{said}; shown {page.page} instead, as a {page.response_status}"


def _next(machine: EdgeMachine, request: RequestHead, lookup: Lookup, now: float) -> str:
    """In words, what the very next such request would get."""
    entry = lookup.entry
    if lookup.action is not LookupAction.FETCH:
        said = lookup.action.value
        served = lookup.action in (LookupAction.HIT, LookupAction.STALE) and entry is not None
        page = machine.view.page_for(entry.status, request) if served and entry is not None else None
        return said if page is None else f"{said}; shown {page.page} instead, as a {page.response_status}"
    failing = machine.view.failing(lookup.key, now)
    if failing is not None:
        until, said_then = failing
        left = f"for {until - now:.1f} s more, as the parent has just failed"
        if entry is not None and machine.view.may_stand_in(entry, said_then, now):
            return f"hit, stale, without asking {left}"
        return f"{said_then.status} {said_then.reason}, without asking {left}"
    if not lookup.alone and machine.flights.to_join(lookup.flight_key) is not None:
        return "wait for the fill that is in flight"
    cause = lookup.cause.value if lookup.cause is not None else ""
    if entry is None:
        return f"fetch from the parent ({cause})"
    if lookup.cause is Cause.PARTIAL:
        return "fetch from the parent what the stored part lacks"
    asking = "revalidate with the parent" if entry.has_validator else "fetch anew from the parent"
    return f"{asking} ({cause}){_stand_in(entry, machine.profile, now)}"


def _stand_in(entry: Entry, profile: Profile, now: float) -> str:
    """When the stored copy is served after all."""
    life = entry.life
    if life.revalidate_always:
        stands_in = profile.no_cache_stands_in and now < life.unreachable_until
        return ", and serve this copy if it does not answer at all" if stands_in else ""
    if now < life.fallback_until:
        return ", and serve this copy if it fails"
    return ", and serve this copy if it does not answer at all" if now < life.unreachable_until else ""
