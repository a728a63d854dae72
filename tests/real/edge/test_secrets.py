"""No secret's bytes in anything a node writes or tells: every scheme of token, wherever it may stand, good and bad."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from cdnkit.policy.record.secrets import HIDDEN, Veil
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Key, Service, Ttl
from cdnkit.replay import read_trace, replay_node
from cdnlab.errors import BadDocument
from cdnlab.settings.document import parse
from tests.kit.http import ask
from tests.kit.loops import uvloop_alone  # noqa: F401
from tests.kit.node import Running, running_node
from tests.kit.origin import running_origin
from tests.real.edge.test_tokens import END, TOKENS, query

ADMIN = "the-admins-own-0123456789"
COOKIE, BEARER, API_KEY, SET, SIGNED, VERIFY = (
    f"{word}-5ec4e7-of-somebody" for word in ("ck", "br", "ak", "sc", "sg", "ov")
)
KEYED = Behavior(
    path="/keyed/*", ttl=Ttl(default="60s"), key=Key(cookies="all", headers=("authorization", "x-api-key"), query="all")
)
RULES = [
    KEYED,
    *(Behavior(path=f"/{name}/*", token=name, ttl=Ttl(default="60s")) for name in TOKENS),
    Behavior(path="*", ttl=Ttl(default="60s")),
]


def carried(node: Running) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(path, query, fields): each token in each place, for the right behavior and for one that asks for none."""
    for name in TOKENS:
        for path in (f"/{name}/a.bin", "/open/a.bin"):
            # signed for the path, and also sent where nobody asks for it; and spoilt
            told = query(name, node, f"/{name}/a.bin", END)
            yield path, told, {}
            yield path, told[:-4] + "0000", {}
            value = told.partition("=")[2]
            yield path, "", {"authorization": f"Bearer {value}"}
            yield path, "", {"cookie": f"hdntl={value}; CTA-Common-Access-Token={value}"}
            yield path, "", {"CTA-Common-Access-Token": value}
            yield f"/t/{value}{path}", "", {}
            for prefix in ("/T/", "//t/", "/./t/", "/%74/", "/%2574/"):
                yield f"{prefix}{value}{path}", "", {}
            for spelled in SPELLED:
                yield path, "&".join(spelled(*pair.split("=", 1)) for pair in told.split("&")), {}
            for way in IN_PATHS:
                yield "".join(way(*pair.split("=", 1)) for pair in told.split("&")) + path, "", {}
            for cookie in (f"CTA%2DCommon-Access-Token={value}", f"a=1;{value}", f'HDNTL="{value}"', f"; =;{value};"):
                yield path, "", {"cookie": cookie}
            yield path, "", {"referer": f"https://elsewhere/#{told}"}


def _encoded(text: str) -> str:
    return "".join(f"%{ord(one):02x}" for one in text)


SPELLED: list[Callable[[str, str], str]] = [  # a parameter's name and a good token -> what somebody sends
    lambda name, value: f"{name.upper()}={value}",
    lambda name, value: f"{name.title()}={value}",
    lambda name, value: f"%{ord(name[0]):02X}{name[1:]}={value}",
    lambda name, value: f"{_encoded(name)}={value}",
    lambda name, value: f"{quote(_encoded(name))}={value}",  # twice
    lambda name, value: f"{quote(quote(_encoded(name)))}={value}",
    lambda name, value: f"{name}[]={value}",
    lambda name, value: f"{name}%5B0%5D={value}",
    lambda name, value: f"user[{name}]={value}",
    lambda name, value: f"{'x' * 300}.{name}={value}",
    lambda name, value: f"+{name}+={value}",
    lambda name, value: f"%20{name}%00={value}",
    lambda name, value: f"amp;{name}={value}",  # an ampersand as HTML writes it
    lambda name, value: f"&#{ord(name[0])};{name[1:]}={value}",
    lambda name, value: f"%26%23{ord(name[0])}%3B{name[1:]}={value}",
    lambda name, value: f"a=1;{name}={value}",
    lambda name, value: f"a;{name}={value}",
    lambda name, value: f"{name}%3D{value}",
    lambda name, value: f"a=1%26{name}%3D{value}",
    lambda name, value: f"a=1%2526{name}%253D{value}",
    lambda name, value: f"url={quote(f'https://elsewhere/a?{name}={value}', safe='')}",
    lambda name, value: f"?{name}={value}",
    lambda name, value: f"q={quote(json.dumps({name: value}))}",
    lambda name, value: f"{name}:{value}",
    lambda name, value: f"{quote(''.join(chr(0xFEE0 + ord(one)) if one.isalpha() else one for one in name))}={value}",
]
IN_PATHS: list[Callable[[str, str], str]] = [
    lambda name, value: f"/{name}={value}",
    lambda name, value: f"/a;{name}={value}",
    lambda name, value: f"/{name.upper()}%3D{value}",
    lambda name, value: f"/a%3Fb%26{name}%3D{value}",
]


def pieces(text: str) -> set[bytes]:
    """What of a query or a field is secret: the values, as they are and as JSON and URLs write them."""
    found: set[bytes] = set()
    for pair in text.split("&"):
        value = pair.partition("=")[2]
        if len(value) >= 12:
            found |= {value.encode(), quote(value, safe="").encode(), json.dumps(value)[1:-1].encode()}
    return found


def test_no_secret_in_anything_a_node_writes_or_tells(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    records = tmp_path / "fra.jsonl"
    secrets = {ADMIN.encode()} | {word.encode() for word in (COOKIE, BEARER, API_KEY, SET, SIGNED, VERIFY)}
    secrets |= {token.key.encode() for token in TOKENS.values() if getattr(token, "key", None)}
    told: list[bytes] = []

    async def explained(node: Running, path: str, text: str, fields: dict[str, str]) -> bytes:
        target = f"{path}?{text}" if text else path
        asked: list[tuple[str, str]] = [("url", target), *(("header", f"{n}: {v}") for n, v in fields.items())]
        reply = await ask(node.admin, f"/explain?{urlencode(asked)}", authorization=f"Bearer {ADMIN}")
        assert reply.status == 200, reply.body
        return reply.body

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(
                origin.url,
                *RULES,
                records=records,
                service={"tokens": TOKENS},
                admin_token=ADMIN,
                parent_headers={"X-Origin-Verify": VERIFY},
            ) as node,
        ):
            said = {
                "set_cookie": f"s={SET}", "vary": "cookie, authorization, referer",
                "cache_control": "public, max-age=60", "location": f"/b?a=1&token={SIGNED}",
            }  # fmt: skip
            for path in ("/keyed/a", "/open/a.bin", "/vary"):
                origin.says(path, b"body", **said)
            passed = 0
            for path, text, fields in carried(node):
                secrets.update(pieces(text))
                secrets.update(
                    piece for value in fields.values() for piece in pieces(f"x={value.partition(' ')[2] or value}")
                )
                reply = await ask(node.url, f"{path}?{text}" if text else path, **fields)
                passed += reply.status in (200, 404)
                told.append(reply.body)
                told.append(await explained(node, path, text, fields))
            assert passed > 10, "else nothing was let in, and nothing is shown by it"
            mine = {
                "authorization": f"Bearer {BEARER}", "cookie": f"a={COOKIE}", "x-api-key": API_KEY,
                "referer": f"https://elsewhere/?id_token={SIGNED}&a=1",
            }  # fmt: skip
            query_of_mine = f"a=1&X-Amz-Signature={SIGNED}"
            for _ in range(2):
                await ask(node.url, f"/keyed/a?{query_of_mine}", **mine)
                await ask(node.url, "/vary", **mine)
            told.append(await explained(node, "/keyed/a", query_of_mine, mine))
            told.append(await explained(node, "/vary", "", mine))
            keys = json.loads(told[-2])
            assert keys["next"] == "hit" and ["cookie", HIDDEN] in keys["key_parts"] and "a=1" in keys["key"]
            vary = json.loads(told[-1])["stored"][0]["vary"]
            assert vary["cookie"] == HIDDEN and vary["referer"] == f"https://elsewhere/?id_token={HIDDEN}&a=1"
            told.append((await ask(node.admin, "/explain?url=/a")).body)  # 401
            told.append((await ask(node.admin, "/healthz")).body)
            for url, purged in ((f"/keyed/a?{query_of_mine}", 1), (f"/vary?TOKEN={SIGNED}&b=\u4e2d", 0)):
                assert (await _ordered(node, url))["purged"] == purged
            await ask(node.url, f"/keyed/a?{query_of_mine}", **mine)
            origin.does("/gone", _hangs_up)
            told.append((await ask(node.url, f"/gone?token={SIGNED}", **mine)).body)

    asyncio.run(run())
    captured = capfd.readouterr()
    shown = b"\n".join(
        [*told, records.read_bytes(), caplog.text.encode(), captured.out.encode(), captured.err.encode()]
    )
    assert len(secrets) > 20 and {secret for secret in secrets if secret in shown} == set()

    trace = read_trace(records)
    replayed = replay_node(trace, Service(name="fra", behaviors=tuple(RULES), tokens=TOKENS), RFC9111)
    assert replayed.differences == [] and replayed.requests > 50


async def _ordered(node: Running, url: str) -> dict[str, Any]:
    order = json.dumps({"url": url}).encode()
    reply = await ask(node.admin, "/purge", method="POST", body=order, authorization=f"Bearer {ADMIN}")
    told: dict[str, Any] = json.loads(reply.body)
    return told


async def _hangs_up(asked: Any, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_reveal_is_for_who_has_the_admin_token_on_the_nodes_machine() -> None:
    async def run() -> None:
        asked = (
            f"/explain?{urlencode({'url': f'/keyed/a?token={SIGNED}', 'header': f'cookie: a={COOKIE}', 'reveal': 1})}"
        )
        async with running_origin() as origin, running_node(origin.url, KEYED, admin_token=ADMIN) as node:
            assert (await ask(node.admin, asked)).status == 401
            reply = await ask(node.admin, asked, authorization=f"Bearer {ADMIN}")
            assert reply.status == 200 and COOKIE.encode() in reply.body and SIGNED.encode() in reply.body
        async with running_origin() as origin, running_node(origin.url, KEYED) as node:
            reply = await ask(node.admin, asked)
            assert reply.status == 403 and b"wanted a node with an admin_token" in reply.body

    asyncio.run(run())


BAD = [  # a settings file with a secret that is written wrong
    '[token.viewer]\nscheme = "fastly"\nkey = "{}*"',
    '[token.viewer]\nscheme = "akamai"\nkey = "{}"',
    '[token.viewer]\nscheme = "fastly"\nkey = "{}',
    '[[node]]\nname = "fra"\nadmin_token = "{}\\u00e9"',
    '[[node]]\nname = "fra"\nshared = "foo://user:{}@h"',
    '[control]\nlisten = "0.0.0.0:1"\nsecret_access_key = ["{}"]',
]


@pytest.mark.parametrize("text", BAD)
def test_complaints_show_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadDocument) as refused:
        parse(text.replace("{}", SIGNED), file="cdn.toml", folder=tmp_path, environ={})
    assert (SIGNED not in str(refused.value) and "a value that is not shown" in str(refused.value)) or "..." in str(
        refused.value
    )


def test_the_settings_as_run_show_none(tmp_path: Path) -> None:
    key = base64.b64encode(SIGNED.encode()).decode()
    text = (
        f'[token.viewer]\nscheme = "fastly"\nkey = "{key}"\n[[node]]\nname = "fra"\nadmin_token = "{SIGNED}"\n'
        f'shared = "redis://u:{SIGNED}@127.0.0.1:1"\nparent_headers = {{ "X-A" = "{SIGNED}" }}\n[control]\nsecret_access_key = "{SIGNED}"\n'
        f'fastly_token = "{SIGNED}"\n[[stream]]\nname = "a"\nsource = "srt://u:{SIGNED}@h?passphrase={SIGNED}"\n'
    )
    public = json.dumps(parse(text, file="cdn.toml", folder=tmp_path, environ={}).public())
    assert key not in public and SIGNED not in public and (public.count(HIDDEN), public.count("***")) == (6, 2)


KEYS = [  # a key, as people are shown it
    ("/a?x=1&token=s", f"/a?x=1&token={HIDDEN}"),
    ("/a\nhost: h\ncookie: a=s", f"/a\nhost: h\ncookie: {HIDDEN}"),
    ("/a\nauthorization: \nx-own: s", f"/a\nauthorization: \nx-own: {HIDDEN}"),
    ("/a?own=s&flag", f"/a?own={HIDDEN}&flag"),
    ("/a", "/a"),
]


@pytest.mark.parametrize(("key", "shown"), KEYS)
def test_a_key_as_it_is_shown(key: str, shown: str) -> None:
    assert Veil(("own",), ("x-own",)).key(key) == shown


SPELLINGS = [  # what is asked for, and as it is shown
    ("/a?x=1;b=2&flag&c", "/a?x=1;b=2&flag&c"),
    ("/a?n=200:300&t=a%3Db", "/a?n=200:300&t=a%3Db"),
    ("/live/seg-1;v=2.m4s", "/live/seg-1;v=2.m4s"),
    ("/tokens/policy/signature.html", "/tokens/policy/signature.html"),
    ("/a?CMCD=br%3D3200%2Csid%3D%22a%22", "/a?CMCD=br%3D3200%2Csid%3D%22a%22"),
    ("/a?OWN=s", f"/a?OWN={HIDDEN}"),
    ("/a?%6fwn=s&b", f"/a?%6fwn={HIDDEN}&b"),
    ("/a?b;own=s", f"/a?b;own={HIDDEN}"),
    ("/a?own%3ds", f"/a?{HIDDEN}"),
    ("/a?to=http://h/?own=s&b", f"/a?to=http://h/?own={HIDDEN}&b"),
    ("/a;own=s/b", f"/a;own={HIDDEN}/b"),
    ("/p/s/a", f"/p/{HIDDEN}/a"),
    ("/%70//s/a?b", f"/%70//{HIDDEN}/a?b"),
    ("/a#own=s", f"/a#own={HIDDEN}"),
    ("/a?b&#111;wn=s", f"/a?b&#111;wn={HIDDEN}"),
    ("/a?b=1&#111;wn=s", f"/a?b=1&#111;wn={HIDDEN}"),
    ("/a?authz=Bearer%20s", f"/a?authz={HIDDEN}"),
]


@pytest.mark.parametrize(("target", "shown"), SPELLINGS)
def test_a_target_as_it_is_shown(target: str, shown: str) -> None:
    assert Veil(("own",), (), ("/p/",)).target(target) == shown


@pytest.mark.long
def test_a_long_target_is_looked_at_in_time() -> None:
    """Nobody slows a node down by what is looked for: a hundred times as long takes a hundred times as much."""
    veil = Veil(("own",), (), ("/p/",))
    for text in ("a" * 90_000, "a=" * 45_000, "%25" * 30_000, "a " * 45_000 + "=", "/" * 90_000, "[." * 45_000 + "="):
        started = time.process_time()
        veil.target(f"/{text}?{text}#{text}")
        assert time.process_time() - started < 5
