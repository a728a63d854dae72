"""`cdn.toml`, the one settings file: text to typed settings, or to everything that is wrong with it, at once.

The models belong to the packages they configure; this file composes them, reads the text, and knows where it stands.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from cdnkit.geo.databases import IPTOCC
from cdnkit.policy.gate.hosts import DEFAULT, SERVICE, Hostname, Hosts
from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.service import Behavior, ErrorPage, Service
from cdnkit.policy.rules.tokens import CloudFront, Token
from cdnkit.settings.certificate import Certificate
from cdnkit.settings.edge import Node, Whereabouts, check_server
from cdnkit.settings.load import Load
from cdnkit.settings.origin import Origin
from cdnkit.settings.transcode import Stream
from cdnkit.units import SecretUrl, Settings
from cdnkit.units.secret import VARIABLE, hidden, mark_at, marks
from cdnkit.vendors import PROFILES, ProfileName
from cdnlab.control.settings import Control
from cdnlab.errors import BadDocument, BadUsage, Complaint
from cdnlab.settings.checks.draft import Draft, salvaged
from cdnlab.settings.checks.files import is_file_source
from cdnlab.settings.checks.run import run
from cdnlab.settings.complaints import NOT_SHOWN, complaints, nearest, shown, spelled
from cdnlab.settings.hosted import HostedService, ServiceName
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS, with_parts, with_patience
from cdnlab.settings.positions import Path as KeyPath
from cdnlab.settings.positions import Positions
from cdnlab.settings.steering import with_pathways


class Document(Settings):
    """The top level of `cdn.toml`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    profile: ProfileName = "rfc9111"
    """The vendor profile: which CDN's rules apply where the HTTP caching standard leaves a choice."""

    observed: bool = False
    """Follow a CDN's observed behavior where it differs from its documentation. With fastly: `no-store` does not keep a
    response from being stored, and a response without a lifetime is not fresh."""

    streams: tuple[Stream, ...] = Field(default=(), alias="stream")
    """Streams to encode and push to the origin, one `[[stream]]` each."""

    behaviors: tuple[Behavior, ...] = Field(default=MEDIA_BEHAVIORS, alias="behavior")
    """Rules for requests, one `[[behavior]]` each; the first whose `path` matches a request applies. Without any, the
    cache key has all of the query but what players add and what changes no response: CMCD, _HLS_primary_id,
    _HLS_interstitial_id, _HLS_start_offset, _HLS_pathway, _HLS_throughput, _DASH_pathway and _DASH_throughput."""

    response_headers: dict[str, ResponseHeaders] = {}
    """Response headers policies, `[response_headers.NAME]`; behaviors refer to them by name."""

    error_pages: tuple[ErrorPage, ...] = Field(default=(), alias="error_page")
    """Pages that replace error responses, one `[[error_page]]` each; the first with the response's status applies."""

    hostnames: tuple[Hostname, ...] = ()
    """Hosts that the rules at the top of the file serve: names, or `*.` and a suffix. Left out: every host that no
    `[service.NAME]` lists. If set, a request for any other host is refused with 421 (cloudfront: 403, fastly: 500)."""

    services: dict[ServiceName, HostedService] = Field(default={}, alias="service")
    """Further services, `[service.NAME]`; the request's host selects one."""

    tokens: dict[str, Token] = Field(default={}, alias="token")
    """Token schemes (signed URLs, signed cookies and others), `[token.NAME]`; behaviors refer to them by name."""

    geo: Whereabouts = Whereabouts()
    """Where client addresses are located."""

    nodes: tuple[Node, ...] = Field(default=(), alias="node")
    """Cache nodes, one `[[node]]` each. A node that other nodes name as their parent is a shield; the others are
    edges."""

    origin: Origin = Origin()
    """The origin: it receives media from encoders and publishes HLS."""

    control: Control = Control()
    """The control API, for the vendors' own clients."""

    purge_log: SecretUrl | None = None
    """The purge log, from which nodes read purge orders: a file, or for nodes on several machines a Redis or Valkey
    server such as "redis://10.0.0.5:6379/0" (needs the extra `shared`). Left out: `cdnlab up` uses a file beside the
    first `disk` store, else in its run folder; `cdnlab edge` by itself uses none."""

    load: Load = Load()
    """The load that `cdnlab load` puts on the edges."""

    @field_validator("purge_log")
    @classmethod
    def _server_or_file(cls, where: str | None) -> str | None:
        return check_server(where) if where is not None and "://" in where else where

    def draft(self) -> Draft:
        """The document's parts, all of them valid by themselves."""
        return Draft(
            self.profile,
            dict(enumerate(self.streams)),
            dict(enumerate(self.behaviors)),
            dict(enumerate(self.nodes)),
            dict(self.tokens),
            {node.name for node in self.nodes},
            set(self.tokens),
            set(self.response_headers),
            {name: one.cors for name, one in self.response_headers.items() if one.cors is not None},
            {name for name, one in self.response_headers.items() if one.server_timing != "off"},
            self.origin,
            self.geo,
            self.control,
            dict(self.services),
            self.hostnames,
            self.observed,
        )

    def parents(self) -> frozenset[str]:
        """Names of the nodes that are parents of other nodes: the shields."""
        return frozenset(parent for node in self.nodes for parent in node.parents) & {node.name for node in self.nodes}

    def tiers(self) -> list[list[Node]]:
        """The nodes by their distance from the origin, those without another node as a parent first."""
        left = {node.name: node for node in self.nodes}
        tiers: list[list[Node]] = []
        while left:
            tier = [node for node in left.values() if not left.keys() & set(node.parents)]
            for node in tier:
                del left[node.name]
            tiers.append(tier)
        return tiers

    def edges(self) -> tuple[Node, ...]:
        """The nodes that serve viewers."""
        return tuple(node for node in self.nodes if node.name not in self.parents())

    def service(self, node: Node, name: str = DEFAULT) -> Service:
        """The rules of a service at one node: its behaviors, the node's name and room, and at edges the gate."""
        hosted = self.services.get(name)
        rules = node.rules(1 + len(self.services))
        if hosted is not None and not self.parents().isdisjoint(node.parents):
            rules["parent_headers"] = {**node.parent_headers, SERVICE: name}
        error_pages = self.error_pages if hosted is None else hosted.error_pages
        return Service(
            profile=self.profile_of(name),
            observed=self.observed,
            behaviors=self.behaviors if hosted is None else hosted.behaviors,
            tokens=self.tokens,
            response_headers=self.response_headers,
            # At edges only: a shield passes the error itself on to its edges.
            error_pages=error_pages if node.name not in self.parents() else (),
            gate=node.name not in self.parents(),
            purge_requests=self.control.purge_requests,
            purge_token=self.control.fastly_token,
            **rules,
        )

    def profile_of(self, name: str) -> ProfileName:
        """The profile of a service."""
        hosted = self.services.get(name)
        return self.profile if hosted is None or hosted.profile is None else hosted.profile

    def behaviors_at(self, authority: str) -> tuple[Behavior, ...]:
        """The behaviors that apply to requests for a host."""
        hosted = self.services.get(Hosts(self.hosts()).named(authority) or DEFAULT)
        return self.behaviors if hosted is None else hosted.behaviors

    def hosts(self) -> dict[str, tuple[str, ...]]:
        """The hosts of each service, by its name."""
        return {DEFAULT: self.hostnames, **{name: one.hostnames for name, one in self.services.items()}}

    def segment_lengths(self) -> dict[str, float]:
        """The segment duration of each stream, by its name, in seconds."""
        return {stream.name: float(stream.segment) for stream in self.streams}


@dataclass(frozen=True)
class Loaded:
    """A document, and facts about the text it came from."""

    document: Document
    file: str
    from_environment: Mapping[KeyPath, str] = field(default_factory=dict)
    """Settings that contained `${NAME}`, as written."""
    path: Path | None = None
    """The file, absolute; None when the text came from elsewhere."""

    def public(self) -> dict[str, Any]:
        """The settings as run, with every default and without secrets: a value from the environment stays `${NAME}`."""
        values: dict[str, Any] = hidden(self.document.model_dump(mode="json", by_alias=True), Document)
        for path, written in self.from_environment.items():
            inner: Any = values
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = written
        return values


def read(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The settings of a file; relative paths in it are relative to its folder.

    Raises `BadDocument` with every complaint, `BadUsage` when the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise BadUsage(f"{path}: no such file", "`cdnlab init` writes a commented one.") from None
    except UnicodeDecodeError as error:
        raise BadUsage(f"{path}: invalid UTF-8 at byte {error.start}; a TOML file is UTF-8") from None
    except OSError as error:
        raise BadUsage(f"{path}: {error.strerror or error}") from None
    loaded = parse(text, file=str(path), folder=path.absolute().parent, environ=environ)
    return replace(loaded, path=path.absolute())


def parse(text: str, *, file: str, folder: Path, environ: Mapping[str, str]) -> Loaded:
    """Like `read`, from a text."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadDocument(file, [_syntax(text, str(error))]) from None
    positions = Positions(text)
    from_environment: dict[KeyPath, str] = {}
    found: list[Complaint] = []
    data = _substituted(data, (), environ, positions, from_environment, found)
    try:
        document = Document.model_validate(data)
        draft = document.draft()
    except ValidationError as error:
        document = None
        found += complaints(error, hidden(data, Document), Document, positions)
        draft = salvaged(data)
    unset = {(one.line, one.column) for one in found}
    draft.folder = folder
    for finding in run(draft):
        place = positions.of(finding.path)
        if (place.line, place.column) not in unset or document is not None:
            quoted = _quotable(finding.path, finding.found)
            found.append(
                Complaint(place.line, place.column, spelled(finding.path), quoted, finding.wanted, finding.hint)
            )
    if found or document is None:
        found.sort(key=lambda one: (one.line, one.column))
        raise BadDocument(file, found)
    return Loaded(_anchored(document, folder), file, from_environment)


def _quotable(path: KeyPath, found: str) -> str:
    """The value found, as a complaint may quote it. The name of an unset variable is not secret."""
    mark = mark_at(path, Document)
    if mark is None or not found or VARIABLE.search(found):
        return found
    return mark.shown(found) if mark.partly else NOT_SHOWN


def _syntax(text: str, message: str) -> Complaint:
    where = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    lines = text.split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    if where is not None and where[1] is not None:
        line, column = int(where[1]), int(where[2])
    message = message[: where.start()] if where is not None else message
    written = lines[line - 1].strip() if line <= len(lines) else ""
    for name, mark in marks(Document):
        if key := re.search(rf"\b{re.escape(name)}[\"']?\s*=", written):
            written = mark.shown(written) if mark.partly else f"{written[: key.start()]}{name} = ..."
    return Complaint(line, column, "the file", shown(written), "TOML", f"{message}.")


def _substituted(
    value: Any,
    path: KeyPath,
    environ: Mapping[str, str],
    positions: Positions,
    from_environment: dict[KeyPath, str],
    found: list[Complaint],
) -> Any:
    """`value` with every `${NAME}` in its texts replaced from the environment."""
    if isinstance(value, dict):
        return {
            key: _substituted(inner, (*path, key), environ, positions, from_environment, found)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            _substituted(inner, (*path, index), environ, positions, from_environment, found)
            for index, inner in enumerate(value)
        ]
    if not isinstance(value, str) or not (names := VARIABLE.findall(value)):
        return value
    from_environment[path] = value
    for name in names:
        if name not in environ:
            place = positions.of(path)
            found.append(
                Complaint(
                    place.line, place.column, spelled(path), shown(value),
                    f"the environment variable {name} to be set", nearest(name, list(environ), keys=False)
                    if any(name.lower() in known.lower() for known in environ) else "",
                )
            )  # fmt: skip
    return VARIABLE.sub(lambda match: environ.get(match[1], match[0]), value)


def _anchored(document: Document, folder: Path) -> Document:
    """The document with absolute paths, since the processes that read them may run in another folder."""
    tokens = {name: _anchored_token(token, folder) for name, token in document.tokens.items()}
    streams = tuple(
        stream.model_copy(update={"source": str(folder / stream.source)}) if is_file_source(stream.source) else stream
        for stream in document.streams
    )
    origin = document.origin
    if streams and "segment" not in origin.model_fields_set:
        origin = origin.model_copy(update={"segment": streams[0].segment})
    streams = with_parts(streams, origin)
    if origin.vod is not None:
        origin = origin.model_copy(update={"vod": folder / origin.vod})
    if "storage" in origin.model_fields_set and isinstance(origin.storage, Path):
        origin = origin.model_copy(update={"storage": folder / origin.storage})
    origin = origin.model_copy(update=_anchored_ingest(origin, folder))
    nodes = tuple(_anchored_node(node, folder) for node in document.nodes)
    origin = with_pathways(origin, document.edges())
    nodes = with_patience(nodes, origin, streams, PROFILES[document.profile].waits)
    databases = tuple(name if name == IPTOCC else str(folder / name) for name in document.geo.databases)
    geo = document.geo.model_copy(update={"databases": databases})
    log = document.purge_log
    if log is not None and "://" not in log:
        log = str(folder / log)
    return document.model_copy(
        update={"tokens": tokens, "streams": streams, "nodes": nodes, "origin": origin, "geo": geo, "purge_log": log}
    )


def _anchored_ingest(origin: Origin, folder: Path) -> dict[str, Any]:
    absolute: dict[str, Any] = {"encoders": {name: one.beneath(folder) for name, one in origin.encoders.items()}}
    absolute["encryption"] = tuple(one.beneath(folder) for one in origin.encryption)
    if origin.ingest_client_ca is not None:
        absolute["ingest_client_ca"] = folder / origin.ingest_client_ca
    if isinstance(origin.ingest_tls, Certificate):
        absolute["ingest_tls"] = origin.ingest_tls.beneath(folder)
    return absolute


def _anchored_node(node: Node, folder: Path) -> Node:
    absolute: dict[str, Any] = {}
    if node.disk is not None:
        absolute["disk"] = node.disk.model_copy(update={"path": folder / node.disk.path})
    if node.parent_ca not in ("system", "local"):
        absolute["parent_ca"] = folder / node.parent_ca
    if node.tls != "local":
        absolute["tls"] = node.tls.beneath(folder)
    return node.model_copy(update=absolute) if absolute else node


def _anchored_token(token: Token, folder: Path) -> Token:
    absolute: dict[str, Any] = {}
    if isinstance(token, CloudFront):
        absolute["keys"] = {**token.keys, **{key_id: str(folder / file) for key_id, file in token.key_files().items()}}
    elif token.key_file is not None:
        absolute["key_file"] = folder / token.key_file
    signing_key: Path | None = getattr(token, "signing_key", None)
    if signing_key is not None:
        absolute["signing_key"] = folder / signing_key
    return token.model_copy(update=absolute)
