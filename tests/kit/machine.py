"""A machine, its requests and its responses, a line each; no sockets, no clock."""

from cdnkit.policy.freshness.lifetime import lifetime_of
from cdnkit.policy.freshness.storable import why_not_store
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Landing, Plan
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.service import Behavior, Service, Ttl

NOW = 1_795_000_000.0


def at(seconds: float) -> str:
    """The HTTP date this far from NOW."""
    return format_date(NOW + seconds)


def get(
    path: str = "/a", *, method: str = "GET", host: str = "h", query: str | None = None, **fields: str
) -> RequestHead:
    """A viewer's request. In names of fields, underscores stand for hyphens."""
    lines = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return RequestHead(method, "http", host, path, query, Headers(lines), "198.51.100.7")


def says(status: int = 200, *lines: tuple[str, str], **fields: str) -> ResponseHead:
    """A response that has these fields and no others."""
    named = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return ResponseHead(status, Headers([*named, *lines]))


def dated(status: int = 200, *lines: tuple[str, str], **fields: str) -> ResponseHead:
    """The same, made NOW: it has a Date."""
    return ResponseHead(status, Headers([("date", at(0)), *says(status, *lines, **fields).headers.lines]))


def machine(**service: object) -> EdgeMachine:
    return EdgeMachine(Service(**{"name": "fra", **service}))  # type: ignore[arg-type]


def node(profile: Profile, behavior: Behavior | None = None, **service: object) -> EdgeMachine:
    behaviors = () if behavior is None else (behavior,)
    return EdgeMachine(Service(**{"name": "fra", "behaviors": behaviors, **service}), profile)  # type: ignore[arg-type]


def bounds(least: float, default: float, most: float) -> Behavior:
    return Behavior(path="*", ttl=Ttl(min=least, default=default, max=most))


def kept_for(
    response: ResponseHead, profile: Profile, behavior: Behavior | None = None, request: RequestHead | None = None
) -> float | str:
    """Seconds that the answer is served without asking, or the reason why it is not stored."""
    rules = resolve(behavior or Behavior(path="*"), profile)
    why = why_not_store(request or get(), response, rules, profile, largest=10**9, now=NOW)
    if why is not None:
        return why
    life = lifetime_of(response, rules, profile, sent_at=NOW, now=NOW)
    return 0.0 if life.revalidate_always else max(0.0, life.fresh_until - NOW)


def fetched(edge: EdgeMachine, plan: Plan) -> Fetch:
    assert isinstance(plan, Fetch), plan
    return plan


def fill(
    edge: EdgeMachine, request: RequestHead, response: ResponseHead, size_bytes: int = 10, now: float = NOW
) -> Landing:
    """A request that must be fetched, its response, and the end of its body."""
    fetch = fetched(edge, edge.on_request(request, now))
    landing = edge.on_response(fetch, response, now)
    edge.on_body_end(fetch, size_bytes, now)
    return landing


def filled(edge: EdgeMachine, response: ResponseHead, now: float = NOW, request: RequestHead | None = None) -> None:
    """A miss of that request, answered and kept."""
    fill(edge, request or get(), response, now=now)
