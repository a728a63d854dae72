"""The date ranges of one stream, as all its media playlists list them (HLS draft -22, 6.2.1, 6.2.4, 6.2.5.1). Pure.

| asked for                                    | then                                                               |
|----------------------------------------------|--------------------------------------------------------------------|
| a new ID                                     | it is listed; 409 if it ends before the window, or was used before |
| more attributes of an ID                     | they are added; 409 if it has others for them                      |
| an ID to be removed                          | 409 while a date of it is in the window, as 6.2.1 forbids it       |
| one more than `MOST`, more than `MOST_BYTES` | 429                                                                |

A date range leaves when its end has left the window; one whose end is not known stays until it is removed or ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from origin.errors import Refused
from origin.hls.date_ranges import DateRange, changed, check_class, ends

MOST = 100
"""Date ranges of a stream. A window of ten minutes with a break each minute has ten."""
MOST_BYTES = 65_536
"""Of their tags: every playlist has them all."""
REMEMBERED = 1_024
"""IDs of date ranges that are gone: no new one may have them (6.2.1)."""


@dataclass(frozen=True, slots=True)
class Span:
    """What the playlists of a stream list, in Unix seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Date ranges in the order in which they were added, which is the same in all playlists (D.2)."""

    ranges: tuple[DateRange, ...] = ()
    gone: tuple[tuple[str, float], ...] = ()
    """IDs of those that were removed, and when; the oldest first."""

    def get(self, id: str) -> DateRange | None:
        return next((one for one in self.ranges if one.id == id), None)

    def put(self, id: str, values: Mapping[str, Any], span: Span, now: float) -> "Schedule":
        """With this date range, or with more attributes of it. `Refused`: why not."""
        before = self.get(id)
        one = changed(id, before, values, now)
        if one == before:
            return self
        if before is not None:
            made = tuple(one if other.id == id else other for other in self.ranges)
        else:
            if any(id == other for other, _ in self.gone):
                raise Refused(409, f"{id}: found an ID that was used, wanted a new one (HLS draft 6.2.1).")
            self._check_following(one)
            made = (*self.ranges, one)
        if len(made) > MOST:
            raise Refused(429, f"{id}: found {len(self.ranges)} date ranges, wanted at most {MOST}.")
        if (size := sum(len(other.line) for other in made)) > MOST_BYTES:
            raise Refused(429, f"{id}: found tags of {size} bytes in all, wanted at most {MOST_BYTES}.")
        check_class(made, one.kind)
        if before is None and _is_over(ends(made)[id], span):
            found = f"a date range that ends {span.start - (ends(made)[id] or 0.0):.3f} s before what is listed"
            raise Refused(409, f"{id}: found {found}, wanted one that is not over.")
        return replace(self, ranges=made)

    def _check_following(self, new: DateRange) -> None:
        """`Refused`: it would come between a date range with END-ON-NEXT and the one that ended it (6.2.1)."""
        until = ends(self.ranges)
        for one in self.ranges:
            end = until[one.id]
            if one.ends_on_next and one.kind == new.kind and end is not None and one.start < new.start < end:
                found = f"a START-DATE between {one.id} and the date range that ended it"
                raise Refused(409, f"{new.id}: found {found}, wanted a later one (HLS draft 6.2.1).")

    def without(self, id: str, span: Span, now: float) -> "Schedule":
        """Without this date range, which is there. `Refused`: it is in the window."""
        end = ends(self.ranges)[id]
        one = next(one for one in self.ranges if one.id == id)
        is_open = end is None and one.start < span.start  # nobody else knows when it is over
        if one.start < span.end and not is_open and not _is_over(end, span):
            wanted = (
                "one that has not begun or is over (HLS draft 6.2.1); PUT a DURATION, or X-PLAYOUT-LIMIT, to end it"
            )
            raise Refused(409, f"{id}: found a date range that is in the playlists' window, wanted {wanted}.")
        return self._removed({id}, now)

    def slid(self, span: Span, now: float) -> "Schedule":
        """Without those whose end has left the window; the same object where there are none."""
        until = ends(self.ranges)
        over = {one.id for one in self.ranges if _is_over(until[one.id], span)}
        return self._removed(over, now) if over else self

    def _removed(self, ids: set[str], now: float) -> "Schedule":
        left = tuple(one for one in self.ranges if one.id not in ids)
        gone = (*self.gone, *((one.id, now) for one in self.ranges if one.id in ids))
        return Schedule(left, gone[-REMEMBERED:])

    def lines(self) -> list[str]:
        return [one.line for one in self.ranges]

    def lines_since(self, at: float) -> list[str]:
        """The tags that were added at `at` or later."""
        return [one.line for one in self.ranges if one.added_at >= at]

    def gone_since(self, at: float) -> list[str]:
        """IDs of the date ranges that were removed at `at` or later."""
        return [id for id, when in self.gone if when >= at]

    def to_json(self) -> dict[str, Any]:
        """What a restart is to find."""
        ranges = [[one.id, one.attributes, one.added_at, one.assets] for one in self.ranges]
        return {"ranges": ranges, "gone": self.gone}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Schedule":
        """KeyError, TypeError, ValueError: the values are not what `to_json` gave."""
        ranges = tuple(
            DateRange(str(id), {str(name): str(value) for name, value in attributes.items()}, float(at), str(assets))
            for id, attributes, at, assets in values["ranges"]
        )
        for one in ranges:
            _ = one.start, one.end  # they can be read
        return cls(ranges, tuple((str(id), float(at)) for id, at in values["gone"]))


def _is_over(end: float | None, span: Span) -> bool:
    """A date range whose last instant is the first one listed still maps to a segment."""
    return end is not None and end < span.start
