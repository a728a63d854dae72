"""Checks that the behaviors keep the keys of encrypted streams: behind the playlists' token, and out of every store."""

from collections.abc import Iterator, Mapping

from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.service import Behavior
from cdnkit.units.quantities import write_seconds
from cdnkit.vendors import PROFILES
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown
from cdnlab.settings.positions import Path as KeyPath


def encryption(draft: Draft) -> Iterator[Finding]:
    """For each service that our origin is behind."""
    if draft.origin is None or not draft.origin.encryption:
        return
    yield from _of_service(draft, draft.behaviors, draft.profile, ())
    for name, service in draft.services.items():
        if service.origin is None:
            behaviors = dict(enumerate(service.behaviors))
            yield from _of_service(draft, behaviors, service.profile or draft.profile, ("service", name))


def _of_service(
    draft: Draft, behaviors: Mapping[int, Behavior], profile_name: str, where: KeyPath
) -> Iterator[Finding]:
    find = Matcher(tuple(behaviors.values()), Behavior(path="*")).match
    profile = PROFILES.get(profile_name)
    seen: set[int] = set()
    for rule in draft.origin.encryption:
        for stream in rule.streams:
            # A `*` of the pattern stands for itself: behaviors with one match it, and names of other streams do not.
            key, playlist = find(f"/{stream}/key-0.key"), find(f"/{stream}/multivariant.m3u8")
            index = next((index for index, one in behaviors.items() if one is key), None)
            if index is None or index in seen:
                continue
            seen.add(index)
            path: KeyPath = (*where, "behavior", index)
            if key.token != playlist.token:
                found = "no token" if key.token is None else shown(key.token)
                wanted = "none" if playlist.token is None else shown(playlist.token)
                yield Finding(
                    (*path, "token" if key.token is not None else "path"), f"{found}, for keys of {shown(stream)}",
                    f"the token of its playlists: {wanted}",
                )  # fmt: skip
            if profile is not None and profile.min_ttl_overrides and key.cache and key.ttl.min > 0:
                yield Finding(
                    (*path, "ttl", "min"), shown(write_seconds(key.ttl.min)),
                    f'"0s": with {profile_name}, keys of {shown(stream)} would be stored in spite of no-store',
                    'Or put a [[behavior]] with path = "*.key" and cache = false first.',
                )  # fmt: skip
