"""A second opinion on what may be stored and what is fresh: hishel 2 (RFC 9111, sans-IO, shared), asked the same.

What hishel does not do, or does by a choice that is not ours, is kept out of the question here, each at the place named:

- it does not know `must-understand`, `CDN-Cache-Control`, nor the field `Age`: never asked (`responses`);
- of a request's directives it knows `no-cache` only, and Pragma not at all: no other is asked (`requests`);
- it reads no two of a kind, and lets an unreadable lifetime fall through to the next source, where RFC 9111 §4.2.1
  encourages to take it as stale: every value is readable, every directive said once (`responses`);
- it stores a HEAD's answer for later HEADs, ours serves HEAD from GET: GET only (`requests`);
- it applies heuristics to every status, counts them from the clock instead of Date, and up to a week, ours to a day:
  asked for heuristically cacheable statuses only, with a Date of now (`heuristics_differ`);
- it stores what has neither lifetime nor validator, and what says `Vary: *`; ours does not, since neither can ever be
  used (RFC 9111 §3 is a permission): of these, only that nothing is reused is compared (`useless`);
- ours keeps a 404 or 410 without a lifetime for a second (`error_ttl`): left out (`ours_is_configured`);
- its clock is the system's and its ages are whole seconds: instants keep two seconds away from the edge (`on_the_edge`);
- it parses the window of stale-while-revalidate and does not enforce it: asked with `allow_stale` off, where it says
  what is fresh; the stale windows are the fuzz target's to judge.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import hishel
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cdnkit.policy import EdgeMachine, Fetch, Headers, RequestHead, ResponseHead, Serve, Service
from cdnkit.policy.freshness.lifetime import HEURISTIC_STATUSES
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.outcomes import Outcome

OPTIONS = hishel.CacheOptions(shared=True, supported_methods=["GET"], allow_stale=False)
LIFETIMES = st.sampled_from([0, 10, 60, 3600, 2**31])


@dataclass
class Response:
    """A response as values; instants are seconds from now."""

    status: int
    control: dict[str, str | None]
    dated: int
    """How long ago it was dated, which is its age."""
    expires_after_date: int | None
    modified_before_date: int | None
    etag: bool
    vary: str | None

    def lines(self, now: int) -> dict[str, str]:
        date = now - self.dated
        lines = {"date": format_date(date)}
        if self.control:
            lines["cache-control"] = ", ".join(k if v is None else f"{k}={v}" for k, v in self.control.items())
        if self.expires_after_date is not None:
            lines["expires"] = format_date(date + self.expires_after_date)
        if self.modified_before_date is not None:
            lines["last-modified"] = format_date(date - self.modified_before_date)
        if self.etag:
            lines["etag"] = '"v"'
        if self.vary is not None:
            lines["vary"] = self.vary
        return lines

    @property
    def lifetime(self) -> int | None:
        """Its explicit lifetime, s-maxage first."""
        for name in ("s-maxage", "max-age"):
            if (value := self.control.get(name)) is not None:
                return int(value)
        return self.expires_after_date

    @property
    def heuristics_differ(self) -> bool:
        """Nothing explicit, and a Date or a status for which the two count differently."""
        return self.lifetime is None and (
            self.dated != 0 or self.status not in HEURISTIC_STATUSES or (self.modified_before_date or 0) > 864_000
        )

    @property
    def useless(self) -> bool:
        no_lifetime = self.lifetime is None and not self.etag and self.modified_before_date is None
        return no_lifetime or "*" in (self.vary or "")

    @property
    def ours_is_configured(self) -> bool:
        return self.lifetime is None and self.status in (404, 410)

    @property
    def on_the_edge(self) -> bool:
        lifetime = self.lifetime if self.lifetime is not None else (self.modified_before_date or 0) // 10
        return abs(lifetime - self.dated) < 2 and lifetime != 0


controls = st.fixed_dictionaries(
    {},
    optional={
        "max-age": LIFETIMES.map(str),
        "s-maxage": LIFETIMES.map(str),
        "no-store": st.none(),
        "private": st.sampled_from([None, '"set-cookie"']),
        "no-cache": st.sampled_from([None, '"set-cookie"']),
        "public": st.none(),
        "must-revalidate": st.none(),
        "proxy-revalidate": st.none(),
        "immutable": st.none(),
        "x-unknown": st.sampled_from([None, "1", '"a, max-age=9"']),
    },
)
responses = st.builds(
    Response,
    status=st.sampled_from(
        [200, 200, 200, 203, 204, 206, 299, 301, 302, 307, 308, 400, 404, 405, 410, 414, 500, 501, 503]
    ),
    control=controls,
    dated=st.sampled_from([0, 0, 5, 30, 600, 86_400]),
    expires_after_date=st.sampled_from([None, None, 0, 20, 3600, -20]),
    modified_before_date=st.sampled_from([None, 100, 100_000]),
    etag=st.booleans(),
    vary=st.sampled_from([None, None, None, "accept-language", "Accept-Language, X-Device", "*"]),
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "accept-language": st.sampled_from(["de", "fr"]),
        "x-device": st.sampled_from(["tv", "phone"]),
        "authorization": st.sampled_from(["Basic YTph"]),
    },
)
reloads = st.sampled_from([{}, {}, {"cache-control": "no-cache"}])


def ours(first: Mapping[str, str], then: Mapping[str, str], said: ResponseHead, now: float) -> tuple[bool, bool]:
    """(stored, reused without asking) by a node that asked with `first` and is asked with `then` at the same instant."""
    edge = EdgeMachine(Service(name="fra"))
    fetch = edge.on_request(RequestHead("GET", "http", "h", "/a", None, Headers(first.items())), now)
    assert isinstance(fetch, Fetch)
    landing = edge.on_response(fetch, said, now)
    again = edge.on_request(RequestHead("GET", "http", "h", "/a", None, Headers(then.items())), now)
    stored = landing.store is not None and landing.store.indexed
    return stored, isinstance(again, Serve) and again.outcome is Outcome.HIT


def hishels(first: Mapping[str, str], then: Mapping[str, str], status: int, lines: dict[str, str]) -> tuple[bool, bool]:
    """The same of hishel. Its stored entry is tried for reuse only if it would store it."""
    request = hishel.Request("GET", "http://h/a", hishel.Headers(dict(first)))
    response = hishel.Response(status, hishel.Headers(lines))
    kept: hishel.AnyState = hishel.CacheMiss(request=request, options=OPTIONS).next(response)
    if isinstance(kept, hishel.InvalidateEntries):
        kept = kept.next()
    if not isinstance(kept, hishel.StoreAndUse):
        return False, False
    entry = hishel.Entry(id=uuid.uuid4(), request=request, response=kept.response)
    again = hishel.Request("GET", "http://h/a", hishel.Headers(dict(then)))
    return True, isinstance(hishel.IdleClient(options=OPTIONS).next(again, [entry]), hishel.FromCache)


@pytest.mark.long
@settings(max_examples=600, deadline=None)
@given(said=responses, first=requests, then=requests, reload=reloads)
@example(Response(200, {"max-age": "60", "private": '"set-cookie"'}, 0, None, None, False, None), {}, {}, {})
@example(Response(200, {"max-age": "0", "s-maxage": "60"}, 30, None, None, True, None), {}, {}, {})
def test_stored_and_fresh_as_hishel_says(
    said: Response, first: dict[str, str], then: dict[str, str], reload: dict[str, str]
) -> None:
    assume(not said.heuristics_differ and not said.ours_is_configured and not said.on_the_edge)
    then = then | reload
    now = time.time()
    lines = said.lines(int(now))
    ours_stored, ours_reused = ours(first, then, ResponseHead(said.status, Headers(lines.items())), now)
    theirs_stored, theirs_reused = hishels(first, then, said.status, lines)
    if not said.useless:
        assert ours_stored == theirs_stored, (
            f"stored: ours {ours_stored}, hishel {theirs_stored}: {said.status} {lines}"
        )
    assert ours_reused == theirs_reused, (
        f"reused: ours {ours_reused}, hishel {theirs_reused}: {said.status} {lines} {then}"
    )


def test_the_second_opinion_is_asked_both_ways() -> None:
    """Not one opinion twice: hishel says yes and no, and its known gaps are still there (else the list above is too long)."""
    now = int(time.time())
    fresh = {"date": format_date(now), "cache-control": "max-age=60"}
    assert hishels({}, {}, 200, fresh) == (True, True)
    assert hishels({}, {}, 200, fresh | {"cache-control": "no-store"}) == (False, False)
    assert hishels({}, {}, 200, fresh | {"cache-control": "max-age=60, no-store, must-understand"}) == (False, False)
    assert hishels({}, {}, 200, fresh | {"age": "100"}) == (True, True)
    assert hishels({}, {}, 200, fresh | {"vary": "*"}) == (True, False)
    assert hishels({}, {"cache-control": "max-age=0"}, 200, fresh | {"date": format_date(now - 9)}) == (True, True)
