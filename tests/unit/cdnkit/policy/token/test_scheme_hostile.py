"""What a stranger may send: no text makes a check raise, and no text that was not signed opens anything."""

import base64

import cbor2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.token import dash, hls
from tests.kit.tokens import END, KEY_ID, KINDS, PATH, get

NAMES = sorted({"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm", "token", "__token__", "cat", "a"})
SCHEMES = [kind.scheme() for kind in KINDS.values()]

octets = st.binary(max_size=60)
text = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=80),
    octets.map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
    st.sampled_from([KEY_ID, str(END), "SHA256", "e30", "e30.e30.", "exp=1~hmac=00", "1767225600_" + "0" * 64]),
    # Half-way good: the right envelope around anything.
    st.recursive(
        st.none() | st.integers() | octets | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4)
    ).map(lambda value: base64.urlsafe_b64encode(cbor2.dumps(cbor2.CBORTag(17, value))).decode().rstrip("=")),
    st.tuples(octets, octets, octets).map(
        lambda parts: ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    ),
    octets.map(lambda raw: base64.b64encode(raw).decode().translate({43: "-", 61: "_", 47: "~"})),
)
pairs = st.lists(st.tuples(st.sampled_from(NAMES), text.filter(lambda value: "&" not in value)), max_size=6)


@given(pairs, pairs, st.text(st.characters(max_codepoint=255), max_size=20))
@settings(max_examples=400, deadline=None)
@example([("Policy", "e30_"), ("Signature", "AA__"), ("Key-Pair-Id", KEY_ID)], [], "")
def test_no_text_raises_or_opens(query: list[tuple[str, str]], cookies: list[tuple[str, str]], path: str) -> None:
    cookie = "; ".join(f"CloudFront-{name}={value}" for name, value in cookies)
    request = RequestHead(
        "GET", "https", "media.example.net", PATH + path, "&".join(f"{name}={value}" for name, value in query),
        Headers([("cookie", cookie)]), path,
    )  # fmt: skip
    for scheme in SCHEMES:
        refusal = scheme.refusal(request, END - 1.0)
        assert refusal is not None
        assert 400 <= refusal.status < 500
        assert refusal.facts
        scheme.carriers.stripped(request)
        scheme.child_token(request)


def test_claims_nested_without_end() -> None:
    deep = "[" * 100_000
    token = ".".join(base64.urlsafe_b64encode(part.encode()).decode() for part in (deep, deep, "x"))
    for scheme in SCHEMES:
        assert scheme.refusal(get(f"https://h/?token={token}&cat={token}&Policy={token[:5000]}"), END - 1.0) is not None


PLAYLIST_PARTS = st.sampled_from(
    [
        "#EXTM3U\n",
        "seg.ts\n",
        "#EXT-X-MAP:URI=",
        '"',
        "\n",
        ",",
        "URI=",
        "https://h",
        "http://[",
        "?",
        "#",
        "&t=1",
        "\r\n",
        "é",
        "#EXT-X-KEY:",
    ]
)


@given(st.lists(PLAYLIST_PARTS | st.text(st.characters(max_codepoint=255), max_size=8), max_size=20))
@settings(max_examples=400, deadline=None)
def test_no_playlist_raises_and_twice_is_once(parts: list[str]) -> None:
    playlist = "".join(parts).encode("latin-1")
    once = hls.rewritten(playlist, "https://h/live/a.m3u8", lambda _: "t=1")
    assert hls.rewritten(once, "https://h/live/a.m3u8", lambda _: "t=1") == once
    assert once.count(b"\n") == playlist.count(b"\n")


MPD_PARTS = st.sampled_from(
    [
        "<MPD>",
        "</MPD>",
        "<SegmentTemplate media='a'/>",
        "<BaseURL>",
        "</BaseURL>",
        "x",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        '"',
        ">",
        "&amp;",
        "&x;",
        "<BaseURL/>",
        "\n",
        "é",
    ]
)


@given(st.lists(MPD_PARTS, max_size=15))
@settings(max_examples=400, deadline=None)
def test_no_manifest_raises_and_twice_is_once(parts: list[str]) -> None:
    manifest = "".join(parts).encode("latin-1")
    once = dash.rewritten(manifest, "https://h/a.mpd", "t=1")
    assert dash.rewritten(once, "https://h/a.mpd", "t=1") == once
