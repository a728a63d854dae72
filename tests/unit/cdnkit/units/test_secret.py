"""A secret setting is known by its type: shown nowhere, in whichever way it is written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.service import Service
from cdnkit.units import HIDDEN, Secret, Settings
from cdnkit.units.secret import hidden, marks
from cdnlab.control.settings import DUMMY
from cdnlab.errors import BadDocument
from cdnlab.settings.document import Document, parse
from cdnlab.settings.schema import json_schema

PIN = "hunter2"
SHARED = f"redis://u:{PIN}@127.0.0.1:1"
KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMy"

WHERE = {  # secret setting -> a document with it, `{}` in its place
    "token.key": '[token.v]\nscheme = "akamai"\nkey = {}',
    "token.salt": f'[token.v]\nscheme = "akamai"\nkey = "{"0a" * 32}"\nsalt = {{}}',
    "node.admin_token": '[[node]]\nname = "a"\nadmin_token = {}',
    "node.shared": '[[node]]\nname = "a"\nshared = {}',
    "node.parent_headers": '[[node]]\nname = "a"\nparent_headers = {{ "X-A" = {} }}',
    "control.secret_access_key": "[control]\nsecret_access_key = {}",
    "control.fastly_token": "[control]\nfastly_token = {}",
    "origin.encoders.password": "[origin.encoders.a]\npassword = {}",
    "origin.encoders.token": "[origin.encoders.a]\ntoken = {}",
    "purge_log": "purge_log = {}",
    "stream.source": "[[stream]]\nsource = {}",
}


def written(where: str, value: str) -> str:
    return (
        WHERE[where].replace("{{", "\0").replace("}}", "\1").replace("{}", value).replace("\0", "{").replace("\1", "}")
    )


def good(where: str) -> str:
    if where in ("node.shared", "purge_log"):
        return SHARED
    if where == "stream.source":
        return f"rtsp://u:{PIN}@h/"
    if where.startswith("origin."):
        return f"{PIN}-{PIN}"
    return PIN.encode().hex() * 8 if where == "token.key" else PIN


def refused(text: str) -> str:
    with pytest.raises(BadDocument) as bad:
        parse(text, file="cdn.toml", folder=Path(), environ={})
    return str(bad.value)


@pytest.mark.parametrize("where", WHERE)
def test_the_settings_as_run_do_not_show_it(where: str) -> None:
    loaded = parse(written(where, f'"{good(where)}"'), file="cdn.toml", folder=Path(), environ={})
    public = json.dumps(loaded.public())
    assert PIN not in public and PIN.encode().hex() not in public
    assert HIDDEN in public or "***" in public


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("bad", ['["{}"]', '[["{}"]]', '{{ a = "{}" }}', '{{ a = ["{}"] }}', '"{}'])
def test_no_complaint_quotes_it(where: str, bad: str) -> None:
    value = bad.replace("{{", "{").replace("}}", "}").replace("{}", good(where))
    complaint = refused(written(where, value))
    assert PIN not in complaint and PIN.encode().hex() not in complaint


SHAPES = [  # a table where an array of them was wanted, the other way round, and a secret in one line with other keys
    f'[node]\nname = "a"\nadmin_token = "{PIN}"',
    f'[[control]]\nsecret_access_key = "{PIN}"',
    f'[[token]]\nkey = "{PIN}"',
    f'[token]\nkey = "{PIN}"',
    f'[[node]]\nname = "a"\nparent_headers = "{PIN}"',
    f'token.v = {{ scheme = "akamai", key = "{PIN}" ]',
    f'token.v.key = "{PIN}',
    f'control = {{ fastly_token = ["{PIN}"] }}',
    f'[stream]\nsource = "rtsp://u:{PIN}@h"',
    f'[[node]]\nname = "a"\nparent = "http://u:{PIN}@h"',
    f'[[node]]\nname = "a"\nfailover = {{ to = ["ftp://u:{PIN}@h"] }}',
    f'[[stream]]\nsource = ["rtsp://u:{PIN}@h"]',
    f'[service.s]\nhostnames = ["h"]\norigin = "ftp://u:{PIN}@h/"',
]


@pytest.mark.parametrize("text", SHAPES)
def test_nor_does_a_complaint_about_what_is_around_it(text: str) -> None:
    assert PIN not in refused(text)


def test_a_variable_that_is_not_set_is_named() -> None:
    assert "${PIN}" in refused('[[node]]\nname = "a"\nadmin_token = "${PIN}"')


def test_the_rules_of_a_life_show_none() -> None:
    """What a node's life under a distribution leaves in its run folder, the tokens' keys among it."""
    document = parse(
        f'[token.v]\nkey = "{KEY}"\n[[behavior]]\npath = "*"\ntoken = "v"\n[control]\nfastly_token = "{PIN}"\n'
        f'[[node]]\nname = "a"\nparent_headers = {{ "X-A" = "{PIN}", Host = "h" }}',
        file="cdn.toml", folder=Path(), environ={},
    ).document  # fmt: skip
    rules = hidden(document.service(document.nodes[0]).model_dump(mode="json"), Service)
    assert KEY not in str(rules) and PIN not in str(rules)
    assert Service.model_validate(rules).tokens["v"].key == HIDDEN


def test_the_schema_says_which_they_are() -> None:
    definitions = json_schema()["$defs"]
    secret = {
        (name, key)
        for name, model in definitions.items()
        for key, value in model.get("properties", {}).items()
        if '"writeOnly": true' in json.dumps(value)
    }
    assert {("Control", "fastly_token"), ("Akamai", "key"), ("Akamai", "salt"), ("Node", "admin_token")} <= secret
    assert {("Node", "shared"), ("Node", "parent_headers"), ("Control", "secret_access_key")} <= secret
    assert ("Node", "listen") not in secret and ("Akamai", "key_file") not in secret
    assert definitions["Control"]["properties"]["fastly_token"]["default"] == DUMMY


def test_the_settings_that_have_secrets_are_these() -> None:
    whole = {name for name, mark in marks(Document) if not mark.partly}
    keys = {where.rpartition(".")[2] for where in WHERE} - {"source"}
    assert whole == keys


class Safe(Settings):
    combination: Secret = ""


class House(Settings):
    safes: tuple[Safe, ...] = ()
    by_room: dict[str, Safe | None] = {}
    words: tuple[Secret, ...] | None = None


HOUSES: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"safes": [{"combination": PIN}]}, {"safes": [{"combination": HIDDEN}]}),
    ({"by_room": {"hall": {"combination": PIN}}}, {"by_room": {"hall": {"combination": HIDDEN}}}),
    ({"words": [PIN, PIN], "other": PIN}, {"words": [HIDDEN, HIDDEN], "other": PIN}),
    ({"safes": [{"combination": ""}], "words": None}, {"safes": [{"combination": ""}], "words": None}),
    ({"safes": {"combination": 7}}, {"safes": {"combination": HIDDEN}}),
]


@pytest.mark.parametrize(("given", "then"), HOUSES)
def test_a_new_secret_needs_its_type_alone(given: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    assert hidden(given, House) == then


def test_a_replay_reads_the_settings_as_run() -> None:
    """The name that a parent is asked under is hidden like every field that is put on; it is still a good setting."""
    text = '[[node]]\nname = "a"\nparent_headers = { Host = "origin.example.com" }'
    public = parse(text, file="cdn.toml", folder=Path(), environ={}).public()
    assert Document.model_validate(public).nodes[0].parent_headers == {"Host": HIDDEN}
