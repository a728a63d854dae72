"""Stored responses in groups by name: by surrogate key, or by URL. Most groups have one member."""

from collections.abc import Iterable

from cdnkit.policy.store.entry import Entry


class Groups:
    """Groups of entries. One member is held without a table of its own, which would take 300 bytes."""

    __slots__ = ("by_name",)

    def __init__(self) -> None:
        self.by_name: dict[str, Entry | dict[int, Entry]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def of(self, name: str) -> dict[int, Entry]:
        """The members of a group, by id; empty if there is no such group."""
        one = self.by_name.get(name, {})
        return {one.id: one} if isinstance(one, Entry) else one

    def add(self, name: str, entry: Entry) -> None:
        one = self.by_name.setdefault(name, entry)
        if isinstance(one, dict):
            one[entry.id] = entry
        elif one is not entry:
            self.by_name[name] = {one.id: one, entry.id: entry}

    def discard(self, name: str, entry: Entry) -> None:
        """Take it out of the group, if it is in."""
        one = self.by_name.get(name)
        if isinstance(one, dict):
            one.pop(entry.id, None)
        if one is entry or one == {}:
            del self.by_name[name]

    def tables_of(self, names: Iterable[str]) -> list[object]:
        """The tables of these groups."""
        return [one for name in names if isinstance(one := self.by_name.get(name), dict)]
