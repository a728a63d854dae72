"""A token on its way to a playlist's children: which references carry it, and what of the answer changes with it."""

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.token import FastlyToken
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.cloudfront import CloudFrontToken
from cdnkit.policy.token.dash import rewritten as dash_rewritten
from cdnkit.policy.token.hls import rewritten
from cdnkit.policy.token.playlist import Inherited
from cdnkit.policy.token.scheme import Carriers, ChildToken
from tests.kit.tokens import BASE64_SECRET, END, HEX_KEY, KEY_ID, RSA_KEY, by_botocore, get, public

BASE = "https://h/live/720p/media.m3u8"

LINES = [  # a line of a playlist, and with the token in it (None: as it was)
    ("seg-1.m4s", "seg-1.m4s?t=1"),
    ("seg-1.m4s?a=b", "seg-1.m4s?a=b&t=1"),
    ("seg-1.m4s?t=old&a=b", "seg-1.m4s?a=b&t=1"),  # one that the origin wrote is replaced
    ("seg-1.m4s#x", "seg-1.m4s?t=1#x"),
    ("../audio/seg-1.m4s", "../audio/seg-1.m4s?t=1"),
    ("/live/seg-1.m4s", "/live/seg-1.m4s?t=1"),
    ("https://h/live/seg-1.m4s", "https://h/live/seg-1.m4s?t=1"),
    ("HTTPS://H/live/seg-1.m4s", "HTTPS://H/live/seg-1.m4s?t=1"),
    ("https://elsewhere/live/seg-1.m4s", None),
    ("http://h/live/seg-1.m4s", None),  # another scheme is another origin
    ("https://h:8443/live/seg-1.m4s", None),
    ("//elsewhere/seg-1.m4s", None),
    ("//h/seg-1.m4s", "//h/seg-1.m4s?t=1"),
    ("data:text/plain,x", None),
    ("seg-1.m4s\r", "seg-1.m4s?t=1\r"),
    ("", None),
    ("# seg-1.m4s", None),
    ("#EXTINF:4.0,seg-1.m4s", None),
    ('#EXT-X-MAP:URI="init.mp4"', '#EXT-X-MAP:URI="init.mp4?t=1"'),
    ('#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"', '#EXT-X-MAP:URI="init.mp4?t=1",BYTERANGE="720@0"'),
    ('#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x1', '#EXT-X-KEY:METHOD=AES-128,URI="key.bin?t=1",IV=0x1'),
    ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key"', None),
    ('#EXT-X-SESSION-KEY:METHOD=AES-128,URI="https://keys.elsewhere/k"', None),
    ('#EXT-X-PART:DURATION=0.5,URI="part-1.m4s",INDEPENDENT=YES', '#EXT-X-PART:DURATION=0.5,URI="part-1.m4s?t=1",INDEPENDENT=YES'),
    ('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-2.m4s"', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-2.m4s?t=1"'),
    ('#EXT-X-RENDITION-REPORT:URI="../480p/media.m3u8",LAST-MSN=7', '#EXT-X-RENDITION-REPORT:URI="../480p/media.m3u8?t=1",LAST-MSN=7'),
    ('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x,URI=y",URI="a.m3u8"', '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x,URI=y",URI="a.m3u8?t=1"'),
    ('#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"', '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8?t=1"'),
    ('#EXT-X-SESSION-DATA:DATA-ID="x",URI="data.json"', '#EXT-X-SESSION-DATA:DATA-ID="x",URI="data.json?t=1"'),
    ('#EXT-X-CONTENT-STEERING:SERVER-URI="/steer",PATHWAY-ID="a"', '#EXT-X-CONTENT-STEERING:SERVER-URI="/steer?t=1",PATHWAY-ID="a"'),
    ('#EXT-X-DATERANGE:ID="ad",X-ASSET-LIST="list.json"', '#EXT-X-DATERANGE:ID="ad",X-ASSET-LIST="list.json?t=1"'),
    ('#EXT-X-DATERANGE:ID="ad",X-ASSET-LIST="../asset-list-ad.json?_HLS_interstitial_id=ad"', '#EXT-X-DATERANGE:ID="ad",X-ASSET-LIST="../asset-list-ad.json?_HLS_interstitial_id=ad&t=1"'),
    ('#EXT-X-DATERANGE:ID="ad",X-ASSET-LIST="https://ads.elsewhere/list.json"', None),
    ('#EXT-X-DATERANGE:ID="ad",X-ASSET-URI="https://h/vod/ad.m3u8"', '#EXT-X-DATERANGE:ID="ad",X-ASSET-URI="https://h/vod/ad.m3u8?t=1"'),
    ('#EXT-X-DATERANGE:ID="ad",X-ASSET-URI="https://ads.elsewhere/ad.m3u8"', None),
    ('#EXT-X-CONTENT-STEERING:SERVER-URI="https://steering.elsewhere/m",PATHWAY-ID="a"', None),
    ('#EXT-X-CONTENT-STEERING:SERVER-URI="data:application/json,{}",PATHWAY-ID="a"', None),
    ("https://nyc.elsewhere/live/720p/media.m3u8", None),  # the same stream by another pathway
    ('#EXT-X-DATERANGE:ID="ad",X-COM-EXAMPLE="list.json"', None),
    ("#EXT-X-STREAM-INF:BANDWIDTH=1", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), LINES, ids=[line for line, _ in LINES])
def test_references_of_a_playlist(line: str, wanted: str | None) -> None:
    playlist = f"#EXTM3U\n{line}\n#EXT-X-ENDLIST\n"
    made = rewritten(playlist.encode("latin-1"), BASE, lambda _: "t=1").decode("latin-1")
    assert made == f"#EXTM3U\n{line if wanted is None else wanted}\n#EXT-X-ENDLIST\n"
    assert rewritten(made.encode("latin-1"), BASE, lambda _: "t=1").decode("latin-1") == made  # twice is once


def test_bytes_that_are_not_ascii_stay() -> None:
    playlist = '#EXTM3U\n#EXT-X-MEDIA:NAME="Français"\nséance.ts\n'.encode()
    paths = []
    made = rewritten(playlist, BASE, lambda path: paths.append(path) or "t=1")  # type: ignore[func-returns-value]
    assert made == playlist.replace("séance.ts".encode(), "séance.ts?t=1".encode())
    assert paths == ["/live/720p/s%C3%A9ance.ts"]  # as a player will ask for it


MPD = b"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><!-- <SegmentTemplate media="no"/> -->
 <BaseURL>media/</BaseURL><Period><AdaptationSet>
  <SegmentTemplate timescale="1" media="$RepresentationID$/seg-$Number$.m4s?a=1&amp;b=2" initialization='init-$RepresentationID$.mp4'/>
  <Representation id="1"><BaseURL> one.mp4 </BaseURL><SegmentBase indexRange="0-1"><Initialization sourceURL="i.mp4"/></SegmentBase></Representation>
  <Representation id="2"><SegmentList><SegmentURL media="https://elsewhere/1.m4s"/><SegmentURL media="2.m4s" mediaRange="0-9"/></SegmentList></Representation>
  <Representation id="3"><BaseURL>https://elsewhere/x.mp4</BaseURL><BaseURL/><Note t=">" media="x"/></Representation>
 </AdaptationSet></Period></MPD>"""


def test_references_of_a_manifest() -> None:
    made = dash_rewritten(MPD, "https://h/vod/a.mpd", "t=1&u=$x")
    told = MPD.replace(b"b=2", b"b=2&amp;t=1&amp;u=%24x").replace(b"$.mp4'", b"$.mp4?t=1&amp;u=%24x'")
    for name in (b"i.mp4", b"2.m4s"):
        told = told.replace(b'"%b"' % name, b'"%b?t=1&amp;u=%%24x"' % name)
    assert made == told.replace(b" one.mp4 ", b"one.mp4?t=1&amp;u=%24x")


@pytest.mark.parametrize(
    "text",
    [b"<MPD", b"<MPD></mpd>", b'<!DOCTYPE MPD [<!ENTITY a "b">]><MPD><BaseURL>&a;</BaseURL></MPD>', b"<MPD>\xff</MPD>"],
)
def test_a_manifest_that_is_none_stays(text: bytes) -> None:
    assert dash_rewritten(text, "https://h/a.mpd", "t=1") == text


AKAMAI = AkamaiToken(HEX_KEY, carriers=Carriers(frozenset({"__token__"}), frozenset({"edge"})))
LIVE = AkamaiToken(HEX_KEY).sign(expires_at=END, acls=("/live/*",))
PLAYLIST = b'#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\nseg-1.m4s\n'
HEAD = [
    ("content-type", "application/vnd.apple.mpegurl"),
    ("etag", '"abc"'),
    ("content-length", "44"),
    ("cache-control", "public, max-age=2, s-maxage=9"),
    ("last-modified", "x"),
    ("expires", "x"),
]


CLOCKS = [  # UTCTiming: scheme              value                    with a token
    ("urn:mpeg:dash:utc:http-xsdate:2014",   b"time",                 b"time?t=1"),
    ("urn:mpeg:dash:utc:http-head:2014",     b"https://h/time?a=1",   b"https://h/time?a=1&amp;t=1"),
    ("urn:mpeg:dash:utc:http-iso:2014",      b"https://other/time",   b"https://other/time"),
    ("urn:mpeg:dash:utc:http-iso:2014",      b"a b",                  b"a b"),  # a list: the first may be another's
    ("urn:mpeg:dash:utc:direct:2014",        b"2026-09-21T13:40:00Z", b"2026-09-21T13:40:00Z"),
    ("urn:mpeg:dash:utc:ntp:2014",           b"ntp.example",          b"ntp.example"),
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "value", "made"), CLOCKS)
def test_the_clock_of_a_manifest(scheme: str, value: bytes, made: bytes) -> None:
    text = b'<MPD><UTCTiming schemeIdUri="%b" value="%b"/></MPD>'
    given, wanted = (text % (scheme.encode(), one) for one in (value, made))
    assert dash_rewritten(given, "https://h/live/a.mpd", "t=1") == wanted


STEERINGS = [  # text of ContentSteering                with a token
    (b"steering.json",                       b"steering.json?t=1"),
    (b"https://steering.elsewhere/app?a=1",  b"https://steering.elsewhere/app?a=1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "made"), STEERINGS)
def test_the_steering_manifest_of_a_manifest(text: bytes, made: bytes) -> None:
    mpd = b'<MPD><BaseURL serviceLocation="a">https://h/live/</BaseURL><ContentSteering>%b</ContentSteering></MPD>'
    assert dash_rewritten(mpd % text, "https://h/live/a.mpd", "t=1") == mpd % made


def test_an_acl_token_goes_on_as_it_is() -> None:
    carries = Inherited(get(f"{BASE}?__token__={LIVE}"), AKAMAI, "query").for_response(200, "")
    assert carries is not None
    assert carries.body(PLAYLIST).decode().splitlines()[2] == f"seg-1.m4s?__token__={LIVE}"
    child = get(f"https://h/live/720p/seg-1.m4s?__token__={LIVE}")
    assert AKAMAI.refusal(child, END - 1.0) is None


def test_a_token_for_one_path_is_made_anew_for_each_child() -> None:
    token = FastlyToken(BASE64_SECRET)
    carries = Inherited(get(f"{BASE}?token={token.sign('/live/720p/media.m3u8', END)}"), token, "query").for_response(
        200, ""
    )
    assert carries is not None
    lines = carries.body(PLAYLIST).decode().splitlines()
    for path, line in (("/live/720p/init.mp4", lines[1].split('"')[1]), ("/live/720p/seg-1.m4s", lines[2])):
        child = get(f"https://h{path}?{line.partition('?')[2]}")
        assert token.refusal(child, END - 1.0) is None
        assert token.refusal(child, float(END)) is not None  # no child outlives its playlist
    # A manifest's templates have no one path.
    assert carries.body(MPD) == MPD


def test_a_custom_policy_goes_on_and_a_canned_one_cannot() -> None:
    token = CloudFrontToken({KEY_ID: public(RSA_KEY)})
    query = by_botocore("https://h/live/*", END, custom=True).partition("?")[2]
    carries = Inherited(get(f"{BASE}?a=1&{query}"), token, "query").for_response(200, "")
    assert carries is not None
    line = carries.body(PLAYLIST).decode().splitlines()[2]
    assert token.refusal(get(f"https://h/live/720p/{line}"), END - 1.0) is None
    assert Inherited(get(by_botocore(BASE, END)), token, "query").for_response(200, "") is None


@pytest.mark.parametrize(
    ("path", "method", "carries"),
    [
        ("/a.m3u8", "GET", True),
        ("/a.M3U8", "HEAD", True),
        ("/a.mpd", "GET", True),
        ("/a.m4s", "GET", False),
        ("/a.m3u8", "POST", False),
    ],
)
def test_what_is_a_playlist(path: str, method: str, carries: bool) -> None:
    found = Inherited(get(f"https://h{path}?__token__={LIVE}", method=method), AKAMAI, "query").for_response(200, "")
    assert (found is not None) is carries


def test_the_viewers_head() -> None:
    carries = Inherited(get(f"{BASE}?__token__={LIVE}"), AKAMAI, "query").for_response(200, "")
    assert carries is not None
    told = Headers(carries.head(200, HEAD, 99))
    tag = told.first("etag")
    assert tag is not None
    assert tag.startswith('"abc-')
    assert (told.first("content-length"), told.first("cache-control")) == ("99", "private, max-age=2")
    assert "last-modified" not in told
    assert "expires" not in told
    assert carries.head(404, HEAD) == HEAD
    # The mark is of the token: a viewer with a new one is not told that the text of the old one still holds.
    renewed = AkamaiToken(HEX_KEY).sign(expires_at=END + 1, acls=("/live/*",))
    other = Inherited(get(f"{BASE}?__token__={renewed}"), AKAMAI, "query").for_response(200, "")
    assert other is not None
    for condition, one, another in (
        (tag, '"abc"', None),
        (f'"abc", {tag}', '"abc"', None),
        (f"W/{tag}", 'W/"abc"', None),
        ('"abc"', None, None),  # of the text without a token
        ("*", None, None),
    ):
        request = get(
            BASE, if_none_match=condition, range="bytes=0-1", if_modified_since="x", accept_encoding="gzip", a="b"
        )
        assert carries.cache_request(request).headers == Headers(
            [("a", "b"), *([("if-none-match", one)] if one else [])]
        )
        assert other.cache_request(request).headers.first("if-none-match") == another
    assert Headers(carries.head(304, [("etag", '"abc"')])).first("etag") == tag
    assert not carries.rewrites(200, [("content-encoding", "gzip")])


def test_the_cookie() -> None:
    carries = Inherited(get(f"{BASE}?__token__={LIVE}"), AKAMAI, "cookie").for_response(200, "")
    assert carries is not None
    told = Headers(carries.head(200, HEAD))
    assert told.all("set-cookie") == [f"edge={LIVE}; Path=/live/720p/; HttpOnly; Secure; SameSite=None"]
    assert told.first("cache-control") == "private, max-age=2"
    assert (told.first("etag"), told.first("content-length")) == ('"abc"', "44")
    child = get("https://h/live/720p/media.m3u8", cookie=f"edge={LIVE}")
    assert AKAMAI.refusal(child, END - 1.0) is None
    # Who came with the cookie has it.
    has_it = Inherited(child, AKAMAI, "cookie").for_response(200, "")
    assert has_it is not None
    assert has_it.head(200, HEAD) == HEAD
    plain = Inherited(get(f"http://h/a.m3u8?__token__={LIVE}"), AKAMAI, "cookie").for_response(200, "")
    assert plain is not None
    assert Headers(plain.head(200, HEAD)).all("set-cookie") == [f"edge={LIVE}; Path=/; HttpOnly; SameSite=Lax"]


def test_how_a_token_is_carried_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    carried = type(AKAMAI).child_token

    def counted(scheme: AkamaiToken, request: RequestHead) -> ChildToken | None:
        found.append(request.path)
        return carried(scheme, request)

    monkeypatch.setattr(type(AKAMAI), "child_token", counted)
    inherited = Inherited(get(f"{BASE}?__token__={LIVE}"), AKAMAI, "query")
    inherited.cache_request(get(BASE))
    assert inherited.for_response(200, "") is inherited.for_response(200, "application/vnd.apple.mpegurl") is not None
    assert len(found) == 1
