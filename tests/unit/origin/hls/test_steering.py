"""Content steering (HLS draft -22, 4.4.6.6; its manifest; ETSI TS 103 998): what players are told, to the letter."""

import json
import re
from typing import Any

import pytest

from cdnkit.settings.steering import MOST_PATHWAYS
from cdnkit.settings.steering import Steering as Settings
from origin.errors import Refused
from origin.hls.steering import Steering, steering_of
from origin.mpegts.playlists import named_in

FRA, NYC = "http://127.0.0.1:8081", "https://nyc.example.com"
CHOSEN = Settings(pathways={"fra": FRA, "nyc": NYC}, ttl=30.0)

PLAYLIST = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="English",URI="audio-64k/media.m3u8"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="CC1",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=900,CODECS="avc1,mp4a",AUDIO="audio",CLOSED-CAPTIONS="captions"
720p/media.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100,URI="720p/iframes.m3u8"
"""

STEERED = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="CC1",INSTREAM-ID="CC1"
#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="nyc"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-nyc",NAME="English",URI="https://nyc.example.com/live/audio-64k/media.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900,CODECS="avc1,mp4a",AUDIO="audio-nyc",CLOSED-CAPTIONS="captions",PATHWAY-ID="nyc"
https://nyc.example.com/live/720p/media.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100,URI="https://nyc.example.com/live/720p/iframes.m3u8",PATHWAY-ID="nyc"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-fra",NAME="English",URI="http://127.0.0.1:8081/live/audio-64k/media.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900,CODECS="avc1,mp4a",AUDIO="audio-fra",CLOSED-CAPTIONS="captions",PATHWAY-ID="fra"
http://127.0.0.1:8081/live/720p/media.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100,URI="http://127.0.0.1:8081/live/720p/iframes.m3u8",PATHWAY-ID="fra"
"""


def test_a_multivariant_playlist_has_every_pathway_the_preferred_one_first() -> None:
    """Each with rendition groups of its own, whose URIs are of the same pathway. A drained one is listed still."""
    drained = steering_of(CHOSEN, {"PATHWAY-PRIORITY": ["nyc"]})
    assert drained.steered(PLAYLIST, "live") == STEERED
    assert named_in(STEERED) == named_in(PLAYLIST) == {"720p", "audio-64k"}, "MPEG-TS offers the same tracks"


def test_the_manifest_says_where_to_go_and_whom_to_ask_next() -> None:
    """An edge that is drained may be switched off: players ask the other one."""
    assert json.loads(steering_of(CHOSEN, {}).manifest("live")) == {
        "VERSION": 1,
        "TTL": 30,
        "RELOAD-URI": f"{FRA}/live/steering.json",
        "PATHWAY-PRIORITY": ["fra", "nyc"],
    }
    moved = json.loads(steering_of(CHOSEN, {"PATHWAY-PRIORITY": ["nyc", "fra"], "TTL": 5}).manifest("live"))
    assert (moved["RELOAD-URI"], moved["TTL"]) == (f"{NYC}/live/steering.json", 5)
    assert steering_of(Settings(pathways=CHOSEN.pathways, priority=("nyc",)), {}).priority == ("nyc",)


def test_a_pathway_that_is_added_is_a_clone_for_those_who_have_the_playlist_already() -> None:
    """Strangers': hls.js lost a clone where the playlist had a single pathway; here new playlists list it in full."""
    order = {"PATHWAYS": {"ams": "https://ams.example.com:8443/"}, "PATHWAY-PRIORITY": ["ams", "fra"]}
    steering = steering_of(CHOSEN, order)
    assert json.loads(steering.manifest("live"))["PATHWAY-CLONES"] == [
        {"BASE-ID": "nyc", "ID": "ams", "URI-REPLACEMENT": {"HOST": "ams.example.com:8443"}}
    ], "of the one with its scheme: the host alone is replaced"
    playlist = steering.steered(PLAYLIST, "live")
    assert re.findall(r'STREAM-INF.*PATHWAY-ID="([^"]*)"', playlist)[::2] == ["ams", "fra", "nyc"]
    assert "https://ams.example.com:8443/live/720p/media.m3u8" in playlist


@pytest.mark.parametrize(("ttl", "lifetime"), [(1, 1.0), (3, 1.0), (30, 15.0), (3600, 1800.0)])
def test_caches_have_the_manifest_for_half_its_ttl(ttl: int, lifetime: float) -> None:
    assert Steering({"a": FRA}, ("a",), ttl).lifetime == lifetime


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"PRIORITY": ["fra"]}, 400, "PRIORITY: "),
    ({"PATHWAY-PRIORITY": []}, 400, "PATHWAY-PRIORITY: "),
    ({"PATHWAY-PRIORITY": "fra"}, 400, "PATHWAY-PRIORITY: "),
    ({"PATHWAY-PRIORITY": ["fra", "lon"]}, 400, "PATHWAY-PRIORITY: "),
    ({"PATHWAY-PRIORITY": ["fra", "fra"]}, 400, "PATHWAY-PRIORITY: "),
    ({"PATHWAY-PRIORITY": [["fra"]]}, 400, "PATHWAY-PRIORITY: "),
    ({"TTL": 0}, 400, "TTL: "),
    ({"TTL": 3601}, 400, "TTL: "),
    ({"TTL": 1.5}, 400, "TTL: "),
    ({"TTL": True}, 400, "TTL: "),
    ({"PATHWAYS": []}, 400, "PATHWAYS: "),
    ({"PATHWAYS": {"a b": NYC}}, 400, "PATHWAYS: "),
    ({"PATHWAYS": {"fra": NYC}}, 409, "PATHWAYS.fra: "),
    ({"PATHWAYS": {"ams": "ams.example.com"}}, 400, "PATHWAYS.ams: "),
    ({"PATHWAYS": {"ams": "https://user@ams.example.com"}}, 400, "PATHWAYS.ams: "),
    ({"PATHWAYS": {"ams": "https://ams.example.com/cdn"}}, 400, "PATHWAYS.ams: "),
    ({"PATHWAYS": {"ams": "https://ams.example.com\n#EXT-X-ENDLIST"}}, 400, "PATHWAYS.ams: "),
    ({"PATHWAYS": {"ams": 1}}, 400, "PATHWAYS.ams: "),
    ({"PATHWAYS": {f"p{n}": NYC for n in range(MOST_PATHWAYS)}}, 429, "PATHWAYS: "),
]


@pytest.mark.parametrize(("order", "status", "where"), REFUSED)
def test_an_order_that_cannot_be_is_refused_by_name(order: dict[str, Any], status: int, where: str) -> None:
    with pytest.raises(Refused) as refused:
        steering_of(CHOSEN, order)
    assert refused.value.status == status
    assert str(refused.value).startswith(where)
    assert "found" in str(refused.value)
    assert "wanted" in str(refused.value)


def test_an_added_pathway_has_a_scheme_that_a_clone_can_have() -> None:
    with pytest.raises(Refused, match="wanted http, as in the settings"):
        steering_of(Settings(pathways={"fra": FRA}), {"PATHWAYS": {"ams": "https://ams.example.com"}})
