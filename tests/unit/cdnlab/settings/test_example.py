"""The file that `cdnlab init` writes, the schema and the reference page: none may know more or less than the models."""

import base64
import json
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel

from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.tokens import Akamai, Cat, CloudFront, Fastly, Jwt
from cdnkit.serving.authority import make
from cdnkit.settings.edge import Node, Whereabouts
from cdnkit.settings.encryption import Encryption
from cdnkit.settings.ingest import Encoder
from cdnkit.settings.load import Load
from cdnkit.settings.origin import Origin
from cdnkit.settings.transcode import Stream
from cdnlab.control.settings import Control
from cdnlab.settings import example, schema
from cdnlab.settings.document import Document, parse
from cdnlab.settings.schema import models_of

ROOT = Path(__file__).parents[4]


def keys_of(model: type[BaseModel], path: str = "") -> set[str]:
    """Every key a file may have: `behavior.ttl.min`; tables by name count as one."""
    found = set()
    for name, info in model.model_fields.items():
        key = path + (info.alias or name)
        models, kind = ([], "") if key in AS_AT_THE_TOP else models_of(info.annotation)
        for inner in models:
            found |= keys_of(inner, f"{key}.{'NAME.' if kind == 'named' else ''}")
        if not models:
            found.add(key)
    return found


AS_AT_THE_TOP = {"service.NAME.behavior", "service.NAME.error_page"}
"""The tables of a service, whose keys are shown at the top."""

THE_USERS_OWN = {
    "geo.countries", "geo.asns", "token.NAME.keys", "node.parent_headers", "behavior.error_ttls",
    "origin.steering.pathways",
    *(f"response_headers.NAME.{key}" for key in ("set", "set_if_absent", "append")),
}  # fmt: skip
"""Tables that are values: their keys are networks, key ids, fields, statuses, pathways."""


def keys_in(data: Any, path: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in data.items():
        if path in ("token.", "response_headers.", "service.", "origin.encoders."):
            key = "NAME"
        if isinstance(value, dict) and path + key not in THE_USERS_OWN:
            found |= keys_in(value, f"{path}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict) and path + key not in AS_AT_THE_TOP:
            for one in value:
                found |= keys_in(one, f"{path}{key}.")
        else:
            found.add(path + key)
    return found


def uncommented(text: str) -> str:
    """With every `#key = value` and `#[table]` made a setting; prose comments have a space after the #."""
    return re.sub(r"(?m)^#(?=[a-z0-9_]+ = |\[)", "", text)


def test_it_is_good_as_it_is() -> None:
    document = parse(example.text(), file="cdn.toml", folder=ROOT, environ={}).document
    assert [node.name for node in document.edges()] == ["fra", "nyc"]


def test_every_key_is_in_it_and_every_key_in_it_exists() -> None:
    assert keys_in(tomllib.loads(uncommented(example.text()))) == keys_of(Document)


TABLES = re.findall(r"(?m)^#\[.+\]\n(?:#.*\n)+", example.text())
"""Tables that are comments as a whole."""

ALONE = re.sub(r"(?m)^#\[.+\]\n(?:#.*\n)+", "", example.text())
OPTIONS = [line for line in ALONE.splitlines() if re.match(r"#[a-z_]+ = ", line)]


@pytest.mark.parametrize("line", OPTIONS, ids=[line.split(" = ")[0] for line in OPTIONS])
def test_each_option_can_be_uncommented(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ALONE.replace(line, line[1:])
    if line.startswith("#key_file"):
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys" / "viewer.b64").write_text("c2VjcmV0")
        text = re.sub(r'(?m)^key = ".*$', "", text)
    if line.startswith(("#listen_tls", "#tls", "#ingest_tls", "#ingest_client_ca")):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        _write_certificates(tmp_path)
        if line.startswith("#ingest"):
            text = text.replace("#ingest_tls", "ingest_tls")
        else:
            text = text.replace("#listen_tls", "listen_tls")
    parse(text, file="cdn.toml", folder=tmp_path, environ={})


def _write_certificates(folder: Path) -> None:
    """Those that the example names; the local CA is in the folder, too."""
    authority = make(folder / "cdnlab" / "ca", time.time())
    certificate, key = authority.issue(["localhost"], time.time())
    (folder / "tls").mkdir()
    for name, pem in (("cdn.pem", certificate), ("cdn-key.pem", key), ("encoders.pem", certificate)):
        (folder / "tls" / name).write_bytes(pem)


PUBLIC = rsa.generate_private_key(65537, 2048).public_key()
KEYS = {
    "keys/cloudfront.pem": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "keys/jwt.pem": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "keys/akamai.hex": "52a152a152a152a152a152a152a1",
    "keys/cat.b64": base64.b64encode(bytes(32)).decode(),
    "keys/studio": "correct horse",
    "keys/streams": "a secret of streams",
    "keys/studio-token": "T0ken-of-studio",
}


@pytest.mark.parametrize("table", TABLES, ids=[table.splitlines()[0] for table in TABLES])
def test_each_commented_table_can_be_uncommented(table: str, tmp_path: Path) -> None:
    text = example.text()
    if "#certificate" in table:
        text = re.sub(r"(?m)^#(?=ingest_client_ca|ingest_tls)", "", text)
        _write_certificates(tmp_path)
    (tmp_path / "keys").mkdir()
    for name, key in KEYS.items():
        (tmp_path / name).write_text(key)
    parse(text.replace(table, uncommented(table)), file="cdn.toml", folder=tmp_path, environ={})


def test_a_commented_default_is_the_default() -> None:
    """Where a model has a default that can be written down, the comment shows that one."""
    models = {
        "stream": Stream,
        "behavior": Behavior,
        "response_headers.player": ResponseHeaders,
        "token.viewer": Fastly,
        "token.signed": CloudFront,
        "token.edgeauth": Akamai,
        "token.claims": Jwt,
        "token.common": Cat,
        "node": Node,
        "origin": Origin,
        "origin.encryption": Encryption,
        "origin.encoders.studio": Encoder,
        "origin.encoders.truck": Encoder,
        "control": Control,
        "load": Load,
        "geo": Whereabouts,
    }
    required: dict[str, Any] = {
        "behavior": {"path": "*"},
        "token.viewer": {"key": "c2VjcmV0"},
        "token.signed": {"scheme": "cloudfront", "keys": {"K": "k.pem"}},
        "token.edgeauth": {"scheme": "akamai", "key": "00"},
        "token.claims": {"scheme": "jwt", "key": "k"},
        "token.common": {"scheme": "cat", "key": "k"},
        "node": {"name": "a"},
        "origin.encoders.studio": {"token_file": "t"},
    }
    samples = {
        "streams",
        "header",
        "hostnames",
        "segment",
        "timeouts",
        "health",
        "link",
        "linger",
        "geo",
        "lifetimes",
        "storage",
        "s3",
        "recordings",
        "asns",
        "client_from",
        "purge_requests",
        "tls",
        "rate_limit",
        "cors",
        "security",
        "set_if_absent",
        "append",
        "remove",
        "parent_headers",
        "error_ttls",
        "purge_log",
    }  # left out, they follow something else
    section, compared = "", 0
    for line in example.text().splitlines():
        if header := re.match(r"#?\[+([a-z.]+)\]+$", line):
            section = header[1]
        elif section.startswith("service."):
            continue  # all samples
        elif (option := re.match(r"#([a-z0-9_]+) = ", line)) and option[1] not in samples:
            model = models[section]
            info = model.model_fields[option[1]]
            default = info.default
            if default is not None and not info.is_required():
                values = required.get(section, {}) | tomllib.loads(line[1:])
                assert getattr(model.model_validate(values), option[1]) == default, line
                compared += 1
    assert compared > 20


def test_two_files_have_two_keys() -> None:
    first, second = (tomllib.loads(example.text())["token"]["viewer"]["key"] for _ in range(2))
    assert first != second


def test_the_reference_page_is_current() -> None:
    page = ROOT / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == schema.markdown() + "\n", "`make docs` writes it anew"


def test_the_schema_speaks_of_every_table() -> None:
    made = schema.json_schema()
    assert set(made["properties"]) == {
        "profile",
        "observed",
        "hostnames",
        "service",
        "stream",
        "behavior",
        "response_headers",
        "error_page",
        "token",
        "geo",
        "node",
        "origin",
        "control",
        "load",
        "purge_log",
    }
    assert made["additionalProperties"] is False
    assert made["$defs"]["Node"]["properties"]["memory"]["description"]
    json.dumps(made)
