"""The events of a running transcode: small values with their facts, and English in `__str__`."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was decided before the start, and why."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Started:
    """An ffmpeg was started; `attempt` counts from 1."""

    pid: int
    command: tuple[str, ...]
    attempt: int = 1

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of ffmpeg's, about every half second."""

    frame: int
    """Frames encoded by this ffmpeg."""
    fps: float
    speed: float
    """Seconds of media a second, over the last ten seconds at most; ffmpeg's own averages from the start."""
    media_time: float
    """Seconds of media made by this ffmpeg."""
    fraction: float | None = None
    """The share of the whole that is done, 0 to 1; None where there is no known end."""
    eta: float | None = None
    """Seconds still to go, if known."""

    def __str__(self) -> str:
        done = "" if self.fraction is None else f"{self.fraction:.0%} "
        left = "" if self.eta is None else f", {self.eta:.0f} s to go"
        return f"{done}frame {self.frame}, {self.fps:.1f} frames/s, {self.speed:.2f}x{left}"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line ffmpeg wrote, with its level: `warning`, `error`, `fatal`."""

    level: str
    text: str

    def __str__(self) -> str:
        return f"ffmpeg {self.level}: {self.text}"


@dataclass(frozen=True, slots=True)
class Behind:
    """The encoder has been slower than the clock for ten seconds."""

    speed: float
    advice: str

    def __str__(self) -> str:
        return f"the encoder cannot keep up ({self.speed:.2f}x of real time): {self.advice}"


@dataclass(frozen=True, slots=True)
class Died:
    """ffmpeg ended on its own account with a failure; it is started again after `retry_in` seconds."""

    status: int
    """Exit status; negative: the number of the signal that killed it."""
    why: str
    retry_in: float

    def __str__(self) -> str:
        how = f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
        return f"ffmpeg died ({how}: {self.why}); starting again in {self.retry_in:g} s"


@dataclass(frozen=True, slots=True)
class Ended:
    """The source came to its end, and every body was ended properly."""

    media_time: float

    def __str__(self) -> str:
        return f"the source ended after {self.media_time:.1f} s"


@dataclass(frozen=True, slots=True)
class Drained:
    """Stopped on request. `how`: `q` ended every body properly; `SIGTERM` may have; `SIGKILL` did not."""

    how: str

    def __str__(self) -> str:
        return "drained" if self.how == "q" else f"stopped with {self.how}"


Event = Notice | Started | Progress | LogLine | Behind | Died | Ended | Drained
