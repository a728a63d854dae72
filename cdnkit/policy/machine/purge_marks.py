"""A shared tier: when nodes look there, what they put there, what they may use, and how purges reach it.

The tier holds whole stored responses with the instants of their lifetimes (cdnkit/policy/store/serialise.py). They land
as they are: their fields are not evaluated again, so no freshness is granted twice. A node looks there before it sends
a request to the parent, and uses fresh responses only: a stale one is for the parent to validate.

Purges reach it by *marks*. A purge leaves a mark, numbered by a counter that only grows; a response carries the
counter's value from before its fill. A mark with a higher number than a response's, on anything that names it, says
that it is purged. So a purge searches nothing, and it also applies to what is being filled meanwhile.
"""

from cdnkit.policy.outcomes import Purpose
from cdnkit.policy.plan import Fetch
from cdnkit.policy.store.index import Entry, selecting_fields

EVERYTHING = "*"

DEEPEST = 16
"""Folders of a path that can be marked; a purge below the deepest purges that folder."""


def url_mark(first_line: str) -> str:
    """The mark on all that has this path and query, the first line of a key; with a second line, of one host alone."""
    return f"u:{first_line}"


def url_marks(key: str) -> list[str]:
    """The marks on the URL of this key: on path and query, and, where the key has the host, on those of that host."""
    url, _, parts = key.partition("\n")
    host = parts.partition("\n")[0]
    return [url_mark(url), url_mark(f"{url}\n{host}")] if host.startswith("host: ") else [url_mark(url)]


def surrogate_mark(surrogate_key: str) -> str:
    return f"s:{surrogate_key}"


def prefix_mark(prefix: str) -> str:
    """The mark on the folder that holds all with this prefix: it purges more of the tier than was ordered, never less.

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
    """Whether a stored response of another node may answer: the request allows it, and is for the whole."""
    return fetch.purpose is not Purpose.PASS and fetch.collapsible and "range" not in fetch.request.headers


def may_be_put(entry: Entry, now: float) -> bool:
    """Whether another node could use the entry. It is stored here, so it is not private (RFC 9111 §3)."""
    if not entry.indexed or not entry.complete or entry.part is not None:
        return False
    return now < entry.life.fresh_until and not entry.life.revalidate_always


def may_be_used(entry: Entry, fetch: Fetch, now: float, *, vary_as_sent: bool = False) -> bool:
    """Whether the entry is fresh, and the one that this fetch's request selects (RFC 9111 §4, §4.1)."""
    if entry.key != fetch.key or entry.part is not None:
        return False
    if now >= entry.life.fresh_until or entry.life.revalidate_always:
        return False
    names = (name for name, _ in entry.selecting)
    return entry.selecting == selecting_fields(names, fetch.request.headers, as_sent=vary_as_sent)
