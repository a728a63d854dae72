"""Manifests by npm's mpd-parser, which Video.js reads DASH with. `make manifests` installs and runs it."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from origin.dash.low_latency import LOW_LATENCY_MANIFEST
from origin.dash.mpd import MANIFEST, NUMBER_MANIFEST
from origin.live.session import State
from tests.unit.origin.dash import test_low_latency
from tests.unit.origin.dash.test_presentation import TRACKS, Lab

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or not (HERE / "node_modules").is_dir(), reason="`make manifests` installs it"
    ),
]


def read(lab: Lab, name: str) -> dict[str, Any]:
    command = ["node", "read.mjs", f"http://edge/live/{name}", str(lab.now * 1000)]
    text = lab.watches[name].text
    done = subprocess.run(command, cwd=HERE, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_segment_is_where_we_say_behind_a_break() -> None:
    """An encoder that began anew: what the reader would fetch is what our own reader finds."""
    lab = Lab()
    lab.start(*TRACKS, at=Fraction(100))
    lab.run(7)
    lab.finish_all(State.BROKEN)
    lab.start(*TRACKS, at=Fraction(3))
    lab.run(7)
    for ended in (False, True):
        found = read(lab, MANIFEST)
        periods = lab.mpd().periods
        for track in found["tracks"][:2]:
            listed = [s.url for one in periods for r in one.representations if r.id == track["id"] for s in r.segments]
            assert track["urls"] == [f"http://edge/live/{url}" for url in listed]
            assert len(track["breaks"]) == 1
        assert len(found["tracks"]) == 3
        assert (found["clock"] is None) is ended
        if not ended:
            assert (found["clock"]["value"], found["clock"]["method"]) == ("time", "GET")
            lab.finish_all(State.ENDED)
            lab.poll()


def test_number_templates_name_what_a_timeline_lists() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(9)
    timed = {url for track in read(lab, MANIFEST)["tracks"] for url in track["urls"]}
    named = {url for track in read(lab, NUMBER_MANIFEST)["tracks"] for url in track["urls"]}
    assert named <= timed, "a segment is listed before it is available"
    assert len(named) >= 2 * len(TRACKS)


def test_low_latency_names_the_segments_that_have_begun() -> None:
    """The reader knows no offset: it names what is complete on the timeline of captures, and nothing that is not there."""
    lab = test_low_latency.Lab()
    lab.start(*TRACKS)
    lab.run(9.5)
    listed = {f"http://edge/live/{w.name}/{one.name}" for w in lab.stream.windows.values() for one in w.listed}
    found = read(lab, LOW_LATENCY_MANIFEST)
    named = {url for track in found["tracks"] for url in track["urls"]}
    assert named <= listed and len(named) >= 2 * len(TRACKS)
    assert found["clock"]["value"] == "time"
