"""What a manifest says of low latency (ISO/IEC 23009-1 5.3.9.5, 5.12, K.3.2; DASH-IF low-latency modes).

The manifest has number templates, and a timeline of its own: that of the program date-times, on which a segment is
available as soon as it is captured, or `availabilityTimeOffset` earlier with its first part. The other manifests have a
timeline that is later, so that they can list a segment before it counts as available.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from cdnkit.dash.xml import Xml
from origin.dash.period import Period, Representation
from origin.hls.playlist import date_time

LOW_LATENCY_MANIFEST = "manifest-low-latency.mpd"

_PARTS_BEHIND = 4
"""Between capture and playing: one more than in LL-HLS, whose players are told of each part. DASH goes by a clock."""
_RATES = ("0.96", "1.04")
"""Of playing, to come back to the latency: what livesim2 and ffmpeg write."""
_MOST_BEHIND_S = 10.0
_MOST_AHEAD_S = 0.5
"""An encoder whose frames take longer to come, or come before they are captured, has a clock that is wrong."""

Utc = tuple[str, str]
"""Scheme and value of UTCTiming."""


@dataclass(frozen=True, slots=True)
class LowLatencyDash:
    """Of one stream."""

    part: float
    """The part target in seconds."""
    utc: Utc
    from_us: int
    """availabilityStartTime in Unix microseconds."""

    def latency(self, periods: list[Period]) -> float:
        """Latency@target in seconds. Where encoders say when they captured, their own share comes on top."""
        behind = [
            behind_encoder(period, one, self.from_us) or 0.0 for period in periods for one in period.representations
        ]
        return _PARTS_BEHIND * self.part + ceil(10 * max(0.0, *behind) - 1e-6) / 10

    def describe(self, xml: Xml, latency: float) -> None:
        """How far behind the live edge players are to play, and how they come back to it."""
        target = round(1000 * latency)
        xml.open("ServiceDescription", id=0)
        xml.leaf("Latency", target=target, min=target * 3 // 4, max=2 * target, referenceId=0)
        xml.leaf("PlaybackRate", min=_RATES[0], max=_RATES[1])
        xml.close()

    def refer(self, xml: Xml, number: int, period: Period, one: Representation, scale: int) -> None:
        """Of a Representation: which wall-clock time its media belongs to, and where its bytes can be entered.

        The instant is the encoder's where it has told one, else that of the first fragment's arrival. `scale`: ticks a
        second of its template.
        """
        told = one.reference
        if told is not None and behind_encoder(period, one, self.from_us) is not None:
            wall, at, what, inband = told.wall, Fraction(told.media, one.track.timescale), told.what, "true"
        else:
            wall, at, what, inband = (self.from_us + period.start_us) / 1_000_000, period.zero, "encoder", None
        xml.open(
            "ProducerReferenceTime",
            id=number,
            inband=inband,
            type=what,
            wallClockTime=date_time(wall),
            presentationTime=round(at * scale),
        )
        xml.leaf("UTCTiming", schemeIdUri=self.utc[0], value=self.utc[1])
        xml.close()
        if one.growing:
            xml.leaf("Resync", type=0, dT=round(Fraction(self.part) * scale))

    def offset(self, one: Representation, step: Fraction) -> dict[str, str]:
        """Attributes of its template, for segments of `step` seconds: when a segment's first part is there."""
        earlier = float(step) - self.part
        if not one.growing or earlier <= 0:
            return {}
        return {"availabilityTimeOffset": f"{earlier:.3f}", "availabilityTimeComplete": "false"}


def behind_encoder(period: Period, one: Representation, from_us: int) -> float | None:
    """Seconds from what the encoder calls an instant to what the Period does; None: it says nothing that can be so."""
    if one.reference is None:
        return None
    at_us = from_us + period.at_us(Fraction(one.reference.media, one.track.timescale))
    behind = at_us / 1_000_000 - one.reference.wall
    return behind if -_MOST_AHEAD_S <= behind <= _MOST_BEHIND_S else None
