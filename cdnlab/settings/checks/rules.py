"""Checks on a service's behaviors, against its profile, tokens, policies and geo databases."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cdnkit.geo.databases import IPTOCC
from cdnkit.policy.rules import matching
from cdnkit.policy.rules.places import PlaceKind, kind_of
from cdnkit.policy.rules.profile import Profile
from cdnkit.settings.edge import Node
from cdnkit.vendors import OBSERVED, PROFILES
from cdnkit.vendors.misfits import misfits
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import nearest, shown
from cdnlab.settings.positions import Path as KeyPath


def rules_of(draft: Draft) -> Iterator[Finding]:
    """All checks on the behaviors of one service."""
    yield from _behaviors(draft)
    yield from _policies(draft)
    yield from _response_headers(draft)
    yield from _places(draft)
    yield from _misfits(draft)


def _edges(draft: Draft) -> list[Node]:
    parents = {parent for node in draft.nodes.values() for parent in node.parents}
    return [node for node in draft.nodes.values() if node.name not in parents]


def _behaviors(draft: Draft) -> Iterator[Finding]:
    for index, behavior in draft.behaviors.items():
        if behavior.token is not None and behavior.token not in draft.token_names:
            yield Finding(
                ("behavior", index, "token"), shown(behavior.token),
                f"the name of a token; there is no [token.{behavior.token}]",
                nearest(behavior.token, sorted(draft.token_names), keys=False),
            )  # fmt: skip
        deaf = next((node.name for node in _edges(draft) if node.listen_tls is None), None)
        if behavior.viewer_protocol != "allow-all" and deaf is not None:
            path: KeyPath = ("behavior", index, "viewer_protocol")
            yield Finding(path, shown(behavior.viewer_protocol), f"listen_tls at every edge; {deaf} has none")
    indexes = list(draft.behaviors)
    for never, by in matching.shadowed(tuple(draft.behaviors.values())):
        yield Finding(
            ("behavior", indexes[never], "path"), shown(draft.behaviors[indexes[never]].path),
            f"a pattern that can match: behavior[{indexes[by]}], {shown(draft.behaviors[indexes[by]].path)}, "
            "comes first and matches all of its paths", "Put the narrower pattern first.",
        )  # fmt: skip


_ALL = tuple(PROFILES.values())
_TIMING = [profile for profile in _ALL if profile.server_timing]


def _policies(draft: Draft) -> Iterator[Finding]:
    """Features that only some CDNs have."""
    for index, behavior in draft.behaviors.items():
        cache, onward = behavior.cache_policy, behavior.origin_request_policy
        rows = (
            ("cache_policy", cache, "none", [one for one in _ALL if cache in one.cache_policies]),
            ("origin_request_policy", onward, "none", [one for one in _ALL if onward in one.origin_request_policies]),
            ("compress", behavior.compress, False, [one for one in _ALL if one.compression is not None]),
            ("server_timing", behavior.server_timing, "off", _TIMING),
        )
        for key, found, without, having in rows:
            if found != without and (other := _elsewhere(draft, having)):
                yield Finding(("behavior", index, key), shown(found), f"{shown(without)}, {other}")


def _elsewhere(draft: Draft, having: Sequence[Profile]) -> str:
    """The profiles with a feature that this one lacks: `or profile = "cloudfront" (it is fastly)`; "" if it has it."""
    names = [profile.name for profile in having]
    return "" if draft.profile in names else f"or profile = {' or '.join(map(shown, names))} (it is {draft.profile})"


def _response_headers(draft: Draft) -> Iterator[Finding]:
    """A behavior's policy is one of the file's own or a managed one of the profile's vendor."""
    profile = PROFILES.get(draft.profile)
    managed = set(profile.response_headers_policies) if profile is not None else set()
    for name in sorted(draft.response_headers & managed):
        yield Finding(("response_headers", name), shown(name), "a name that no managed policy has")
    known = managed | draft.response_headers
    for index, behavior in draft.behaviors.items():
        name = behavior.response_headers_policy
        if name != "none" and name not in known:
            yield Finding(
                ("behavior", index, "response_headers_policy"), shown(name),
                f"a [response_headers.NAME], or a managed policy that cdnlab supports with profile = "
                f"{shown(draft.profile)}",
                nearest(name, sorted(known), keys=False) if known else "",
            )  # fmt: skip
        if name in draft.timed and (other := _elsewhere(draft, _TIMING)):
            yield Finding(
                ("behavior", index, "response_headers_policy"), shown(name), f"one without server_timing, {other}"
            )
    for name, cors in draft.cors.items():
        if cors.preflight == "answer" and draft.profile == "cloudfront":
            yield Finding(
                ("response_headers", name, "cors", "preflight"), shown("answer"),
                '"forward", or another profile (it is cloudfront, which never responds to them itself)',
            )  # fmt: skip


def _places(draft: Draft) -> Iterator[Finding]:
    """A rule about a fact that no database or table has would silently never apply."""
    geo = draft.geo
    if geo is None or any(name != IPTOCC for name in geo.databases):
        return
    known = {
        PlaceKind.REGION: any(kind_of(place) is PlaceKind.REGION for place in geo.countries.values()),
        PlaceKind.ASN: bool(geo.asns),
    }
    hint = "iptocc has countries only: add an MMDB file that has more to geo.databases, or fill the tables of [geo]."
    for index, behavior in draft.behaviors.items():
        rule = behavior.geo
        if rule is None:
            continue
        for key in ("allow", "deny"):
            for number, entry in enumerate(getattr(rule, key)):
                kind = kind_of(entry)
                if kind is not None and not known.get(kind, True):
                    yield Finding(("behavior", index, "geo", key, number), shown(entry), "a fact that [geo] has", hint)
        for key in ("anonymous", "hosting"):
            if getattr(rule, key) == "deny" and not getattr(geo, key):
                yield Finding(("behavior", index, "geo", key), '"deny"', "a fact that [geo] has", hint)


def _misfits(draft: Draft) -> Iterator[Finding]:
    """Settings that the profile would accept and then ignore."""
    profile = PROFILES.get(draft.profile)
    if profile is None:
        return
    for index, behavior in draft.behaviors.items():
        for misfit in misfits(behavior, profile):
            hint = nearest(str(misfit.found).lower(), list(misfit.known), keys=False) if misfit.known else ""
            yield Finding(("behavior", index, *misfit.path), shown(misfit.found), misfit.wanted, hint)


def observations(draft: Draft) -> Iterator[Finding]:
    profiles = {draft.profile, *(one.profile for one in draft.services.values() if one.profile is not None)}
    if draft.observed and profiles.isdisjoint(OBSERVED):
        known = " or ".join(map(shown, OBSERVED))
        yield Finding(("observed",), "true", f"false, or profile = {known} (no differences are known of others)")


def hosted(draft: Draft) -> Iterator[Finding]:
    """Services beside the first: the same checks on their rules, and no host twice."""
    taken = dict.fromkeys(draft.hostnames, "the top of the file")
    for name, one in draft.services.items():
        for index, host in enumerate(one.hostnames):
            if host in taken:
                path: KeyPath = ("service", name, "hostnames", index)
                yield Finding(path, shown(host), f"another host: {taken[host]} has this one")
            taken.setdefault(host, f"service.{name}")
        part = replace(draft, profile=one.profile or draft.profile, behaviors=dict(enumerate(one.behaviors)))
        for finding in rules_of(part):
            # A finding outside of the behaviors was already reported for the first service.
            if finding.path[0] == "behavior" or part.profile != draft.profile:
                inner = ("service", name) if finding.path[0] == "behavior" else ()
                yield replace(finding, path=(*inner, *finding.path))
