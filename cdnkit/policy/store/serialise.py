"""A stored response's head as plain values, and back: what a disk or another node can keep of an `Entry`.

It holds all that later decisions need, instants included, so that nothing is decided again when it is read, and no
freshness is granted twice. It does not hold the body, the entry's id or its counters. The values are those of JSON; an
instant that never comes is null.

    key status headers [[name, value], ...] selecting [[name, value or null], ...] surrogate_keys [key, ...]
    life [born_at, fresh_until, refreshable_until, fallback_until, unreachable_until, sick_until, rule,
    revalidate_always, may_be_stale] length part [start, stop] or null, total, etag, last_modified, coding,
    for_authorization
"""

from math import inf
from typing import Any

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.store.entry import Entry, shared_lines

FORMAT = 1
"""The version of these values: raise it when they change in form or meaning. Other versions are discarded unread."""


def to_values(entry: Entry) -> dict[str, Any]:
    """The values; lists of the entry are taken over, not copied."""
    life = entry.life
    ends = (life.refreshable_until, life.fallback_until, life.unreachable_until, life.sick_until)
    return {
        "key": entry.key,
        "status": entry.status,
        "headers": entry.headers.lines,
        "life": [
            life.born_at, life.fresh_until, *(None if end == inf else end for end in ends),
            life.rule, life.revalidate_always, life.may_be_stale,
        ],
        "selecting": entry.selecting,
        "surrogate_keys": entry.surrogate_keys,
        "length": entry.length,
        "part": None if entry.part is None else [entry.part.start, entry.part.stop],
        "total": entry.total,
        "etag": entry.etag,
        "last_modified": entry.last_modified,
        "coding": entry.coding,
        "for_authorization": entry.for_authorization,
    }  # fmt: skip


def from_values(entry_id: int, values: dict[str, Any], size_bytes: int) -> Entry:
    """A complete entry, not indexed yet. KeyError, TypeError or ValueError when the values are not of this format."""
    part = values["part"]
    born_at, fresh_until, *ends, rule, revalidate_always, may_be_stale = values["life"]
    refreshable, fallback, unreachable, sick = (inf if end is None else end for end in ends)
    life = Lifetime(
        born_at, fresh_until, refreshable, fallback, unreachable, sick, rule, revalidate_always, may_be_stale
    )
    return Entry(
        id=entry_id,
        key=values["key"],
        status=values["status"],
        headers=Headers.wrap(shared_lines((name, value) for name, value in values["headers"])),
        life=life,
        selecting=tuple((name, value) for name, value in values["selecting"]),
        surrogate_keys=tuple(values["surrogate_keys"]),
        size_bytes=size_bytes,
        length=values["length"],
        complete=True,
        part=None if part is None else Span(*part),
        total=values["total"],
        etag=values["etag"],
        last_modified=values["last_modified"],
        coding=values["coding"],
        for_authorization=values["for_authorization"],
    )
