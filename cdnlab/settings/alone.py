"""Settings of a part that runs by itself, from a settings file and the command line, which takes precedence."""

import hashlib
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cdnkit.policy.rules.service import Service
from cdnkit.settings.edge import Node, Whereabouts, check_server
from cdnkit.settings.parent_url import WANTED, parent_url
from cdnkit.units import Settings
from cdnkit.vendors import PROFILES, profile_of
from cdnlab.errors import BadUsage
from cdnlab.settings.complaints import nearest, spelled
from cdnlab.settings.options import checked
from edge.services import Hosted

if TYPE_CHECKING:
    from cdnlab.settings.document import Document

S = TypeVar("S", bound=Settings)

DEFAULT_LISTEN = "127.0.0.1:8080"


@dataclass(frozen=True)
class AloneEdge:
    """The arguments of `edge.serve.serve`."""

    node: Node
    service: Service
    parent: str
    geo: Whereabouts
    others: tuple[str, ...] = ()
    purge_log: str | None = None
    hostnames: tuple[str, ...] = ()
    hosted: tuple[Hosted, ...] = ()


def edge_settings(
    *,
    origin: str | None,
    listen: str | None,
    admin: str | None,
    profile: str | None,
    config: Path | None,
    node: str | None,
) -> AloneEdge:
    """One edge. Without a file: no gate, no behaviors, the profile alone. `BadUsage` names the option that is wrong."""
    options = {"listen": listen, "admin": admin}
    geo, purge_log, document = Whereabouts(), None, None
    if config is None:
        if node is not None:
            raise BadUsage("--node: wanted --config, too, the file that has this [[node]]")
        chosen = checked(Node, {**_nameless(listen), **_given({"admin": admin})})
        service = Service(behaviors=())
    else:
        # Imported only here: an edge without a file does not need the models of the whole document.
        from cdnlab.settings.document import read

        document = read(config).document
        geo, purge_log = document.geo, document.purge_log
        chosen = _pick(document.nodes, node) if document.nodes or node else checked(Node, _nameless(listen))
        chosen = _changed(chosen, options)
        service = document.service(chosen)
    parent = origin or (chosen.parent if "://" in chosen.parent else None)
    if parent is None:
        raise BadUsage("--origin: wanted the URL of the origin, such as http://127.0.0.1:9000")
    if parent_url(parent) is None:
        raise BadUsage(f"--origin: found {parent!r}, wanted {WANTED}")
    for other in chosen.failover.to:
        if "://" not in other:
            raise BadUsage(
                f"--config: failover.to: found {other!r}, wanted a URL: an edge by itself knows no other nodes"
            )
    rules = chosen.rules()
    if profile is not None:
        if profile not in PROFILES:
            raise BadUsage(f"--profile: found {profile!r}, wanted one of {', '.join(PROFILES)}")
        if document is not None:
            _fits(document, profile)
        rules["profile"] = profile
    alone = AloneEdge(chosen, _changed(service, rules), parent.rstrip("/"), geo, chosen.failover.to, purge_log)
    return alone if document is None else replace(alone, hostnames=document.hostnames, hosted=_hosted(document, alone))


def _nameless(listen: str | None) -> dict[str, str]:
    """Name and address of an edge without a settings file; the name is the same at each start with this address.

    Two such edges in a chain need different names, also on two machines: a node detects a loop by its name in Via. The
    name does not reveal the machine's name to viewers.
    """
    listen = listen or DEFAULT_LISTEN
    port = listen.rpartition(":")[2]
    place = f"{uuid.getnode()} {socket.gethostname()} {listen}" + (f" {os.getpid()}" if port == "0" else "")
    mark = hashlib.sha256(place.encode()).hexdigest()[:8]
    return {"name": f"edge-{port}-{mark}" if port.isdecimal() and port != "0" else f"edge-{mark}", "listen": listen}


def named_log(where: str) -> str:
    """The value of `--purge-log`, checked. Its URL may contain a password, so errors do not show it."""
    if "://" in where:
        try:
            check_server(where)
        except ValueError as error:
            raise BadUsage(f"--purge-log: found a value that is not shown, {error}") from None
    return where


def _fits(document: "Document", profile: str) -> None:
    """Refuse a profile that does not fit the file's behaviors."""
    from cdnlab.settings.checks.rules import rules_of

    draft = document.model_copy(update={"profile": profile}).draft()
    for finding in rules_of(draft):
        where = spelled(finding.path)
        raise BadUsage(f"--profile {profile}: {where}: found {finding.found}, wanted {finding.wanted}", finding.hint)


def _hosted(document: "Document", alone: AloneEdge) -> tuple[Hosted, ...]:
    """The file's further services, each with its own origin if it names one."""
    rules = {name: document.service(alone.node, name) for name in document.services}
    return tuple(
        Hosted(
            name, one.hostnames, rules[name], profile_of(rules[name]),
            ((one.origin or alone.parent).rstrip("/"), *alone.others),
        )
        for name, one in document.services.items()
    )  # fmt: skip


def origin_settings(
    *,
    listen: str | None,
    ingest: str | None,
    ingest_hosts: list[str] | None,
    ingest_tls: str | None,
    encoders: list[str] | None,
    anybody_may_publish: bool,
    storage: str | None,
    vod: Path | None,
    config: Path | None,
) -> tuple[Any, dict[str, float]]:
    """The origin's settings (`cdnkit.settings.origin.Origin`), and the segment durations of the file's streams.

    `BadUsage` names the option that is wrong.
    """
    from cdnkit.settings.origin import Origin

    if config is None:
        base, lengths = Origin(), {}
    else:
        from cdnlab.settings.document import read

        document = read(config).document
        base, lengths = document.origin, document.segment_lengths()
    if vod is not None and not vod.is_dir():
        raise BadUsage(f"--vod: found {str(vod)!r}, wanted a folder that exists")
    options = {
        "listen": listen,
        "ingest": ingest,
        "ingest_hosts": ingest_hosts,
        "ingest_tls": None if ingest_tls is None else _tls(ingest_tls),
        "encoders": {**base.encoders, **_encoders(encoders)} if encoders else None,
        "anybody_may_publish": anybody_may_publish or None,
        "storage": storage,
        "vod": vod,
    }
    return _changed(base, options), lengths


def _tls(text: str) -> object:
    """The value of `--ingest-tls`."""
    certificate, comma, key = text.partition(",")
    if text != "local" and not comma:
        raise BadUsage(f'--ingest-tls: found {text!r}, wanted "local" or CERTIFICATE,KEY')
    return {"certificate": certificate, "key": key} if comma else text


def _encoders(texts: list[str]) -> dict[str, object]:
    """The values of `--encoder`: a name and the file with its password, so that no secret is in an argument."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise BadUsage(f"--encoder: found {text!r}, wanted NAME=FILE, the file with its password")
        found[name] = {"password_file": file}
    return found


def _pick(nodes: tuple[Node, ...], name: str | None) -> Node:
    if name is None:
        if len(nodes) == 1:
            return nodes[0]
        raise BadUsage(f"--node: wanted one of {', '.join(node.name for node in nodes)}")
    for node in nodes:
        if node.name == name:
            return node
    names = [node.name for node in nodes]
    raise BadUsage(f"--node: found {name!r}, wanted the name of a [[node]]. {nearest(name, names, keys=False)}")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _changed(settings: S, options: Mapping[str, Any]) -> S:
    """The settings with the given options, validated again."""
    return checked(type(settings), {**dict(settings), **_given(options)})
