"""Tokens over real sockets: who is let in, what the origin and the store see of it, and what a playlist takes along."""

import asyncio
import base64
import datetime
import gzip
import json
import logging
import time
from pathlib import Path
from typing import Any

import cbor2
import jwt
import pytest
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cwt import COSE, COSEKey

from cdnkit.policy.http.content import is_playlist
from cdnkit.policy.rules.service import Behavior, Geo, Ttl
from cdnkit.policy.rules.tokens import Akamai, Cat, CloudFront, Fastly, Jwt
from cdnkit.policy.token import FastlyToken
from cdnkit.policy.token.akamai import AkamaiToken
from edge.errors import BadKeyFile
from tests.kit.http import Reply, ask
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, response, running_origin

END = 2_000_000_000
LONG_AGO = 1_000_000_000
BASE64_SECRET = base64.b64encode(b"a secret that no file and no line may ever show").decode()
TEXT_SECRET = "another secret that no file and no line may show"
HEX_KEY = "5ec4e7" * 8
RSA_KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SIGNER = CloudFrontSigner("K2VIEWER", lambda text: RSA_KEY.sign(text, padding.PKCS1v15(), hashes.SHA1()))

TOKENS: dict[str, Any] = {
    "fastly": Fastly(key=BASE64_SECRET, propagate="query"),
    "cloudfront": CloudFront(scheme="cloudfront", keys={"K2VIEWER": PUBLIC}, propagate="cookie"),
    "akamai": Akamai(scheme="akamai", key=HEX_KEY, propagate="query", cookie="hdntl"),
    "jwt": Jwt(scheme="jwt", key=TEXT_SECRET, header="Authorization", path_prefix="/t/"),
    "cat": Cat(scheme="cat", key=BASE64_SECRET),
}
RULES = [
    *(Behavior(path=f"/{name}/*", token=name, ttl=Ttl(default="60s")) for name in TOKENS),
    Behavior(path="*", ttl=Ttl(default="60s")),
]
PLAYLIST = b'#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:4,\nseg-1.m4s\n'


def at(instant: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(instant, datetime.UTC)


def cat(end: int, path: str) -> str:
    key = COSEKey.from_symmetric_key(base64.b64decode(BASE64_SECRET), alg="HS256", kid="viewer")
    claims = cbor2.dumps({4: end, 312: {3: {1: path}}})
    made = COSE.new(alg_auto_inclusion=True, kid_auto_inclusion=True).encode(claims, key)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def query(name: str, node: Running, path: str, end: int = END) -> str:
    """A token in its query, for all of the scheme's folder where it can be."""
    if name == "fastly":
        return f"token={FastlyToken(BASE64_SECRET).sign(path, end)}"
    if name == "akamai":
        return f"__token__={AkamaiToken(HEX_KEY).sign(expires_at=end, acls=('/akamai/*',))}"
    if name == "jwt":
        return f"token={jwt.encode({'exp': end, 'paths': ['/jwt/*']}, TEXT_SECRET, algorithm='HS256')}"
    if name == "cat":
        return f"cat={cat(end, '/cat/')}"
    policy = SIGNER.build_policy(f"{node.url}/cloudfront/*", at(end))
    return str(SIGNER.generate_presigned_url(f"{node.url}{path}", policy=policy)).partition("?")[2]


async def serving(origin: Origin) -> None:
    for name in (*TOKENS, "open"):
        origin.says(f"/{name}/a.m4s", b"media", etag='"m"')
        origin.says(f"/{name}/live.m3u8", PLAYLIST, etag='"p"', cache_control="public, max-age=60")


@pytest.mark.parametrize("name", TOKENS)
def test_viewers_with_tokens_of_their_own_share_one_stored_answer(name: str, tmp_path: Path) -> None:
    async def run() -> None:
        records = tmp_path / "fra.jsonl"
        async with (
            running_origin() as origin,
            running_node(origin.url, *RULES, records=records, service={"tokens": TOKENS}) as node,
        ):
            await serving(origin)
            path = f"/{name}/a.m4s"
            good = [query(name, node, path, END + number) for number in range(3)]
            states = [(await node.get(f"{path}?{one}"))["x-cache"] for one in good]
            assert [state.split()[0] for state in states if state] == ["MISS", "HIT", "HIT"]
            part = await node.get(f"{path}?{good[0]}", range="bytes=0-1")
            assert (part.status, part.body) == (206, b"me")
            assert (await ask(node.url, f"{path}?{good[0]}", method="HEAD")).status == 200
            # The gate stands before the store: what is stored is refused all the same, whole and in parts.
            for bad in ("", query(name, node, path, LONG_AGO), good[0].replace("=", "=x", 1), f"{good[0]}&{good[0]}"):
                for fields in ({}, {"range": "bytes=0-1"}):
                    refused = await node.get(f"{path}?{bad}", **fields)
                    assert refused.status == 403
                    assert b"media" not in refused.body
            assert [asked.target for asked in origin.asked] == [path]
        for record in node.records():
            assert not record["url"].partition("?")[2], record

    asyncio.run(run())


def test_a_token_in_the_path_a_field_or_a_cookie() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, *RULES, service={"tokens": TOKENS}) as node:
            await serving(origin)
            text = jwt.encode({"exp": END, "paths": ["/jwt/*"]}, TEXT_SECRET, algorithm="HS256")
            assert (await node.get(f"/t/{text}/jwt/a.m4s")).body == b"media"
            hit = await node.get("/jwt/a.m4s", authorization=f"Bearer {text}")
            assert (hit.status, hit["x-cache"]) == (200, "HIT")
            assert (await node.get("/jwt/a.m4s", authorization="Bearer x.y.z")).status == 403
            assert (await node.get(f"/t/{text}/open/a.m4s")).body == b"media"  # the prefix is the settings' own
            acl = AkamaiToken(HEX_KEY).sign(expires_at=END, acls=("/akamai/*",))
            assert (await node.get("/akamai/a.m4s", cookie=f"a=b; hdntl={acl}")).body == b"media"
            told = [(asked.target, asked.headers.first("cookie")) for asked in origin.asked]
            assert told == [("/jwt/a.m4s", None), ("/open/a.m4s", None), ("/akamai/a.m4s", "a=b")]
            assert not any("authorization" in asked.headers for asked in origin.asked)

    asyncio.run(run())


def test_the_viewer_is_told_what_the_vendor_would_say_and_the_operator_what_was_wrong() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, *RULES, service={"tokens": TOKENS}) as node:
            await serving(origin)
            path = "/cloudfront/a.m4s"
            old = f"{path}?{query('cloudfront', node, path, LONG_AGO)}"
            refused = await node.get(old)
            assert refused.status == 403
            assert refused["content-type"] == "text/xml"
            assert refused.body == (
                b'<?xml version="1.0" encoding="UTF-8"?>'
                b"<Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>"
            )
            assert b"MissingKey" in (await node.get(path)).body
            explained = await ask(node.admin, f"/explain?url={node.url}{old.replace('&', '%26')}")
            gate = json.loads(explained.body)["gate"]
            assert (gate["refused"], gate["reason"], gate["check"]) == (403, "token: expired", "expired")
            assert gate["seconds_past"] == pytest.approx(time.time() - LONG_AGO, abs=60)
            # A trusted viewer may ask with the request itself.
            canned = str(SIGNER.generate_presigned_url(f"{node.url}/cloudfront/other.m4s", date_less_than=at(END)))
            debug = await node.get(f"{path}?{canned.partition('?')[2]}", cdnlab_debug="1")
            gate = json.loads(debug["cdnlab-debug"] or "")["gate"]
            assert gate["check"] == "signature does not match"
            assert gate["wanted"] == f"key K2VIEWER's with SHA1 over the canned policy of {node.url}{path}"

    asyncio.run(run())


def references(reply: Reply) -> list[str]:
    lines = reply.body.decode().splitlines()
    return [lines[1].split('"')[1], lines[3]]


@pytest.mark.parametrize("name", ["fastly", "akamai"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_playlist_carries_its_token_to_the_children(name: str, chunked: bool) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, *RULES, service={"tokens": TOKENS}) as node:
            await serving(origin)
            path = f"/{name}/live.m3u8"
            origin.says(f"/{name}/seg-1.m4s", b"one")
            origin.says(f"/{name}/init.mp4", b"init")
            control = "no-store" if chunked else "public, max-age=60"
            origin.says(path, PLAYLIST, etag='"p"', cache_control=control)
            tags = []
            for number in range(2):
                target = f"{path}?{query(name, node, path, END + number)}"
                reply = await node.get(target, accept_encoding="gzip", range="bytes=0-5")
                assert (reply.status, reply["content-length"]) == (200, str(len(reply.body)))
                assert "private" in (reply["cache-control"] or "")
                children = [await node.get(f"/{name}/{reference}") for reference in references(reply)]
                assert [child.body for child in children] == [b"init", b"one"]
                head = await ask(node.url, target, method="HEAD")
                assert (head.status, head["etag"], head["content-length"]) == (200, reply["etag"], None)
                same = await node.get(target, if_none_match=reply["etag"] or "")
                assert (same.status, same["etag"]) == ((200 if chunked else 304), reply["etag"])
                tags.append(reply["etag"])
            # Another token, another text: a viewer with a new one does not keep the old one's references.
            assert tags[0] != tags[1]
            renewed = await node.get(f"{path}?{query(name, node, path, END + 1)}", if_none_match=tags[0] or "")
            assert renewed.status == 200
            assert (origin.count[f"/{name}/seg-1.m4s"], origin.count[f"/{name}/init.mp4"]) == (1, 1)
            assert all(asked.headers.first("if-none-match") in (None, '"p"') for asked in origin.asked)
            assert chunked or origin.count[path] == 1

    asyncio.run(run())


def test_what_cannot_be_rewritten_goes_out_as_it_is() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, *RULES, service={"tokens": TOKENS}) as node:
            path = "/akamai/live.m3u8"
            # An origin that codes for those who did not ask for it, in no way that is known here; or badly; or a bomb.
            for number, (coding, packed) in enumerate(
                (("x-own", PLAYLIST), ("gzip", PLAYLIST), ("gzip, gzip", gzip.compress(gzip.compress(PLAYLIST))),
                 ("gzip", gzip.compress(PLAYLIST)[:-4]), ("gzip", gzip.compress(PLAYLIST + b"x.m4s\n" * 800_000)))
            ):  # fmt: skip
                origin.says(f"/akamai/{number}.m3u8", packed, content_encoding=coding, cache_control="no-store")
                coded = await node.get(f"/akamai/{number}.m3u8?{query('akamai', node, path)}")
                assert (coded.body, coded["content-encoding"]) == (packed, coding)
            origin.says("/akamai/page.m3u8", b"<html>no playlist</html>")
            page = await node.get(f"/akamai/page.m3u8?{query('akamai', node, path)}")
            assert page.body == b"<html>no playlist</html>"
            big = PLAYLIST + b"x.m4s\n" * 800_000
            origin.says("/akamai/big.m3u8", big)
            assert (await node.get(f"/akamai/big.m3u8?{query('akamai', node, path)}")).body == big
            origin.says("/akamai/lost.m3u8", b"not here", status=404)
            assert (await node.get(f"/akamai/lost.m3u8?{query('akamai', node, path)}")).body == b"not here"

            async def short(_: Any, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncache-control: no-store\r\n\r\n#EXTM3U\n")
                await writer.drain()
                writer.close()

            origin.does("/akamai/short.m3u8", short)
            broken = await node.get(f"/akamai/short.m3u8?{query('akamai', node, path)}")
            assert (broken.body, broken.whole) == (b"", False)

    asyncio.run(run())


HLS, DASH = "application/vnd.apple.mpegurl", "application/dash+xml"
MPD = b'<MPD><Period><SegmentTemplate media="a-$Number$.m4s"/></Period></MPD>'
SHOWN = [  # path, Content-Type, body, what is expected of it: a playlist?, its class and rendition in the records
    ("live.m3u8", "", PLAYLIST, True, "media-playlist"),
    ("live.m3u8", "text/plain", PLAYLIST, True, "media-playlist"),
    ("live.m3u8", HLS, PLAYLIST, True, "media-playlist"),
    ("live.m3u", "", PLAYLIST, True, "media-playlist"),
    ("live.m3u8;jsessionid=1", "", PLAYLIST, True, "media-playlist"),
    ("live.m3u8;jsessionid=1", HLS, PLAYLIST, True, "media-playlist"),
    ("manifest(format=m3u8-aapl)", HLS, PLAYLIST, True, "multivariant"),
    ("QualityLevels(96000)/Manifest(audio,format=m3u8-aapl)", HLS, PLAYLIST, True, "media-playlist"),
    ("playlist", "audio/mpegurl", PLAYLIST, True, "media-playlist"),
    ("playlist", "application/x-mpegURL; charset=utf-8", PLAYLIST, True, "media-playlist"),
    ("manifest", DASH, MPD, True, "multivariant"),
    ("a.mpd", "text/xml", MPD, True, "multivariant"),
    ("seg-1.m4s", HLS, PLAYLIST, True, "media-playlist"),
    ("seg-1.ts", DASH, MPD, True, "multivariant"),
    ("live.m3u8", "video/mp2t", PLAYLIST, False, "segment"),
    ("a.mpd", "video/mp4", MPD, False, "segment"),
    ("seg-1.m4s", "video/iso.segment", PLAYLIST, False, "segment"),
    ("seg-1.m4s", "application/octet-stream", PLAYLIST, False, "segment"),
    ("Fragments(video=0)", "video/mp4", PLAYLIST, False, "segment"),
    ("playlist", "", PLAYLIST, False, "other"),
    ("playlist", "text/html", PLAYLIST, False, "other"),
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("stored", [False, True], ids=["relayed", "stored"])
def test_a_playlist_is_one_by_its_type_first_and_then_by_its_path(tmp_path: Path, packed: bool, stored: bool) -> None:
    """What goes out, to whom it belongs and what the records count it as: one word on each."""
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, *RULES, records=records, service={"tokens": TOKENS}) as node,
        ):
            for number, (name, kind, body, playlist, _) in enumerate(SHOWN):
                path = f"/akamai/{number}/{name}"
                fields = {"content_type": kind} if kind else {}
                if packed:
                    fields["content_encoding"] = "gzip"
                control = "public, max-age=60" if stored else "no-store"
                sent = gzip.compress(body) if packed else body
                origin.says(path, sent, etag='"p"', cache_control=control, **fields)
                target = f"{path}?{query('akamai', node, path)}"
                reply = await node.get(target, accept_encoding="gzip")
                token = target.partition("?")[2].encode()
                told = (token in reply.body, "private" in (reply["cache-control"] or ""), reply["content-encoding"])
                assert told == (playlist, playlist, None if playlist or not packed else "gzip"), (name, kind)
                assert playlist or reply.body == sent
                assert (reply["etag"] == '"p"') is not playlist
                # The viewer comes back with what it was told, which the origin knows as its own.
                same = await node.get(target, accept_encoding="gzip", if_none_match=reply["etag"] or "")
                as_one = is_playlist(path) and not playlist  # by its name alone: asked for as a playlist is
                assert (same.status, same["etag"]) == (304 if stored and not as_one else 200, reply["etag"]), name
                assert ("private" in (same["cache-control"] or "")) is playlist
                part = await node.get(target, accept_encoding="gzip", range="bytes=0-3")
                assert part.status in (200, 206) and ("private" in (part["cache-control"] or "")) is playlist
                asked = [one.headers.first("if-none-match") for one in origin.asked if one.target == path]
                assert set(asked) <= {None, '"p"'}
        counted = {}
        for record in node.records():
            if record["kind"] == "request":
                number = int(record["url"].partition("/akamai/")[2].partition("/")[0])
                counted.setdefault(number, set()).add(record["object_class"])
        assert counted == {number: {row[4]} for number, row in enumerate(SHOWN)}

    asyncio.run(run())


def test_a_304_that_is_relayed_has_the_viewers_tag() -> None:
    """The origin's 304 says nothing of a type: the mark in the viewer's tag does."""

    async def run() -> None:
        passed = Behavior(path="/akamai/*", token="akamai", cache=False)
        async with running_origin() as origin, running_node(origin.url, passed, service={"tokens": TOKENS}) as node:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                known = asked.headers.first("if-none-match") == '"p"'
                lines = {"etag": '"p"', "cache_control": "max-age=2"}
                if known:
                    writer.write(response(b"", 304, **lines))
                else:
                    writer.write(response(PLAYLIST, content_type="audio/mpegurl", **lines))

            origin.does("/akamai/list", script)
            target = f"/akamai/list?{query('akamai', node, '/akamai/list')}"
            tag = (await node.get(target))["etag"] or ""
            assert tag.startswith('"p-')
            same = await node.get(target, if_none_match=tag)
            assert (same.status, same["etag"], same["cache-control"]) == (304, tag, "private, max-age=2")
            other = await node.get(target, if_none_match='"p-else"')  # of another token
            assert (other.status, other["etag"]) == (200, tag)

    asyncio.run(run())


def test_a_cookie_for_the_children() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, *RULES, service={"tokens": TOKENS}) as node:
            await serving(origin)
            first = await node.get(f"/cloudfront/live.m3u8?{query('cloudfront', node, '/cloudfront/live.m3u8')}")
            assert first.body == PLAYLIST
            origin.says("/cloudfront/list", PLAYLIST, content_type=HLS)
            by_type = await node.get(f"/cloudfront/list?{query('cloudfront', node, '/cloudfront/list')}")
            assert by_type.body == PLAYLIST and len(by_type.headers.all("set-cookie")) == 3
            assert "private" in (by_type["cache-control"] or "")
            set_cookies = first.headers.all("set-cookie")
            assert [one.partition("=")[0] for one in set_cookies] == [
                "CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id",
            ]  # fmt: skip
            assert all("; Path=/cloudfront/; HttpOnly" in one for one in set_cookies)
            cookie = "; ".join(one.partition(";")[0] for one in set_cookies)
            child = await node.get("/cloudfront/a.m4s", cookie=cookie)
            assert child.body == b"media"
            again = await node.get("/cloudfront/live.m3u8", cookie=cookie)
            assert (again["x-cache"], again.headers.all("set-cookie")) == ("HIT", [])
            assert not any("cookie" in asked.headers for asked in origin.asked)

    asyncio.run(run())


def test_nothing_a_run_writes_holds_a_token_or_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Records, logs, stored bodies, keys, error pages, explanations: searched for every secret that was in play."""
    caplog.set_level(logging.DEBUG)
    secrets = {BASE64_SECRET, TEXT_SECRET, HEX_KEY}
    public: list[str] = []

    async def run() -> None:
        records = tmp_path / "fra.jsonl"
        async with (
            running_origin() as origin,
            running_node(origin.url, *RULES, records=records, service={"tokens": TOKENS}) as node,
        ):
            await serving(origin)

            async def short(_: Any, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncache-control: max-age=9\r\n\r\nshort")
                await writer.drain()
                writer.close()

            for name in TOKENS:
                origin.does(f"/{name}/short.m4s", short)
                origin.does("/open/short.m4s", short)
                for path in (
                    f"/{name}/a.m4s",
                    f"/{name}/live.m3u8",
                    f"/{name}/lost.m4s",
                    f"/{name}/short.m4s",
                    "/open/a.m4s",
                    "/open/short.m4s",
                ):
                    for end in (END, LONG_AGO):
                        token = query(name, node, path, end)
                        secrets.update(
                            value
                            for _, _, value in (part.partition("=") for part in token.split("&"))
                            if len(value) > 20
                        )
                        for target in (f"{path}?{token}", f"{path}?{token[:-3]}", f"{path}?{token}&{token}"):
                            reply = await node.get(target)
                            if reply.status != 200:
                                public.append(f"{reply.headers} {reply.body!r}")
                            told = await ask(
                                node.admin, f"/explain?url={target.replace('&', '%26').replace('+', '%2B')}"
                            )
                            # What an operator asks of an unguarded path, he is told with the key as he wrote it.
                            if not path.startswith("/open/"):
                                public.append(told.body.decode())
            for asked in origin.asked:
                if not asked.target.startswith("/open/"):
                    public.append(f"{asked.target} {asked.headers}")
            text = jwt.encode({"exp": END}, TEXT_SECRET, algorithm="HS256")
            secrets.add(text)
            for prefix in ("/jwt/a.m4s", "/open/a.m4s"):
                await node.get(f"/t/{text}{prefix}")
                await node.get(prefix, authorization=f"Bearer {text}", cookie=f"CTA-Common-Access-Token={text}")
            health = await ask(node.admin, "/healthz")
            public.append(health.body.decode())

    asyncio.run(run())
    written = (tmp_path / "fra.jsonl").read_text() + caplog.text + "".join(public)
    assert len(secrets) > 20
    assert written.count("\n") > 100
    for secret in secrets:
        assert secret not in written, secret
        signature = secret.rpartition("hmac=")[2].rpartition(".")[2].rpartition("_")[2]
        assert len(signature) < 20 or signature[:20] not in written, signature


def test_a_hit_with_token_and_country_has_a_plain_hits_head() -> None:
    async def run() -> None:
        rules = [
            Behavior(path="/fastly/*", token="fastly", geo=Geo(deny=("KP",), unknown="allow"), ttl=Ttl(default="60s"))
        ]
        async with running_origin() as origin, running_node(origin.url, *rules, service={"tokens": TOKENS}) as node:
            await serving(origin)
            target = f"/fastly/a.m4s?{query('fastly', node, '/fastly/a.m4s')}"
            await node.get(target)
            hit = await node.get(target)
            assert (hit.body, hit["cache-status"], hit["age"]) == (b"media", "fra; hit; ttl=60", "0")

    asyncio.run(run())


KEY_FILES = [  # token, what its file holds; where the complaint points, what it says
    (Fastly(key_file="no/such.key"), None, "token.t.key_file", "No such file"),
    (Fastly(key_file="k"), "not base64!", "token.t", "wanted a shared secret in base64"),
    (CloudFront(scheme="cloudfront", keys={"K1": "k"}), "not a key", "token.t", "K1: wanted a public key in PEM"),
    (Akamai(scheme="akamai", key_file="k"), "xyz", "token.t", "hexadecimal"),
    (Jwt(scheme="jwt", key_file="k"), "short", "token.t", "32 characters"),
    (Cat(scheme="cat", key_file="k"), "c2hvcnQ=", "token.t", "32 octets"),
]


@pytest.mark.parametrize(("token", "text", "where", "words"), KEY_FILES)
def test_a_key_file_that_holds_none_is_said_before_anything_is_served(
    token: Any, text: str | None, where: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "k").write_text(text)

    async def run() -> None:
        async with running_node("http://127.0.0.1:9", Behavior(path="*", token="t"), service={"tokens": {"t": token}}):
            pass

    with pytest.raises(BadKeyFile) as told:
        asyncio.run(run())
    assert told.value.where == where
    assert words in str(told.value)
    assert text is None or text not in str(told.value)
