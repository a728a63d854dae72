"""A DASH Period as a value: the same tracks from its first segment to its last (ISO/IEC 23009-1 5.3.2)."""

from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

from origin.media.reference_times import ReferenceTime
from origin.media.tracks import Kind, Track


@dataclass(frozen=True, slots=True)
class Representation:
    """One track of one Period, as it was when the Period began."""

    name: str
    track: Track
    init: str
    frame_rate: float
    growing: bool = False
    """Its segments can be requested part by part."""
    reference: ReferenceTime | None = None
    """What the encoder says of when its media was captured."""

    def to_json(self) -> list[Any]:
        reference = asdict(self.reference) if self.reference is not None else None
        return [self.name, asdict(self.track), self.init, self.frame_rate, self.growing, reference]

    @classmethod
    def from_json(cls, values: list[Any]) -> "Representation":
        name, track, init, frame_rate, *low_latency = values
        growing, reference = low_latency or (False, None)  # an older version knew no low latency
        return cls(
            str(name),
            Track(**{**track, "kind": Kind(track["kind"])}),
            str(init),
            float(frame_rate),
            bool(growing),
            None if reference is None else ReferenceTime(**reference),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """Segments of a Period that follow one another at regular distances, as number templates say."""

    first: int
    start: Fraction
    """Decode time of the first one, in seconds."""
    step: Fraction
    """Seconds from one to the next."""


@dataclass(slots=True)
class Period:
    """Segments `first` to before `until`. Times in microseconds are on the MPD's timeline."""

    generation: int
    first: int
    until: int
    start_us: int
    end_us: int
    """Of what is settled; the Period's own end once it is `over`."""
    zero: Fraction
    """Decode time in seconds at the Period's start, the same for all tracks."""
    captured_us: int
    """Its start on the timeline of captures, in microseconds."""
    representations: tuple[Representation, ...]
    runs: list[Run] = field(default_factory=list)
    over: bool = False
    _saved: list[list[Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.generation}-{self.first}"

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.representations}

    def at_us(self, seconds: Fraction) -> int:
        """Where this decode time lies on the MPD's timeline."""
        return self.start_us + round((seconds - self.zero) * 1_000_000)

    def by_capture(self) -> "Period":
        """The same on the timeline of captures."""
        return replace(self, start_us=self.captured_us, end_us=self.captured_us + self.end_us - self.start_us)

    def to_json(self) -> dict[str, Any]:
        # Made once: this is saved with every segment.
        self._saved = self._saved or [one.to_json() for one in self.representations]
        return {
            "generation": self.generation,
            "first": self.first,
            "until": self.until,
            "start_us": self.start_us,
            "end_us": self.end_us,
            "captured_us": self.captured_us,
            "zero": self.zero.as_integer_ratio(),
            "runs": [[run.first, *run.start.as_integer_ratio(), *run.step.as_integer_ratio()] for run in self.runs],
            "over": self.over,
            "representations": self._saved,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Period":
        return cls(
            generation=int(values["generation"]),
            first=int(values["first"]),
            until=int(values["until"]),
            start_us=int(values["start_us"]),
            end_us=int(values["end_us"]),
            zero=Fraction(*values["zero"]),
            captured_us=int(values.get("captured_us", values["start_us"])),
            representations=tuple(Representation.from_json(one) for one in values["representations"]),
            runs=[Run(first, Fraction(a, b), Fraction(c, d)) for first, a, b, c, d in values["runs"]],
            over=bool(values["over"]),
        )
