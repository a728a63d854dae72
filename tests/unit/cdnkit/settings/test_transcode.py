"""What may be written in `[[stream]]`, and what is said about what may not."""

import pytest
from pydantic import ValidationError

from cdnkit.settings.transcode import Stream


def test_defaults() -> None:
    assert Stream().model_dump(mode="json") == {
        "name": "live",
        "source": "testcard",
        "ladder": "auto",
        "encoder": "auto",
        "preset": "veryfast",
        "frame_rate": 30,
        "segment": "4s",
        "part": "500ms",
        "audio": "per-rung",
        "loop": True,
        "duration": None,
    }


GOOD = [
    ({"segment": "6s", "frame_rate": 25}, "gop_frames", 150),
    ({"segment": 3.84, "frame_rate": 25}, "gop_frames", 96),
    ({"audio": "128kbit"}, "shared_audio_bps", 128_000),
    ({"audio": "per-rung"}, "shared_audio_bps", None),
    ({"ladder": ["720p", "360p"]}, "ladder", ("720p", "360p")),
    ({"duration": "10s"}, "duration", 10.0),
]


@pytest.mark.parametrize(("given", "field", "then"), GOOD)
def test_read(given: dict[str, object], field: str, then: object) -> None:
    assert getattr(Stream(**given), field) == then


BAD = [
    ({"ladder": ["720"]}, "no rung '720'; wanted \"auto\" or a list of some of 2160p"),
    ({"ladder": []}, 'wanted "auto" or a list'),
    ({"ladder": "720p"}, 'wanted "auto" or a list'),
    ({"ladder": ["720p", "720p"]}, "wanted each rung once"),
    ({"segment": "4 parsecs"}, "wanted a duration"),
    ({"segment": "1010ms", "frame_rate": 25}, "25.25 frames; wanted a whole number"),
    ({"segment": "1s", "part": "2s"}, "wanted part <= segment"),
    ({"part": "1ms"}, "greater than or equal to 0.04"),
    ({"duration": "0s"}, "greater than 0"),
    ({"audio": "4Mbit"}, "from 16kbit to 512kbit"),
    ({"audio": "loud"}, "bit rate such as"),
    ({"name": "My Stream"}, "pattern"),
    ({"name": "../live"}, "pattern"),
    ({"encoder": "qsv"}, "'auto', 'nvenc' or 'x264'"),
    ({"frame_rate": 29.97}, "integer"),
    ({"source": ""}, "at least 1 character"),
    ({"bitrate": "4Mbit"}, "Extra inputs"),
]


@pytest.mark.parametrize(("given", "said"), BAD)
def test_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Stream(**given)
    assert said in str(refused.value)


def test_every_field_is_described() -> None:
    for name, described in Stream.model_json_schema()["properties"].items():
        assert described.get("description"), name
