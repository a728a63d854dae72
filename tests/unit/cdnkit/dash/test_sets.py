"""Which Representations a player may switch between, and what an AdaptationSet says of them."""

from dataclasses import replace

import pytest

from cdnkit.dash import sets
from cdnkit.dash.sets import Representation, adaptation_sets, duration
from cdnkit.dash.xml import Xml

VIDEO = Representation("720p", "video", "avc1.64001f", 2_500_000, width=1280, height=720, frame_rate=29.97002997)
SMALL = replace(VIDEO, id="360p", codec="avc1.64001e", width=640, height=360)
AUDIO = Representation("audio-128k", "audio", "mp4a.40.2", 128_000, sample_rate=48_000, channels=2)

SETS = [  # Representations, ids of each set
    ([AUDIO, SMALL, VIDEO], ["720p 360p", "audio-128k"]),
    ([AUDIO, replace(AUDIO, id="b", rate_bps=64_000)], ["audio-128k b"]),
    # a player that switches must not change what is heard
    ([replace(AUDIO, language="en"), replace(AUDIO, id="b", language="de")], ["b", "audio-128k"]),
    ([replace(AUDIO, role="commentary"), replace(AUDIO, id="b", role="main")], ["b", "audio-128k"]),
    ([replace(AUDIO, label="Anna"), replace(AUDIO, id="b", label="Bert")], ["audio-128k", "b"]),
    ([AUDIO, replace(AUDIO, id="b", channels=6)], ["audio-128k", "b"]),
    ([AUDIO, replace(AUDIO, id="b", codec="ac-3")], ["b", "audio-128k"]),
    ([VIDEO, replace(VIDEO, id="b", codec="hvc1.1.6.L93.B0")], ["720p", "b"]),
]


@pytest.mark.parametrize(("ones", "wanted"), SETS)
def test_what_a_player_may_switch_between(ones: list[Representation], wanted: list[str]) -> None:
    assert [" ".join(one.id for one in members) for members in adaptation_sets(ones)] == wanted


def written(one: Representation, *, indexed: bool = False) -> str:
    xml = Xml()
    sets.open_set(xml, 1, [one], indexed=indexed)
    sets.open_representation(xml, one)
    xml.close()
    xml.close()
    return xml.text()


def test_what_a_set_and_a_representation_say() -> None:
    assert 'frameRate="30000/1001"' in written(VIDEO) and 'startWithSAP="1"' in written(VIDEO)
    named = written(replace(AUDIO, language="en", label="R & D", role="commentary"))
    assert 'lang="en" mimeType="audio/mp4"' in named
    assert named.index("<Label>R &amp; D</Label>") < named.index(
        '<Role schemeIdUri="urn:mpeg:dash:role:2011" value="commentary"/>'
    ), "the order of the schema"
    assert 'subsegmentAlignment="true" subsegmentStartsWithSAP="1"' in written(VIDEO, indexed=True)
    assert 'mimeType="application/mp4"' in written(Representation("t", "text", "wvtt", 100))


@pytest.mark.parametrize(
    ("us", "text"), [(0, "PT0S"), (10, "PT0.00001S"), (60_000_000, "PT60S"), (7_040_000, "PT7.04S")]
)
def test_a_duration_is_exact(us: int, text: str) -> None:
    assert duration(us) == text
