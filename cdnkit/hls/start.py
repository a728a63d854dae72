"""Where a player is to begin: EXT-X-START (HLS draft 4.4.2.2). DASH has no such element.

An offset is counted from the beginning of the playlist or, where it is negative, from its end. It must lie within the
playlist; in one that is to go on, it should not lie nearer to the end than players are to stay from it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """TIME-OFFSET and PRECISE."""

    offset: float
    """Seconds; negative: before the end."""
    precise: bool = False
    """True: the player shows nothing of the segment that is before the offset."""

    def fits(self, length: float, hold_back: float = 0.0) -> bool:
        """Whether it lies in a playlist of `length` seconds, and `hold_back` seconds from its end."""
        at = self.offset if self.offset >= 0 else length + self.offset
        return 0 <= at <= length - hold_back

    @property
    def line(self) -> str:
        """The tag."""
        offset = f"{self.offset:.6f}".rstrip("0").rstrip(".")
        return f"#EXT-X-START:TIME-OFFSET={offset}{',PRECISE=YES' if self.precise else ''}"
