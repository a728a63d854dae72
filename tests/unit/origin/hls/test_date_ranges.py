"""EXT-X-DATERANGE (HLS draft -22, 4.4.5.1) and its interstitials (appendix D): what a request has, and the tag or refusal.

A row a rule; those marked "strangers'" are of public reports.
"""

import json
from typing import Any

import pytest

from origin.errors import Refused
from origin.hls.date_ranges import DateRange, changed, ends

NOW = 1_790_000_000.25
BEGINS = 'START-DATE="2026-09-21T14:13:20.250Z"'
AT = "2026-09-21T14:13:30Z"
AD = "https://ads.example.com/1/multivariant.m3u8"
BREAK = {"CLASS": "com.apple.hls.interstitial", "START-DATE": AT}
ASSETS = [{"URI": AD, "DURATION": 15}, {"URI": "http://127.0.0.1:8081/vod/b/multivariant.m3u8", "DURATION": 10.5}]


def made(values: dict[str, Any], before: DateRange | None = None, id: str = "ad-1", now: float = NOW) -> DateRange:
    return changed(id, before, values, now)


TAGS = [  # what a request has, then the tag behind its ID
    ({}, BEGINS),  # from now on
    ({"ID": "ad-1", "DURATION": 0}, f"{BEGINS},DURATION=0"),
    ({"START-DATE": AT}, 'START-DATE="2026-09-21T14:13:30.000Z"'),
    ({"START-DATE": "2026-09-21T16:13:30.5+02:00"}, 'START-DATE="2026-09-21T14:13:30.500Z"'),
    ({"DURATION": 30, "CLASS": "com.example.x"}, f'CLASS="com.example.x",{BEGINS},DURATION=30'),  # in one order
    ({"PLANNED-DURATION": 59.993}, f"{BEGINS},PLANNED-DURATION=59.993"),
    ({"START-DATE": AT, "END-DATE": "2026-09-21T14:13:45.000Z", "DURATION": 15.0},
     'START-DATE="2026-09-21T14:13:30.000Z",END-DATE="2026-09-21T14:13:45.000Z",DURATION=15'),
    ({"CLASS": "a", "END-ON-NEXT": "YES"}, f'CLASS="a",{BEGINS},END-ON-NEXT=YES'),
    ({"CUE": "PRE,ONCE"}, f'{BEGINS},CUE="PRE,ONCE"'),
    ({"CUE": ["POST"]}, f'{BEGINS},CUE="POST"'),
    ({"SCTE35-OUT": "0xfc002f00"}, f"{BEGINS},SCTE35-OUT=0xFC002F00"),
    ({"X-COM-EXAMPLE-A": "b, c=d"}, f'{BEGINS},X-COM-EXAMPLE-A="b, c=d"'),
    ({"X-COM-EXAMPLE-A": -1.5}, f"{BEGINS},X-COM-EXAMPLE-A=-1.5"),
    ({"X-COM-EXAMPLE-A": "0xab"}, f"{BEGINS},X-COM-EXAMPLE-A=0xAB"),
    ({"X-ASSET-LIST": "of another class"}, f'{BEGINS},X-ASSET-LIST="of another class"'),
]  # fmt: skip


@pytest.mark.parametrize(("values", "tag"), TAGS)
def test_4_4_5_1_a_tag_to_the_letter(values: dict[str, Any], tag: str) -> None:
    assert made(values).line == f'#EXT-X-DATERANGE:ID="ad-1",{tag}'


INTERSTITIALS = [  # attributes beside CLASS and START-DATE, then the rest of the tag
    ({"X-ASSET-URI": AD}, f'X-ASSET-URI="{AD}?_HLS_interstitial_id=ad-1"'),
    ({"X-ASSET-URI": f"{AD}?a=b#c"}, f'X-ASSET-URI="{AD}?a=b&_HLS_interstitial_id=ad-1#c"'),
    ({"X-ASSET-URI": f"{AD}?_HLS_interstitial_id=9"}, f'X-ASSET-URI="{AD}?_HLS_interstitial_id=9"'),  # theirs
    ({"X-ASSET-LIST": "/decide?break=1"}, 'X-ASSET-LIST="/decide?break=1&_HLS_interstitial_id=ad-1"'),
    ({"X-ASSET-LIST": {"ASSETS": ASSETS}},
     'X-ASSET-LIST="../asset-list-ad-1.json?_HLS_interstitial_id=ad-1",DURATION=25.5'),  # that of its assets
    ({"X-ASSET-LIST": ASSETS, "DURATION": 30},
     'X-ASSET-LIST="../asset-list-ad-1.json?_HLS_interstitial_id=ad-1",DURATION=30'),
    ({"X-ASSET-LIST": []}, 'X-ASSET-LIST="../asset-list-ad-1.json?_HLS_interstitial_id=ad-1"'),  # nothing to play (D.5)
    ({"X-ASSET-LIST": ASSETS, "CUE": "PRE"},  # it is for all who begin: it has no end in the stream
     'X-ASSET-LIST="../asset-list-ad-1.json?_HLS_interstitial_id=ad-1",CUE="PRE",PLANNED-DURATION=25.5'),
    ({"X-ASSET-URI": AD, "X-RESUME-OFFSET": 0, "X-PLAYOUT-LIMIT": 30.5, "X-SNAP": "OUT,IN", "X-RESTRICT": ["SKIP"],
      "X-CONTENT-MAY-VARY": "NO", "X-TIMELINE-OCCUPIES": "RANGE", "X-TIMELINE-STYLE": "PRIMARY",
      "X-SKIP-CONTROL-OFFSET": 5, "X-SKIP-CONTROL-LABEL-ID": "Exit-Label", "X-COM-EXAMPLE-BEACON": 123},
     f'X-ASSET-URI="{AD}?_HLS_interstitial_id=ad-1",X-RESUME-OFFSET=0,X-PLAYOUT-LIMIT=30.5,X-SNAP="OUT,IN",'
     'X-RESTRICT="SKIP",X-CONTENT-MAY-VARY="NO",X-TIMELINE-OCCUPIES="RANGE",X-TIMELINE-STYLE="PRIMARY",'
     'X-SKIP-CONTROL-OFFSET=5,X-SKIP-CONTROL-LABEL-ID="Exit-Label",X-COM-EXAMPLE-BEACON=123'),
]  # fmt: skip


@pytest.mark.parametrize(("values", "tag"), INTERSTITIALS)
def test_d_2_an_interstitial_to_the_letter(values: dict[str, Any], tag: str) -> None:
    front = '#EXT-X-DATERANGE:ID="ad-1",CLASS="com.apple.hls.interstitial",START-DATE="2026-09-21T14:13:30.000Z"'
    assert made({**BREAK, **values}).line == f"{front},{tag}"


REFUSED = [  # what a request has, status, the attribute or word that the text begins with
    ({"ID": "ad-2"}, 400, "ID: "),
    ({"START-DATE": "2026-09-21T14:13:30"}, 400, "START-DATE: "),  # without a zone it is anybody's guess
    ({"START-DATE": "2026-09-21"}, 400, "START-DATE: "),
    ({"START-DATE": "now"}, 400, "START-DATE: "),
    ({"START-DATE": 1_790_000_000}, 400, "START-DATE: "),
    ({"START-DATE": "9999-09-21T14:13:30Z"}, 400, "START-DATE: "),
    ({"START-DATE": "0001-01-01T00:00:00+14:00"}, 400, "START-DATE: "),
    ({"DURATION": -1}, 400, "DURATION: "),
    ({"DURATION": "15"}, 400, "DURATION: "),
    ({"DURATION": True}, 400, "DURATION: "),
    ({"DURATION": float("nan")}, 400, "DURATION: "),
    ({"DURATION": 1e300}, 400, "DURATION: "),
    ({"DURATION": 10**400}, 400, "DURATION: "),
    ({"PLANNED-DURATION": None}, 400, "PLANNED-DURATION: "),
    ({"START-DATE": AT, "END-DATE": "2026-09-21T14:13:29Z"}, 400, "END-DATE: "),
    ({"START-DATE": AT, "END-DATE": "2026-09-21T14:13:45Z", "DURATION": 14}, 400, "END-DATE: "),
    ({"END-ON-NEXT": "YES"}, 400, "END-ON-NEXT: "),  # without a CLASS
    ({"CLASS": "a", "END-ON-NEXT": "YES", "DURATION": 1}, 400, "END-ON-NEXT: "),
    ({"CLASS": "a", "END-ON-NEXT": "NO"}, 400, "END-ON-NEXT: "),
    ({"CUE": "PRE,POST"}, 400, "CUE: "),
    ({"CUE": "DURING"}, 400, "CUE: "),
    ({"CUE": []}, 400, "CUE: "),
    ({"CUE": [["PRE"]]}, 400, "CUE: "),
    ({"SCTE35-CMD": "FC002F00"}, 400, "SCTE35-CMD: "),
    ({"SCTE35-CMD": "0xFC0"}, 400, "SCTE35-CMD: "),
    ({"SCTE35-CMD": "/DAvAAAA"}, 400, "SCTE35-CMD: "),
    ({"SCTE35-CMD": "0x" + "FC" * 3000}, 413, "ad-1: "),
    ({"X-A": 'a"b'}, 400, "X-A: "),
    ({"X-A": "a\n#EXT-X-ENDLIST"}, 400, "X-A: "),
    ({"X-A": "a\u2028b"}, 400, "X-A: "),
    ({"X-A": {}}, 400, "X-A: "),
    ({"X-a": 1}, 400, "X-a: "),
    ({"URI": "a"}, 400, "URI: "),
    ({"DURATON": 1}, 400, "DURATON: "),
    (BREAK, 400, "found neither"),
    ({**BREAK, "X-ASSET-URI": AD, "X-ASSET-LIST": AD}, 400, "found X-ASSET-URI and X-ASSET-LIST"),
    ({**BREAK, "X-ASSET-URI": "/vod/ad/multivariant.m3u8"}, 400, "X-ASSET-URI: "),  # absolute
    ({**BREAK, "X-ASSET-URI": "file:///etc/passwd"}, 400, "X-ASSET-URI: "),
    ({**BREAK, "X-ASSET-URI": "http://[::1/a"}, 400, "X-ASSET-URI: "),
    ({**BREAK, "X-ASSET-URI": f"{AD}?{'a' * 2100}"}, 400, "X-ASSET-URI: "),
    ({**BREAK, "X-ASSET-LIST": {"ASSETS": "a"}}, 400, "X-ASSET-LIST: "),
    ({**BREAK, "X-ASSET-LIST": {"Assets": ASSETS}}, 400, "X-ASSET-LIST: "),  # "keys in a JSON object are case-sensitive"
    ({**BREAK, "X-ASSET-LIST": [{"URI": AD}]}, 400, "ASSETS[0]: "),
    ({**BREAK, "X-ASSET-LIST": [ASSETS[0], {"URI": "ad.m3u8", "DURATION": 1}]}, 400, "ASSETS[1].URI: "),
    ({**BREAK, "X-ASSET-LIST": [{"URI": AD, "DURATION": -1}]}, 400, "ASSETS[0].DURATION: "),
    ({**BREAK, "X-ASSET-LIST": {"ASSETS": [], "SKIP-CONTROL": {"OFFSET": 1.5}}}, 400, "SKIP-CONTROL.OFFSET: "),
    ({**BREAK, "X-ASSET-LIST": ASSETS * 33}, 413, "X-ASSET-LIST: "),
    ({**BREAK, "X-ASSET-URI": AD, "X-SNAP": "BOTH"}, 400, "X-SNAP: "),
    ({**BREAK, "X-ASSET-URI": AD, "X-TIMELINE-STYLE": "highlight"}, 400, "X-TIMELINE-STYLE: "),
    ({**BREAK, "X-ASSET-URI": AD, "X-SKIP-CONTROL-OFFSET": 1.5}, 400, "X-SKIP-CONTROL-OFFSET: "),
    ({**BREAK, "X-ASSET-URI": AD, "X-SKIP-CONTROL-LABEL-ID": "a b"}, 400, "X-SKIP-CONTROL-LABEL-ID: "),
]  # fmt: skip


@pytest.mark.parametrize(("values", "status", "where"), REFUSED)
def test_what_the_draft_does_not_allow_is_refused_by_name(values: dict[str, Any], status: int, where: str) -> None:
    with pytest.raises(Refused) as refused:
        made(values)
    assert refused.value.status == status
    assert str(refused.value).startswith(where)
    assert "wanted" in str(refused.value)


@pytest.mark.parametrize("id", ["", ".", "..", "-a", "a/b", "a b", 'a"', "ä", "a" * 65])
def test_an_id_can_stand_in_a_path(id: str) -> None:
    with pytest.raises(Refused):
        made({}, id=id)


def test_4_4_5_1_a_date_range_gets_more_attributes_and_keeps_those_it_has() -> None:
    """The draft's example 9.10. Strangers': packagers change START-DATE or DURATION of what players know; ExoPlayer fails
    on a second tag of an ID that has no START-DATE, so there is one tag with all."""
    out = made({"START-DATE": AT, "PLANNED-DURATION": 59.993, "SCTE35-OUT": "0xFC002F"})
    back = made({"DURATION": 59.993, "SCTE35-IN": "0xFC002A"}, out, now=NOW + 60)
    assert back.line == f"{out.line},DURATION=59.993,SCTE35-IN=0xFC002A"
    assert (out.added_at, back.added_at) == (NOW, NOW + 60), "what is new of it is new to players"
    again = made({"START-DATE": "2026-09-21T16:13:30+02:00", "DURATION": 59.9930}, back, now=NOW + 70)
    assert again == back, "the same values, however they are written"
    for other in ({"START-DATE": "2026-09-21T14:13:31Z"}, {"DURATION": 60}, {"SCTE35-IN": "0xFC002B"}):
        with pytest.raises(Refused) as refused:
            made(other, back)
        assert refused.value.status == 409
    with pytest.raises(Refused, match="END-DATE"):
        made({"END-DATE": AT}, back)


def test_d_2_the_assets_of_a_list_may_change_until_they_are_played() -> None:
    first = made({**BREAK, "X-ASSET-LIST": ASSETS})
    assert json.loads(first.assets) == {"ASSETS": ASSETS}
    later = made({"X-ASSET-LIST": {"ASSETS": ASSETS[:1], "SKIP-CONTROL": {"OFFSET": 5}}}, first, now=NOW + 5)
    assert json.loads(later.assets) == {"ASSETS": ASSETS[:1], "SKIP-CONTROL": {"OFFSET": 5}}
    assert (later.line, later.added_at) == (first.line, NOW), "the tag is as it was"
    assert later.public()["X-ASSET-LIST"]["SKIP-CONTROL"] == {"OFFSET": 5}


def test_a_date_range_reads_back_as_it_was_put() -> None:
    values = {"CLASS": "a", "START-DATE": "2026-09-21T14:13:30.000Z", "DURATION": 1.5, "SCTE35-CMD": "0xFC", "X-A": -2}
    assert made(values).public() == {"ID": "ad-1", **values}


def test_4_4_5_1_end_on_next_ends_with_the_next_of_its_class() -> None:
    ranges = tuple(
        made({"CLASS": kind, "START-DATE": f"2026-09-21T14:13:{second}Z", **more}, id=id)
        for id, kind, second, more in (
            ("a", "x", 10, {"END-ON-NEXT": "YES"}),
            ("b", "y", 15, {}),
            ("c", "x", 20, {"END-ON-NEXT": "YES"}),
            ("d", "y", 30, {"DURATION": 5}),
        )
    )
    start = 1_790_000_000.0
    assert ends(ranges) == {"a": start, "b": None, "c": None, "d": start + 15}
