"""Akamai EdgeAuth 2.0, held against Akamai's own signer in a process of its own: importing it sets TZ for all."""

import json
import subprocess
import sys

import pytest

from cdnkit.policy.token import Carriers, TokenFault
from cdnkit.policy.token.akamai import AkamaiToken, matches
from tests.kit.refusals import fault_of
from tests.kit.tokens import END, HEX_KEY, START, get

SIGNER = """
import json, sys
from akamai.edgeauth import EdgeAuth
for line in sys.stdin:
    how = json.loads(line)
    acl, url = how.pop("acl", None), how.pop("url", None)
    signer = EdgeAuth(**how)
    print(signer.generate_acl_token(acl) if acl else signer.generate_url_token(url))
"""

WISHES = [  # what Akamai's signer is asked for, and the path, address and settings for which it is good
    ({"acl": "/live/*", "start_time": START}, "/live/a", "", {}),
    ({"url": "/live/720p/seg_00042.m4s"}, "/live/720p/seg_00042.m4s", "", {}),
    ({"acl": ["/live/*", "/vod/*"], "ip": "192.0.2.7", "session_id": "s9", "payload": "p1", "salt": "pepper"}, "/vod/x", "192.0.2.7", {"salt": "pepper"}),
    ({"acl": "/*", "algorithm": "sha1"}, "/anything", "", {"hash": "sha1"}),
    ({"acl": "/*", "algorithm": "md5"}, "/anything", "", {"hash": "md5"}),
    ({"url": "/a b/ü?x=1", "escape_early": True, "payload": "k=v&x"}, "/a b/ü?x=1", "", {"escape_early": True}),
    ({"acl": "/?/x", "ip": "2001:db8::1", "escape_early": True}, "/a/x", "2001:db8::1", {"escape_early": True}),
]  # fmt: skip


@pytest.fixture(scope="module")
def signed_by_akamai() -> list[str]:
    asked = "\n".join(json.dumps({"key": HEX_KEY, "end_time": END, **wish[0]}) for wish in WISHES)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SIGNER],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("index", range(len(WISHES)))
def test_akamais_own_tokens_open(index: int, signed_by_akamai: list[str]) -> None:
    _, path, ip, settings = WISHES[index]
    token = AkamaiToken(HEX_KEY, param="", carriers=Carriers(headers=frozenset({"x-token"})), **settings)
    request = get(f"https://h{path.partition('?')[0]}", ip=ip, x_token=signed_by_akamai[index])
    request.path = path
    assert token.refusal(request, END - 1.0) is None
    assert fault_of(token.refusal(request, float(END))) is TokenFault.EXPIRED


VECTORS = [  # AUTH-5 to AUTH-7 of the vendor facts
    ({"acls": ("/live/*",), "starts_at": START}, "", "st=1767139200~exp=1767225600~acl=/live/*~hmac=d2108904c06be4c49e3586a31a4cb75bd4a7183a9df754b8f7d697103e79b6d7"),
    ({"url": "/live/720p/seg_00042.m4s"}, "", "exp=1767225600~hmac=ee5b1478f8c34021d097da0ab4437cf00811f73d7ecf93fec315fb4a7f23f83a"),
    ({"acls": ("/live/*", "/vod/*"), "ip": "192.0.2.7", "session_id": "s9", "payload": "p1"}, "pepper", "ip=192.0.2.7~exp=1767225600~acl=/live/*!/vod/*~id=s9~data=p1~hmac=7bae429398194d24b84d05a7ea0589553f3d7d11573bf265099dda1097875383"),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "salt", "token"), VECTORS)
def test_the_published_vectors(wish: dict[str, object], salt: str, token: str) -> None:
    assert AkamaiToken(HEX_KEY, salt=salt).sign(expires_at=END, **wish) == token  # type: ignore[arg-type]


LIVE = AkamaiToken(HEX_KEY).sign(expires_at=END, starts_at=START, acls=("/live/*", "/vod/?"), ip="192.0.2.7")


def signed(fields: str) -> str:
    """A token whose hmac is right, whatever its fields say."""
    return f"{fields}~hmac={AkamaiToken(HEX_KEY)._digest(fields, '')}"


CHECKS = [  # query, path, address, now, verdict
    (f"__token__={LIVE}", "/live/a/b", "192.0.2.7", START, None),
    (f"__token__={LIVE}", "/live/a/b", "192.0.2.7", START - 1, TokenFault.EARLY),
    (f"__token__={LIVE}", "/live", "192.0.2.7", START, TokenFault.PATH),
    (f"__token__={LIVE}", "/vod/ab", "192.0.2.7", START, TokenFault.PATH),
    (f"__token__={LIVE}", "/live/a", "192.0.2.8", START, TokenFault.ADDRESS),
    (f"__token__={LIVE}", "/live/a", "", START, TokenFault.ADDRESS),
    (f"__token__={LIVE.replace('~', '%7E').replace('*', '%2A')}", "/live/a", "192.0.2.7", START, None),  # a client's encoding
    (f"__token__={LIVE.upper()}", "/live/a", "192.0.2.7", START, TokenFault.MALFORMED),
    (f"__token__={LIVE.replace(str(END), str(END + 9))}", "/live/a", "192.0.2.7", START, TokenFault.FORGED),
    (f"__token__={LIVE.replace('192.0.2.7', '192.0.2.8')}", "/live/a", "192.0.2.8", START, TokenFault.FORGED),
    (f"__token__=exp={END}~{LIVE}", "/live/a", "192.0.2.7", START, TokenFault.MALFORMED),  # a field twice
    (f"__token__={signed(f'exp={END}~acl=/live/*~admin=1')}", "/live/a", "", START, TokenFault.MALFORMED),  # what it asks for is not known
    (f"__token__={signed('acl=/live/*')}", "/live/a", "", START, TokenFault.MALFORMED),
    (f"__token__={signed('exp=soon~acl=/live/*')}", "/live/a", "", START, TokenFault.MALFORMED),
    (f"__token__={signed(f'exp={END}~acl=/live/*~ip=here')}", "/live/a", "", START, TokenFault.MALFORMED),
    (f"__token__={signed(f'acl=/live/*~exp={END}')}", "/live/a", "", START, None),  # any order, as it was signed
]  # fmt: skip


@pytest.mark.parametrize(("query", "path", "ip", "now", "wanted"), CHECKS)
def test_checks(query: str, path: str, ip: str, now: float, wanted: TokenFault | None) -> None:
    refusal = AkamaiToken(HEX_KEY).refusal(get(f"https://h{path}?{query}", ip=ip), now)
    assert fault_of(refusal) is wanted


def test_one_signature_for_all_of_an_acl_and_one_each_for_urls() -> None:
    token = AkamaiToken(HEX_KEY)
    for number in range(20):
        assert token.refusal(get(f"https://h/live/{number}?__token__={LIVE}"), START) is None
    assert len(token._memo) == 1
    for number in range(20):
        url = token.sign(expires_at=END, url=f"/live/{number}")
        assert token.refusal(get(f"https://h/live/{number}?__token__={url}"), START) is None
    assert len(token._memo) == 21


@pytest.mark.parametrize(
    ("acl", "path", "covered"),
    [("/a/*", "/a/", True), ("/a/*", "/a", False), ("/a.b", "/axb", False), ("*", "/", True)],
)
def test_acls(acl: str, path: str, covered: bool) -> None:
    assert matches(acl, path) is covered


@pytest.mark.parametrize("key", ["", "abc", "no hex", "zz"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        AkamaiToken(key)
