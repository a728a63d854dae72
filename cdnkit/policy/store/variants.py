"""The stored responses of one cache key that has several: found by the values of the fields that select them.

Vary may name other fields in each response, so there is an index for each set of names. A look-up reads the request's
fields once for each set, however many variants there are.

Source: RFC 9111 §4.1.
"""

from collections.abc import Iterable, Iterator

from cdnkit.policy.http import ranges
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.http.negotiation import preferred_language
from cdnkit.policy.store.entry import Entry, Selecting, selecting_fields

Names = tuple[str, ...]
"""The request fields that Vary names; () without Vary."""

_BY_LANGUAGE: Names = ("accept-language",)


def names_of(selecting: Selecting) -> Names:
    return tuple(name for name, _ in selecting)


class Variants:
    """Responses of one key, by their selecting fields."""

    __slots__ = ("_by_id", "_by_names")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_id: dict[int, Entry] = {}
        """In the order in which they were stored."""
        self._by_names: dict[Names, dict[Selecting, Entry | list[Entry]]] = {}
        """One response of each variant, or several parts of one representation."""
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        """The number of responses."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Entry]:
        """The latest first."""
        return reversed(self._by_id.values())

    @property
    def count(self) -> int:
        """The number of variants."""
        return sum(map(len, self._by_names.values()))

    def add(self, entry: Entry) -> None:
        self._by_id[entry.id] = entry
        by_values = self._by_names.setdefault(names_of(entry.selecting), {})
        one = by_values.setdefault(entry.selecting, entry)
        if isinstance(one, list):
            one.append(entry)
        elif one is not entry:
            by_values[entry.selecting] = [one, entry]

    def remove(self, entry: Entry) -> None:
        del self._by_id[entry.id]
        names = names_of(entry.selecting)
        by_values = self._by_names[names]
        one = by_values[entry.selecting]
        if isinstance(one, list):
            one.remove(entry)
        if one is entry or not one:
            del by_values[entry.selecting]
            if not by_values:
                del self._by_names[names]

    def alike(self, selecting: Selecting) -> list[Entry]:
        """The responses of one variant, the latest first."""
        one = self._by_names.get(names_of(selecting), {}).get(selecting, [])
        return [one] if isinstance(one, Entry) else one[::-1]

    def tables_of(self, selecting: Selecting) -> list[object]:
        """The tables that lead to the responses of one variant."""
        alike = self._by_names.get(names_of(selecting), {}).get(selecting)
        return [self, self._by_id, self._by_names, *self._by_names.values(), alike]

    def oldest(self) -> Selecting:
        """The variant that was stored longest ago."""
        return next(iter(self._by_id.values())).selecting

    def matches(self, request: Headers, *, as_sent: bool) -> list[Entry]:
        """All that the request selects, and those without Vary; the latest first."""
        found: list[Entry] = []
        for names, by_values in self._by_names.items():
            one = by_values.get(selecting_fields(names, request, as_sent=as_sent), ())
            found += (one,) if isinstance(one, Entry) else one
        if len(found) > 1:
            found.sort(key=lambda entry: entry.id, reverse=True)
        return found

    def in_preferred_language(self, request: Headers) -> Iterator[Entry]:
        """Those in the language that the request prefers, where Vary names only Accept-Language; the latest first.

        Source: RFC 9111 §4.1: a field's own selection rules may be used.
        """
        by_values = self._by_names.get(_BY_LANGUAGE)
        wanted = None if by_values is None else preferred_language(request.joined("accept-language"))
        if wanted is None:
            return
        for entry in self:
            language = entry.headers.first("content-language")
            if (
                language is not None
                and names_of(entry.selecting) == _BY_LANGUAGE
                and language.strip().lower() == wanted
            ):
                yield entry


def best(entries: Iterable[Entry], request: Headers) -> Entry | None:
    """The one to use of those that a request selects, the latest first.

    A stored response without Vary answers requests that no other variant matches: origins leave Vary out by mistake in
    the response to a request without preferences (RFC 9111 §4.1).
    """
    varied: Entry | None = None
    unvaried: Entry | None = None
    for entry in entries:
        if not entry.selecting:
            unvaried = _better(unvaried, entry, request)
        elif entry.part is None:
            return entry
        else:
            varied = _better(varied, entry, request)
    return varied or unvaried


def _better(best: Entry | None, other: Entry, request: Headers) -> Entry:
    """The better of two entries that a request selects: a whole one; a part with the range it wants; one that begins at
    0 and so can be completed."""
    if best is None or other.part is None:
        return other
    if best.part is None:
        return best
    wanted = request.first("range")
    if wanted is not None:
        if ranges.within(wanted, best.part, best.total) is not None:
            return best
        if ranges.within(wanted, other.part, other.total) is not None:
            return other
    return other if other.part.start == 0 < best.part.start else best
