"""Players of others, in an unmodified Chromium, play what an edge behind a shield gives them. `make players` installs them.

Each plays for 20 s at its own defaults, goes up a rung and down again. A flash and a beep are in step by the media clock of
the browser; when a screen shows a picture is the browser's own affair, and a headless one is a picture late by chance.
"""

import statistics
from typing import Any

import pytest

from tests.kit.late import Late, again
from tests.outside.players.browser import BROWSER, STALL_S, opened, stood_still
from tests.outside.players.stage import HEIGHTS, LATE_S, SEGMENT, Stage

LOW, HIGH = HEIGHTS

pytestmark = BROWSER

SECONDS = 20
AUDIO_FRAME_S = 1024 / 48_000 + 1e-5  # times in a page are rounded to microseconds
IN_STEP_S = 0.015
"""Well under the 21 ms of an audio frame and the 40 ms that a viewer notices; mostly 2 ms are found."""

UP_AND_DOWN = [LOW, HIGH, LOW]
UP = [LOW, HIGH]
"""Video.js and dash.js play what they have loaded before they go down, and of what is stored they load half a minute."""

ROWS = [  # player, what, protocol, heights of the pictures, seconds by which sound is behind
    ("hls.js", "VOD", "HLS", UP_AND_DOWN, 0.0),
    ("hls.js", "VOD in single files", "HLS", UP_AND_DOWN, 0.0),
    ("hls.js", "ended", "HLS", UP_AND_DOWN, 0.0),
    ("hls.js", "live", "HLS", UP_AND_DOWN, 0.0),
    ("shaka", "VOD", "HLS", UP_AND_DOWN, 0.0),
    ("shaka", "VOD", "DASH", UP_AND_DOWN, 0.0),
    ("shaka", "VOD in single files", "HLS", UP_AND_DOWN, 0.0),
    ("shaka", "VOD in single files", "DASH", UP_AND_DOWN, 0.0),
    ("shaka", "live", "HLS", UP_AND_DOWN, 0.0),
    ("shaka", "ended", "DASH", UP_AND_DOWN, 0.0),
    ("shaka", "live", "DASH", UP_AND_DOWN, 0.0),
    ("shaka", "live", "DASH by numbers", UP_AND_DOWN, 0.0),
    ("hls.js", "AES-128", "HLS", UP_AND_DOWN, 0.0),
    ("shaka", "AES-128", "HLS", UP_AND_DOWN, 0.0),
    ("shaka", "cbcs", "HLS", UP_AND_DOWN, 0.0),
    ("video.js", "VOD", "HLS", UP, 0.0),
    ("video.js", "VOD", "DASH", UP, 0.0),
    ("video.js", "VOD in single files", "HLS", UP, 0.0),
    ("video.js", "VOD in single files", "DASH", UP, 0.0),
    ("video.js", "live", "HLS", UP_AND_DOWN, 0.0),
    ("video.js", "ended", "DASH", UP, 0.0),
    ("video.js", "live", "DASH", UP_AND_DOWN, 0.0),
    ("video.js", "live", "DASH by numbers", UP_AND_DOWN, 0.0),
    ("dash.js", "VOD", "DASH", UP, 0.0),
    ("dash.js", "VOD in single files", "DASH", UP, 0.0),
    ("dash.js", "ended", "DASH", UP, 0.0),
    ("dash.js", "live", "DASH", UP_AND_DOWN, 0.0),
    ("dash.js", "live", "DASH by numbers", UP_AND_DOWN, 0.0),
]


def watched(stage: Stage, player: str, kind: str, protocol: str, *, heights: list[int], seconds: int) -> dict[str, Any]:
    """What the page told: see `watch.js`."""
    return opened(f"{stage.pages}/{player}", "watch", player, stage.url(kind, protocol), heights, seconds)


def behind(told: dict[str, Any]) -> float:
    """Seconds by which the beeps are behind the flashes: the middle one, since a picture may be dropped."""
    distances = [min((beep - flash for flash in told["flashes"]), key=abs) for beep in told["beeps"]]
    return statistics.median(distances)


@pytest.mark.parametrize(
    ("player", "kind", "protocol", "heights", "late"), ROWS, ids=[" ".join(row[:3]) for row in ROWS]
)
def test_a_player_plays(stage: Stage, player: str, kind: str, protocol: str, heights: list[int], late: float) -> None:
    def attempt() -> None:
        told = watched(stage, player, kind, protocol, heights=UP_AND_DOWN, seconds=SECONDS)
        assert told["fatal"] == []
        # Sound is cut at the frame nearest to the picture's cut. A player may begin the one a segment before the other.
        apart = told["firstTimes"]["audio"] - told["firstTimes"]["video"]
        assert abs(apart - SEGMENT * round(apart / SEGMENT)) <= AUDIO_FRAME_S
        samples = told["samples"]
        # Bounds on waiting, in the seconds of this machine: a busy one is asked again, and what is ours comes again.
        stood, played = stood_still(samples), samples[-1][1] - samples[0][1]
        if told["seen"] != heights or stood >= STALL_S or abs(played - SECONDS) > SECONDS / 10:
            raise Late(f"{told['seen']}, stood still for {stood} s, {played} s played: {told['waits']}")
        assert len(told["beeps"]) >= SECONDS - 3
        if kind == "cbcs":
            return  # a browser shows nobody's script the pictures of protected media
        assert len(told["flashes"]) >= SECONDS - 3
        assert behind(told) == pytest.approx(late, abs=IN_STEP_S)

    again(attempt)


@pytest.mark.parametrize(("kind", "late"), [("file", 0.0), ("file late", LATE_S)])
def test_the_measurement_itself(stage: Stage, kind: str, late: float) -> None:
    """A whole file, played by the browser: a sound that is late is found to be."""
    told = watched(stage, "browser", kind, "MP4", heights=[HIGH], seconds=6)
    assert told["fatal"] == []
    assert behind(told) == pytest.approx(late, abs=IN_STEP_S)
