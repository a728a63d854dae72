"""Reading what a running ffmpeg says: `-progress` reports, log lines, and whether it keeps up.

Time is an argument; nothing here does I/O.
"""

import re
from collections import deque
from dataclasses import dataclass, field

from transcode.events import Behind, LogLine

_LOG_LINE = re.compile(r"(?:\[([\w#:/]+) @ 0x[0-9a-f]+\] )?\[(\w+)\] (.*)")


@dataclass(frozen=True, slots=True)
class Report:
    """One block of `-progress`: what was made since the start of the run."""

    frame: int
    fps: float
    media_time: float
    last: bool


@dataclass(slots=True)
class ReportReader:
    """Collects `key=value` lines; a block ends with `progress=continue` or `progress=end`."""

    _values: dict[str, str] = field(default_factory=dict)

    def line(self, text: str) -> Report | None:
        """The finished report if this line ends one. Values ffmpeg does not know yet ("N/A") read as zero."""
        key, _, value = text.strip().partition("=")
        if key != "progress":
            self._values[key] = value.strip()
            return None
        values, self._values = self._values, {}
        return Report(
            frame=int(_number(values.get("frame"))),
            fps=_number(values.get("fps")),
            media_time=max(0.0, _number(values.get("out_time_us")) / 1e6),
            last=value.strip() == "end",
        )


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def read_log_line(line: str) -> LogLine:
    """A line of the log at `-loglevel level+...`: `[http @ 0x55d0] [error] HTTP error 404`, less the
    address."""
    match = _LOG_LINE.match(line)
    if match is None:
        return LogLine("info", line.strip())
    component, level, text = match.groups()
    return LogLine(level, f"{component}: {text.strip()}" if component else text.strip())


@dataclass(slots=True)
class Pace:
    """Whether a live encoder keeps up: the speed over a sliding window, and when to complain about it.

    ffmpeg's own `speed` is the average since the start, so an encoder that falls behind after an hour shows
    it an hour later. Complains once per `again` seconds, after a full window below `floor`.
    """

    window: float = 10.0
    floor: float = 0.98
    again: float = 30.0
    _seen: deque[tuple[float, float]] = field(default_factory=deque)
    _quiet_until: float = 0.0

    def speed(self, now: float, media_time: float) -> float:
        """Records how far the media is; returns seconds of media a second over the window, 0 at first."""
        self._seen.append((now, media_time))
        # The oldest one kept is the youngest that is a whole window old.
        while len(self._seen) > 1 and self._seen[1][0] <= now - self.window:
            self._seen.popleft()
        then, media_then = self._seen[0]
        return (media_time - media_then) / (now - then) if now > then else 0.0

    def complaint(self, now: float, speed: float, advice: str) -> Behind | None:
        full = bool(self._seen) and now - self._seen[0][0] >= self.window
        if not full or speed >= self.floor or now < self._quiet_until:
            return None
        self._quiet_until = now + self.again
        return Behind(speed, advice)
