"""Checks on the files that the settings name: certificates, keys, databases, sources."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cdnkit.geo.databases import IPTOCC, BadDatabase, open_databases
from cdnkit.policy.rules.tokens import CloudFront
from cdnkit.policy.token import scheme_of
from cdnkit.serving.authority import Authority, BadAuthority
from cdnkit.serving.certificates import flaw_of, flaw_of_authorities
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.certificate import Certificate
from cdnkit.settings.edge import Node
from cdnkit.settings.encoder_secrets import BadCredentials, secrets_of
from cdnkit.settings.encryption import read_secret
from cdnkit.settings.origin import Origin
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown
from cdnlab.settings.positions import Path as KeyPath


def certificates(draft: Draft) -> Iterator[Finding]:
    for index, node in draft.nodes.items():
        yield from _trust(draft.folder, index, node)
        if node.listen_tls is None:
            continue
        yield from _certificate(draft.folder, ("node", index, "listen_tls"), ("node", index, "tls"), node.tls)
    origin: Origin | None = draft.origin
    if origin is not None and origin.ingest_tls is not None:
        path: KeyPath = ("origin", "ingest_tls")
        yield from _certificate(draft.folder, path, path, origin.ingest_tls)


def _certificate(
    folder: Path, where: KeyPath, table: KeyPath, tls: Literal["local"] | Certificate
) -> Iterator[Finding]:
    """`where`: the setting that asks for TLS; `table`: the one that has the pair of files."""
    if tls == "local":
        try:
            Authority(authority_folder())
        except BadAuthority as bad:
            found = f"no CA that can be used ({bad.where}: {bad.why})"
            yield Finding(where, found, f"the local CA, or {table[-1]} with a pair of files", bad.hint)
        return
    pair = tls.beneath(folder)
    flaw = flaw_of(pair.certificate, pair.key, time.time())
    if flaw is not None:
        path: KeyPath = (*table, "certificate" if flaw[0] == pair.certificate else "key")
        yield Finding(path, f"{shown(str(flaw[0]))} ({flaw[1]})", "a certificate that is valid today, and its key")


def encoders(draft: Draft) -> Iterator[Finding]:
    """The files with the credentials of encoders, with their authorities, and with secrets of encryption."""
    origin: Origin | None = draft.origin
    if origin is None:
        return
    if origin.ingest_client_ca is not None:
        flaw = flaw_of_authorities(draft.folder / origin.ingest_client_ca)
        if flaw is not None:
            found = f"{shown(str(origin.ingest_client_ca))} ({flaw})"
            yield Finding(("origin", "ingest_client_ca"), found, "a file of certificates in PEM")
    for name, encoder in origin.encoders.items():
        try:
            tuple(secrets_of(name, encoder, draft.folder))
        except BadCredentials as bad:
            yield Finding(("origin", "encoders", name, bad.where.rpartition(".")[2]), bad.found, bad.wanted)
    for index, one in enumerate(origin.encryption):
        try:
            if one.secret_file is not None:
                read_secret("", draft.folder / one.secret_file)
        except BadCredentials as bad:
            yield Finding(("origin", "encryption", index, "secret_file"), bad.found, bad.wanted)


def _trust(folder: Path, index: int, node: Node) -> Iterator[Finding]:
    path: KeyPath = ("node", index, "parent_ca")
    if node.parent_ca == "local":
        try:
            Authority(authority_folder())
        except BadAuthority as bad:
            yield Finding(path, f"no CA that can be used ({bad.where}: {bad.why})", "the local CA", bad.hint)
    elif node.parent_ca != "system":
        flaw = flaw_of_authorities(folder / node.parent_ca)
        if flaw is not None:
            yield Finding(path, f"{shown(str(node.parent_ca))} ({flaw})", '"system", "local" or a file of certificates')


_NEW_KEY = {
    "fastly": "head -c 32 /dev/urandom | base64",
    "akamai": "openssl rand -hex 32",
    "jwt": "head -c 32 /dev/urandom | base64",
    "cat": "head -c 32 /dev/urandom | base64",
}
"""How to make a shared key for each scheme."""


def keys(draft: Draft) -> Iterator[Finding]:
    for name, token in draft.tokens.items():
        recipe, keys = _NEW_KEY.get(token.scheme), token.inline_keys()
        if any("${" in text for text in keys.values()):
            continue  # an unset variable: reported already
        if isinstance(token, CloudFront):
            place: KeyPath = ("token", name, "keys")
        else:
            place = ("token", name, "key" if token.key_file is None else "key_file")
        unread = False
        for key_id, file in token.key_files().items():
            try:
                keys[key_id] = (draft.folder / file).read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError) as error:
                unread = True
                why = error.strerror if isinstance(error, OSError) else "not text"
                yield Finding(
                    (*place, key_id) if key_id else place, shown(str(file)), f"a file that can be read ({why})",
                    f"A new key: {recipe} > {draft.folder / file}" if recipe else "A public key in PEM.",
                )  # fmt: skip
        if unread:
            continue
        try:
            scheme_of(token, keys)
        except ModuleNotFoundError as error:
            yield Finding(
                ("token", name, "scheme"), shown(token.scheme), f"the Python package {error.name!r} to be installed",
                "pip install 'cdnlab[tokens]'",
            )  # fmt: skip
        except ValueError as error:
            found = ", ".join(shown(str(file)) for file in token.key_files().values()) or "something else"
            why, _, wanted = str(error).rpartition("wanted ")
            why = why.strip(" ,:")
            hints = [f"{why[:1].upper()}{why[1:]}."] if why else []
            hints += [f"A new one: {recipe}"] if recipe else []
            yield Finding(place, found, wanted, " ".join(hints))


def databases(draft: Draft) -> Iterator[Finding]:
    for index, name in enumerate(draft.geo.databases if draft.geo is not None else ()):
        if name != IPTOCC:
            try:
                open_databases([str(draft.folder / name)])
            except BadDatabase as error:
                yield Finding(("geo", "databases", index), error.found, error.wanted)


def is_file_source(source: str) -> bool:
    """Whether a stream's `source` names a file (else: the test card, or a URL)."""
    return source != "testcard" and "://" not in source


def sources(draft: Draft) -> Iterator[Finding]:
    for index, stream in draft.streams.items():
        if is_file_source(stream.source) and not (draft.folder / stream.source).is_file():
            yield Finding(("stream", index, "source"), shown(stream.source), '"testcard", a URL, or a file that exists')
