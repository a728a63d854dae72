"""A second tier that nodes share: when it is asked, what is put there, what of it may be used, how purges reach it.

The tier holds whole stored responses with the instants of their lives (cdnkit/policy/store/serialise.py). They land as
what they are: nothing is read from their fields again, so no freshness is granted twice. It is asked before the parent,
and only fresh responses count: what is stale is the parent's to judge.

Purges reach it by *marks*. A purge leaves a mark, numbered by a counter that only grows; a response carries the
counter's value from before its fill. A mark with a higher number than a response's, on anything that names it, says
that it is gone. So nothing is searched, and what is being filled while a purge is ordered is bound by it, too.
"""

from cdnkit.policy.outcomes import Purpose
from cdnkit.policy.plan import Fetch
from cdnkit.policy.store.index import Entry, selecting_fields

EVERYTHING = "*"

DEEPEST = 16
"""Folders of a path that can be marked; what is purged below is purged as the folder there."""


def url_mark(first_line: str) -> str:
    """The mark on whatever has this path and query, the first line of its key; with a second line, on one host's."""
    return f"u:{first_line}"


def url_marks(key: str) -> list[str]:
    """The marks on the URL of what has this key: on path and query, and, where the key has the host, on that host's."""
    url, _, parts = key.partition("\n")
    host = parts.partition("\n")[0]
    return [url_mark(url), url_mark(f"{url}\n{host}")] if host.startswith("host: ") else [url_mark(url)]


def surrogate_mark(surrogate_key: str) -> str:
    return f"s:{surrogate_key}"


def prefix_mark(prefix: str) -> str:
    """The mark on the folder that holds whatever begins so: more is taken from the tier than was asked for, never less.

    A response must name all marks that may lie on it, and no response could name every beginning of its URL.
    """
    return folder_marks(prefix)[-1]


def folder_marks(first_line: str) -> list[str]:
    """ "/live/a.ts?x=/y" lies in "/" and "/live/"."""
    folders = first_line.partition("?")[0].split("/")[:-1][:DEEPEST]
    return ["f:" + "/".join(folders[:depth]) + "/" for depth in range(1, len(folders) + 1)] or ["f:/"]


def marks_of(entry: Entry) -> list[str]:
    """Every mark that names it."""
    folders = folder_marks(entry.key.partition("\n")[0])
    return [EVERYTHING, *url_marks(entry.key), *folders, *map(surrogate_mark, entry.surrogate_keys)]


def may_ask_tier(fetch: Fetch) -> bool:
    """Whether a stored response of another node may answer: nobody insists on the parent, and the whole is wanted."""
    return fetch.purpose is not Purpose.PASS and fetch.collapsible and "range" not in fetch.request.headers


def may_be_put(entry: Entry, now: float) -> bool:
    """Whether another node could use it. It is stored here, so it is not private (RFC 9111 §3)."""
    fresh = now < entry.life.fresh_until and not entry.life.revalidate_always
    return entry.indexed and entry.complete and entry.part is None and fresh


def may_be_used(entry: Entry, fetch: Fetch, now: float, *, vary_as_sent: bool = False) -> bool:
    """Whether what the tier has is fresh, and the response that this fetch's request selects (RFC 9111 §4, §4.1)."""
    if entry.key != fetch.key or entry.part is not None:
        return False
    if now >= entry.life.fresh_until or entry.life.revalidate_always:
        return False
    names = (name for name, _ in entry.selecting)
    return entry.selecting == selecting_fields(names, fetch.request.headers, as_sent=vary_as_sent)
