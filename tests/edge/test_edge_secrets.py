"""No secret's bytes in anything a node writes or tells: every scheme of token, wherever it may stand, good and bad."""

import asyncio
import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from cdnlab.document import parse
from cdnlab.errors import BadDocument
from policy.profile import RFC9111
from policy.secrets import HIDDEN, Veil
from policy.service import Behavior, Key, Service, Ttl
from replay import read_trace, replay_node
from tests.edge.test_edge_tokens import END, TOKENS, query
from tests.kit.http import ask
from tests.kit.node import Running, running_node
from tests.kit.origin import running_origin

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
