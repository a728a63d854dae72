"""Invalidations: the paths of a batch, the purge orders for them, and the list of invalidations.

Source: "Invalidate files to remove content" and "Invalidate files by cache tag" in the CloudFront Developer Guide;
operations, errors and shapes from the API model 2020-05-31 in botocore.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from cdnkit.policy.machine.purge_log import Order
from cdnlab.control.rest_xml import ApiError

MOST_PATHS, MOST_WILDCARDS = 3000, 15
"""At most this many in progress at one time, in one distribution."""
LONGEST_PATH, LONGEST_TAG = 4000, 256
PAGE = 100
"""Items of a page at most, which is also the default of MaxItems."""

IN_PROGRESS, COMPLETED = "InProgress", "Completed"


def orders_of(*paths: str) -> list[Order]:
    """The purge orders for the paths and tags of a batch; all its tags are one order.

    A path may be percent-encoded or not, in the batch and in requests: both forms are purged.
    """
    tags = list(dict.fromkeys(path[1:] for path in paths if path.startswith("#")))
    orders: list[Order] = [{"surrogate_keys": tags}] if tags else []
    for path in dict.fromkeys(paths):
        if path.endswith("*"):
            orders += ({"prefix": form} for form in _forms(path[:-1]))
        elif not path.startswith("#"):
            orders += ({"url": form} for form in _forms(path))
    return orders


def _forms(path: str) -> list[str]:
    stem, mark, query = path.partition("?")
    encoded = quote(unquote(stem), safe="/!$&'()*+,;=:@~-._")
    # A "#" that is not encoded would end the path.
    return list(dict.fromkeys(f"{form}{mark}{query}" for form in (stem.replace("#", "%23"), encoded)))


def check(paths: list[str]) -> None:
    """Raises `ApiError` for a batch that CloudFront refuses."""
    if not paths:
        raise ApiError("InvalidArgument", "Paths: wanted at least one.")
    if len(paths) > MOST_PATHS:
        raise ApiError("BatchTooLarge", f"found {len(paths)} paths, wanted {MOST_PATHS} at most.", 413)
    for path in paths:
        wrong = _wrong(path)
        if wrong:
            raise ApiError(
                "InvalidArgument",
                f"Your request contains one or more invalid invalidation paths. Found {path[:80]!r}: wanted {wrong}.",
            )


def _wrong(path: str) -> str:
    if path.startswith("#"):
        tag = path[1:]
        good = 0 < len(tag) <= LONGEST_TAG and all("!" <= letter <= "~" and letter not in ",*" for letter in tag)
        return "" if good else f"a tag of 1 to {LONGEST_TAG} visible ASCII characters, no comma, no wildcard"
    if not path.startswith("/"):
        return 'a path that begins with "/", or a cache tag that begins with "#"'
    if "*" in path[:-1]:
        return '"*" as the last character only'
    return f"{LONGEST_PATH} characters at most" if len(path) > LONGEST_PATH else ""


@dataclass
class Invalidation:
    """An invalidation that was created."""

    id: str
    distribution: str
    paths: list[str]
    caller_reference: str
    created_at: float
    """Unix seconds."""
    status: str = IN_PROGRESS

    @property
    def wildcards(self) -> int:
        return sum(path.endswith("*") for path in self.paths)


class Invalidations:
    """All invalidations; the list grows as long as the lab runs, as CloudFront's does."""

    def __init__(self, fresh_id: Callable[[], str]) -> None:
        self._fresh_id = fresh_id
        self._all: dict[str, Invalidation] = {}

    def create(self, distribution: str, paths: list[str], reference: str, now: float) -> tuple[Invalidation, bool]:
        """The invalidation, and whether it is new: the same reference with the same paths returns the earlier one."""
        if not reference:
            raise ApiError("InvalidArgument", "CallerReference: wanted a text of your own.")
        check(paths)
        for earlier in self._of(distribution):
            if earlier.caller_reference == reference:
                if sorted(earlier.paths) != sorted(paths):
                    raise ApiError(
                        "InvalidationBatchAlreadyExists",
                        f"CallerReference {reference!r} was used before, with other paths.",
                    )
                return earlier, False
        busy = [one for one in self._of(distribution) if one.status == IN_PROGRESS]
        new = Invalidation(self._fresh_id(), distribution, paths, reference, now)
        if sum(one.wildcards for one in (*busy, new)) > MOST_WILDCARDS or (
            sum(len(one.paths) - one.wildcards for one in (*busy, new)) > MOST_PATHS
        ):
            raise ApiError(
                "TooManyInvalidationsInProgress",
                f"wanted at most {MOST_PATHS} paths and {MOST_WILDCARDS} wildcards in progress.",
            )
        self._all[new.id] = new
        return new, True

    def get(self, distribution: str, id: str) -> Invalidation:
        found = self._all.get(id)
        if found is None or found.distribution != distribution:
            raise ApiError("NoSuchInvalidation", "The specified invalidation does not exist.", 404)
        return found

    def in_progress(self, distribution: str) -> int:
        return sum(one.status == IN_PROGRESS for one in self._of(distribution))

    def latest_first(self, distribution: str) -> list[Invalidation]:
        return self._of(distribution)[::-1]

    def _of(self, distribution: str) -> list[Invalidation]:
        return [one for one in self._all.values() if one.distribution == distribution]


@dataclass(frozen=True)
class Page:
    """One page of a list, by ids."""

    ids: list[str]
    marker: str
    most: int
    next_marker: str | None


def page(ids: list[str], marker: str | None, max_items: str | None) -> Page:
    """The items after `marker`, the last item of the page before. Raises `InvalidArgument` for an unknown marker."""
    try:
        most = min(int(max_items or PAGE), PAGE)
    except ValueError:
        most = 0
    if most < 1:
        raise ApiError("InvalidArgument", f"MaxItems: found {max_items!r}, wanted a number from 1.")
    if marker and marker not in ids:
        raise ApiError("InvalidArgument", f"Marker: found {marker!r}, wanted a NextMarker of this list.")
    start = ids.index(marker) + 1 if marker else 0
    some = ids[start : start + most]
    return Page(some, marker or "", most, some[-1] if start + most < len(ids) else None)
