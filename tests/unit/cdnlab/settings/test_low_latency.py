"""What `[origin] part` asks of the rest of a settings file, and the rules for media of a file that has none."""

from pathlib import Path

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.key import cache_key
from cdnkit.vendors import PROFILES
from cdnlab.errors import BadDocument
from cdnlab.settings.document import Document, parse
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS

NODE = '[[node]]\nname = "fra"\n'
ADDED_BY_PLAYERS = (
    "_HLS_interstitial_id=ad-1",
    "_HLS_start_offset=4.5",
    "_HLS_pathway=%22fra%22",
    "_DASH_pathway=%22fra%22",
    "_DASH_throughput=5000000",
)
STREAM = '[[stream]]\nsource = "testcard"\nsegment = "6s"\n'


def read(text: str) -> Document:
    return parse(text, file="cdn.toml", folder=Path("/"), environ={}).document


def key(path: str, query: str, behavior: Behavior, profile: str) -> str:
    request = RequestHead("GET", "http", "a", path, query, Headers([("host", "a")]))
    return cache_key(request, resolve(behavior, PROFILES[profile]))


@pytest.mark.parametrize("profile", ["rfc9111", "cloudfront", "fastly"])
@pytest.mark.parametrize("behavior", MEDIA_BEHAVIORS, ids=lambda one: one.path)
def test_what_differs_by_viewer_is_not_in_the_key_and_what_differs_by_response_is(
    behavior: Behavior, profile: str
) -> None:
    path, ours = "/live/720p/media.m3u8", "_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"
    plain = key(path, ours, behavior, profile)
    for more in ("CMCD=bl%3D1", "_HLS_primary_id=42", "_HLS_throughput=5000000", *ADDED_BY_PLAYERS):
        assert key(path, f"{more}&{ours}", behavior, profile) == key(path, f"{ours}&{more}", behavior, profile) == plain
    others = ["_HLS_msn=8&_HLS_part=2&_HLS_skip=YES", "_HLS_msn=7&_HLS_part=3&_HLS_skip=YES", "_HLS_msn=7&_HLS_part=2"]
    assert len({plain, *(key(path, one, behavior, profile) for one in others)}) == 4


def test_a_file_without_behaviors_has_those_for_media() -> None:
    assert read(NODE).behaviors == MEDIA_BEHAVIORS
    assert [one.path for one in read(f'{NODE}[[behavior]]\npath = "/a"\n').behaviors] == ["/a"]


def test_encoders_make_fragments_of_the_part_target() -> None:
    text = STREAM + NODE + '[origin]\npart = "333ms"\n'
    assert read(text).streams[0].part == pytest.approx(0.333)
    assert read(text.replace("segment", 'part = "1s"\nsegment')).streams[0].part == 1.0
    assert read(STREAM + NODE).streams[0].part == 0.5, "as ever"


@pytest.mark.parametrize(
    ("text", "then"),
    [
        (STREAM + NODE, None),
        (STREAM + NODE + '[origin]\npart = "500ms"\n', 20.0),  # three target durations of 6 s, and two seconds
        (STREAM.replace("6s", "4s") + NODE + '[origin]\npart = "500ms"\n', None),  # the profile's 15 s are enough
        ('profile = "cloudfront"\n' + STREAM + NODE + '[origin]\npart = "500ms"\n', None),  # 30 s
        (STREAM + NODE + 'timeouts = { first_byte = "25s" }\n[origin]\npart = "500ms"\n', 25.0),
    ],
)
def test_nodes_wait_longer_than_the_origin_holds_a_request(text: str, then: float | None) -> None:
    assert read(text).nodes[0].timeouts.first_byte == then


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            STREAM + NODE + 'timeouts = { first_byte = "18s" }\n[origin]\npart = "500ms"\n',
            "node[0].timeouts.first_byte: found 18s, wanted more than 18s",
        ),
        (STREAM.replace("6s", "1s") + NODE + '[origin]\npart = "1500ms"\n', "origin.part: found 1500ms, wanted at most a segment (1s)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_complaint(text: str, complaint: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read(text)
    assert complaint in str(caught.value).replace("'", "").replace('"', "")
