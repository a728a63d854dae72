"""What no model can see by itself: whether the parts of a settings file fit together."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdnkit.geo.databases import IPTOCC, BadDatabase, open_databases
from cdnkit.policy.rules import matching
from cdnkit.policy.rules.places import Kind, kind_of
from cdnkit.policy.rules.response_headers import Cors
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.tokens import CloudFront, Token
from cdnkit.policy.token import scheme_of
from cdnkit.serving.authority import Authority, BadAuthority
from cdnkit.serving.certificates import flaw_of, flaw_of_authorities
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.edge import Failover, Health, HealthCheck, Node, Whereabouts
from cdnkit.settings.parent_url import WANTED, parent_url
from cdnkit.units import split_address
from cdnkit.units.quantities import write_seconds
from cdnkit.vendors import OBSERVED, PROFILES
from cdnkit.vendors.misfits import misfits
from cdnlab.control.settings import Control
from cdnlab.settings.addresses import origin_needed
from cdnlab.settings.complaints import nearest, shown
from cdnlab.settings.hosted import HostedService
from cdnlab.settings.positions import Path as KeyPath

if TYPE_CHECKING:
    from cdnlab.settings.document import Document


@dataclass(frozen=True)
class Finding:
    """One misfit; `found` and `wanted` as in `cdnlab.errors.Complaint`."""

    path: KeyPath
    found: str
    wanted: str
    hint: str = ""


@dataclass
class Draft:
    """The parts of a document that are good by themselves, by their index in the file."""

    profile: str = "rfc9111"
    streams: dict[int, Any] = field(default_factory=dict)
    behaviors: dict[int, Behavior] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    node_names: set[str] = field(default_factory=set)
    """Of all nodes, also of those that are not good."""
    token_names: set[str] = field(default_factory=set)
    response_headers: set[str] = field(default_factory=set)
    """Names of all policies."""
    cors: dict[str, Cors] = field(default_factory=dict)
    timed: set[str] = field(default_factory=set)
    """Names of policies with `server_timing`."""
    origin: Any = None
    geo: Whereabouts | None = None
    control: Control | None = None
    services: dict[str, HostedService] = field(default_factory=dict)
    hostnames: tuple[str, ...] = ()
    observed: bool = False
    folder: Path = Path()
    """What relative paths are relative to."""

    @classmethod
    def of(cls, document: "Document") -> "Draft":
        return cls(
            document.profile,
            dict(enumerate(document.streams)),
            dict(enumerate(document.behaviors)),
            dict(enumerate(document.nodes)),
            dict(document.tokens),
            {node.name for node in document.nodes},
            set(document.tokens),
            set(document.response_headers),
            {name: one.cors for name, one in document.response_headers.items() if one.cors is not None},
            {name for name, one in document.response_headers.items() if one.server_timing != "off"},
            document.origin,
            document.geo,
            document.control,
            dict(document.services),
            document.hostnames,
            document.observed,
        )


def run(draft: Draft) -> Iterator[Finding]:
    """Every misfit between the parts of a draft."""
    yield from _names(draft)
    yield from _addresses(draft)
    yield from _folders(draft)
    yield from _certificates(draft)
    yield from _parents(draft)
    yield from _idle(draft)
    yield from _keys(draft)
    yield from _override_hosts(draft)
    yield from _observations(draft)
    yield from rules_of(draft)
    yield from _hosted(draft)
    yield from _databases(draft)
    yield from _sources(draft)
    yield from _segments(draft)


def rules_of(draft: Draft) -> Iterator[Finding]:
    """What the behaviors of one service must fit to."""
    yield from _behaviors(draft)
    yield from _policies(draft)
    yield from _response_headers(draft)
    yield from _places(draft)
    yield from _misfits(draft)


def _hosted(draft: Draft) -> Iterator[Finding]:
    """Services beside the first: rules as good as its own, and no host twice."""
    taken = dict.fromkeys(draft.hostnames, "the top of the file")
    for name, one in draft.services.items():
        for index, host in enumerate(one.hostnames):
            if host in taken:
                path: KeyPath = ("service", name, "hostnames", index)
                yield Finding(path, shown(host), f"a host that {taken[host]} does not have")
            taken.setdefault(host, f"service.{name}")
        part = replace(draft, profile=one.profile or draft.profile, behaviors=dict(enumerate(one.behaviors)))
        for finding in rules_of(part):
            # What is not a behavior's own has been said of the first service.
            if finding.path[0] == "behavior" or part.profile != draft.profile:
                inner = ("service", name) if finding.path[0] == "behavior" else ()
                yield replace(finding, path=(*inner, *finding.path))


def is_file_source(source: str) -> bool:
    """Whether a stream's `source` names a file (else: the test card, or a URL)."""
    return source != "testcard" and "://" not in source


def _names(draft: Draft) -> Iterator[Finding]:
    for key, parts in (("node", draft.nodes), ("stream", draft.streams)):
        seen: dict[str, int] = {}
        for index, part in parts.items():
            if part.name in seen:
                yield Finding(
                    (key, index, "name"), shown(part.name), f"a name that {key}[{seen[part.name]}] does not have"
                )
            seen.setdefault(part.name, index)
    for index, stream in draft.streams.items():
        if stream.name == "vod":
            yield Finding(
                ("stream", index, "name"), shown("vod"), "another name: /vod/ is where the origin's files are"
            )
    for index, node in draft.nodes.items():
        if node.name == "origin" or node.name.startswith("transcode-"):
            yield Finding(
                ("node", index, "name"),
                shown(node.name),
                'another name: "origin" and "transcode-..." are processes of their own',
            )


def _addresses(draft: Draft) -> Iterator[Finding]:
    taken: list[tuple[str, int, str]] = []
    places: list[tuple[KeyPath, str]] = []
    if draft.origin is not None and origin_needed(draft.origin, draft.nodes.values(), draft.streams.values()):
        places += [(("origin", "listen"), draft.origin.listen), (("origin", "ingest"), draft.origin.ingest)]
    if draft.control is not None:
        places.append((("control", "listen"), draft.control.listen))
    for index, node in draft.nodes.items():
        places += [(("node", index, "listen"), node.listen), (("node", index, "admin"), node.admin)]
        if node.listen_tls is not None:
            places.append((("node", index, "listen_tls"), node.listen_tls))
    for path, address in places:
        host, port = split_address(address)
        if port == 0:
            continue
        whose = next((name for other, taken_port, name in taken if taken_port == port and _overlap(host, other)), None)
        label = (
            f"{draft.nodes[path[1]].name}'s {path[2]}" if isinstance(path[1], int) else f"{_OWNERS[path[0]]} {path[1]}"
        )
        if whose is not None:
            yield Finding(path, shown(address), f"an address that is not {whose} too")
        taken.append((host, port, label))


def _folders(draft: Draft) -> Iterator[Finding]:
    taken: dict[Path, str] = {}
    for index, node in draft.nodes.items():
        if node.disk is None:
            continue
        folder = (draft.folder / node.disk.path).resolve()
        if folder in taken:
            yield Finding(
                ("node", index, "disk", "path"),
                shown(str(node.disk.path)),
                f"a folder that {taken[folder]} does not use",
            )
        taken.setdefault(folder, node.name)


def _certificates(draft: Draft) -> Iterator[Finding]:
    for index, node in draft.nodes.items():
        yield from _trust(draft.folder, index, node)
        if node.listen_tls is None:
            continue
        if node.tls == "local":
            try:
                Authority(authority_folder())
            except BadAuthority as bad:
                found = f"no CA that can be used ({bad.where}: {bad.why})"
                yield Finding(
                    ("node", index, "listen_tls"), found, "the local CA, or tls with a pair of files", bad.hint
                )
            continue
        pair = draft.folder / node.tls.certificate, draft.folder / node.tls.key
        flaw = flaw_of(*pair, time.time())
        if flaw is not None:
            name = "certificate" if flaw[0] == pair[0] else "key"
            path: KeyPath = ("node", index, "tls", name)
            yield Finding(path, f"{shown(str(flaw[0]))} ({flaw[1]})", "a certificate that is good today, and its key")


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


_OWNERS: dict[str | int, str] = {"origin": "the origin's", "control": "the control API's"}


def _overlap(one: str, other: str) -> bool:
    return one == other or bool({"0.0.0.0", "::"} & {one, other})


def _parents(draft: Draft) -> Iterator[Finding]:
    by_name = {node.name: node for node in draft.nodes.values() if node.name != "origin"}
    for index, node in draft.nodes.items():
        ways: list[tuple[KeyPath, str]] = [(("node", index, "parent"), node.parent)]
        ways += [(("node", index, "failover", "to", place), other) for place, other in enumerate(node.failover.to)]
        for path, parent in ways:
            if "://" in parent:
                if parent_url(parent) is None:
                    yield Finding(path, shown(parent), WANTED)
            elif parent != "origin" and parent not in draft.node_names:
                yield Finding(
                    path, shown(parent), '"origin", the name of a node, or a URL',
                    nearest(parent, sorted(draft.node_names | {"origin"}), keys=False),
                )  # fmt: skip
                continue
            way = _way(parent, node.name, by_name) if node.name in by_name else []
            # A loop is told once, at its first node in the file's order.
            if way and index == min(i for i, one in draft.nodes.items() if one.name in way):
                yield Finding(
                    path, f"the loop {' -> '.join([node.name, *way])}", "a way that ends at the origin"
                )  # fmt: skip
        for place, (path, parent) in enumerate(ways):
            if any(parent == earlier for _, earlier in ways[:place]):
                yield Finding(path, shown(parent), "a parent that is not named before")
        if draft.profile == "cloudfront" and len(node.failover.to) > 1:
            found = f"{len(node.failover.to)} parents"
            yield Finding(("node", index, "failover", "to"), found, "one: CloudFront's origin groups have two members")


def _idle(draft: Draft) -> Iterator[Finding]:
    """Settings of a node that do nothing without another setting."""
    profile = PROFILES.get(draft.profile)
    shields = {parent for node in draft.nodes.values() for parent in node.parents}
    for index, node in draft.nodes.items():
        path: KeyPath = ("node", index)
        if node.tls != "local" and node.listen_tls is None:
            yield Finding((*path, "tls"), "no listen_tls", "one with tls: viewers are shown no certificate over HTTP")
        if node.failover.statuses != Failover().statuses and not node.failover.to:
            yield Finding((*path, "failover", "statuses"), "no failover.to", "a parent that is asked then")
        for key in ("within", "rest"):
            if not node.health.failures and getattr(node.health, key) != getattr(Health(), key):
                yield Finding((*path, "health", key), "failures = 0", "failures = 1 or more, for it to count")
        if node.health.check.path is None and node.health.check != HealthCheck():
            yield Finding((*path, "health", "check"), "no path", "a path, without which there are no checks")
        if node.client_from is not None and not node.trusted:
            yield Finding((*path, "client_from"), "trusted = []", "networks in trusted, which may name the viewer")
        if node.rate_limit is not None and node.name in shields:
            yield Finding((*path, "rate_limit"), shown(node.name), "an edge: this node's clients are other nodes")
        if profile is not None and node.timeouts.retry_reads and node.timeouts.waits(profile.waits).attempts == 1:
            yield Finding((*path, "timeouts", "retry_reads"), "attempts = 1", "attempts = 2 or more with retry_reads")


def _way(here: str, there: str, by_name: dict[str, Node], passed: frozenset[str] = frozenset()) -> list[str]:
    """Names of the nodes on a way from one node over its parents to another, both included; empty: there is none."""
    if here == there:
        return [there]
    if here not in by_name or here in passed:
        return []
    for parent in by_name[here].parents:
        if way := _way(parent, there, by_name, passed | {here}):
            return [here, *way]
    return []


_NEW_KEY = {
    "fastly": "head -c 32 /dev/urandom | base64",
    "akamai": "openssl rand -hex 32",
    "jwt": "head -c 32 /dev/urandom | base64",
    "cat": "head -c 32 /dev/urandom | base64",
}
"""How to make a shared key of each scheme's."""


def _keys(draft: Draft) -> Iterator[Finding]:
    for name, token in draft.tokens.items():
        recipe, keys = _NEW_KEY.get(token.scheme), token.texts()
        if any("${" in text for text in keys.values()):
            continue  # an unset variable: said already
        if isinstance(token, CloudFront):
            place: KeyPath = ("token", name, "keys")
        else:
            place = ("token", name, "key" if token.key_file is None else "key_file")
        unread = False
        for key_id, file in token.files().items():
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
            found = ", ".join(shown(str(file)) for file in token.files().values()) or "something else"
            why, _, wanted = str(error).rpartition("wanted ")
            why = why.strip(" ,:")
            hints = [f"{why[:1].upper()}{why[1:]}."] if why else []
            hints += [f"A new one: {recipe}"] if recipe else []
            yield Finding(place, found, wanted, " ".join(hints))


def _edges(draft: Draft) -> list[Node]:
    parents = {parent for node in draft.nodes.values() for parent in node.parents}
    return [node for node in draft.nodes.values() if node.name not in parents]


def _behaviors(draft: Draft) -> Iterator[Finding]:
    for index, behavior in draft.behaviors.items():
        if behavior.token is not None and behavior.token not in draft.token_names:
            yield Finding(
                ("behavior", index, "token"), shown(behavior.token),
                f"the name of a token; there is no [token.{behavior.token}]",
                nearest(behavior.token, sorted(draft.token_names), keys=False),
            )  # fmt: skip
        deaf = next((node.name for node in _edges(draft) if node.listen_tls is None), None)
        if behavior.viewer_protocol != "allow-all" and deaf is not None:
            path: KeyPath = ("behavior", index, "viewer_protocol")
            yield Finding(path, shown(behavior.viewer_protocol), f"listen_tls at every edge; {deaf} has none")
    indexes = list(draft.behaviors)
    for never, by in matching.shadowed(tuple(draft.behaviors.values())):
        yield Finding(
            ("behavior", indexes[never], "path"), shown(draft.behaviors[indexes[never]].path),
            f"a pattern that can match: behavior[{indexes[by]}], {shown(draft.behaviors[indexes[by]].path)}, "
            "comes first and takes all of it", "Put the narrower pattern first.",
        )  # fmt: skip


def _policies(draft: Draft) -> Iterator[Finding]:
    """What is CloudFront's alone; another profile has none to carry out."""
    for index, behavior in draft.behaviors.items():
        for key in ("cache_policy", "origin_request_policy"):
            name = getattr(behavior, key)
            if name != "none" and draft.profile != "cloudfront":
                yield Finding(
                    ("behavior", index, key), shown(name), f'"none", or profile = "cloudfront" (it is {draft.profile})'
                )
        if behavior.compress and draft.profile != "cloudfront":
            yield Finding(
                ("behavior", index, "compress"), "true", f'false, or profile = "cloudfront" (it is {draft.profile})'
            )
        if behavior.server_timing != "off" and draft.profile != "cloudfront":
            yield Finding(
                ("behavior", index, "server_timing"), shown(behavior.server_timing),
                f'"off", or profile = "cloudfront" (it is {draft.profile})',
            )  # fmt: skip


def _response_headers(draft: Draft) -> Iterator[Finding]:
    """A behavior's policy is one of the file's own, or one that the profile has from its vendor."""
    profile = PROFILES.get(draft.profile)
    managed = set(profile.response_headers_policies) if profile is not None else set()
    for name in sorted(draft.response_headers & managed):
        yield Finding(("response_headers", name), shown(name), "a name that no managed policy has")
    known = managed | draft.response_headers
    for index, behavior in draft.behaviors.items():
        name = behavior.response_headers_policy
        if name != "none" and name not in known:
            yield Finding(
                ("behavior", index, "response_headers_policy"), shown(name),
                f"a [response_headers.NAME], or a managed policy that cdnlab carries out with profile = "
                f"{shown(draft.profile)}",
                nearest(name, sorted(known), keys=False) if known else "",
            )  # fmt: skip
        if name in draft.timed and draft.profile != "cloudfront":
            yield Finding(
                ("behavior", index, "response_headers_policy"), shown(name),
                f'one without server_timing, or profile = "cloudfront" (it is {draft.profile})',
            )  # fmt: skip
    for name, cors in draft.cors.items():
        if cors.preflight == "answer" and draft.profile == "cloudfront":
            yield Finding(
                ("response_headers", name, "cors", "preflight"), shown("answer"),
                '"forward", or another profile (it is cloudfront, which answers none itself)',
            )  # fmt: skip


def _observations(draft: Draft) -> Iterator[Finding]:
    profiles = {draft.profile, *(one.profile for one in draft.services.values() if one.profile is not None)}
    if draft.observed and profiles.isdisjoint(OBSERVED):
        known = " or ".join(map(shown, OBSERVED))
        yield Finding(("observed",), "true", f"false, or profile = {known} (of others no such thing is known)")


def _override_hosts(draft: Draft) -> Iterator[Finding]:
    """CloudFront lets no custom header set Host."""
    for index, node in draft.nodes.items() if draft.profile == "cloudfront" else ():
        for name in node.parent_headers:
            if name.lower() == "host":
                hint = 'key.headers = ["Host"] or origin_request_policy = "HostHeaderOnly" sends on the viewer\'s.'
                wanted = 'other fields (profile = "cloudfront" sets no Host)'
                yield Finding(("node", index, "parent_headers", name), name, wanted, hint)


def _databases(draft: Draft) -> Iterator[Finding]:
    for index, name in enumerate(draft.geo.databases if draft.geo is not None else ()):
        if name != IPTOCC:
            try:
                open_databases([str(draft.folder / name)])
            except BadDatabase as error:
                yield Finding(("geo", "databases", index), error.found, error.wanted)


def _places(draft: Draft) -> Iterator[Finding]:
    """A rule about what nobody tells would never apply, in silence."""
    geo = draft.geo
    if geo is None or any(name != IPTOCC for name in geo.databases):
        return
    told = {
        Kind.REGION: any(kind_of(place) is Kind.REGION for place in geo.countries.values()),
        Kind.ASN: bool(geo.asns),
    }
    hint = "iptocc knows countries only: name an MMDB file in geo.databases that knows more, or fill [geo]'s tables."
    for index, behavior in draft.behaviors.items():
        rule = behavior.geo
        if rule is None:
            continue
        for key in ("allow", "deny"):
            for number, entry in enumerate(getattr(rule, key)):
                kind = kind_of(entry)
                if kind is not None and not told.get(kind, True):
                    yield Finding(("behavior", index, "geo", key, number), shown(entry), "what [geo] knows", hint)
        for key in ("anonymous", "hosting"):
            if getattr(rule, key) == "deny" and not getattr(geo, key):
                yield Finding(("behavior", index, "geo", key), '"deny"', "what [geo] knows", hint)


def _misfits(draft: Draft) -> Iterator[Finding]:
    """Settings that the profile would take and not carry out."""
    profile = PROFILES.get(draft.profile)
    if profile is None:
        return
    for index, behavior in draft.behaviors.items():
        for misfit in misfits(behavior, profile):
            hint = nearest(str(misfit.found).lower(), list(misfit.known), keys=False) if misfit.known else ""
            yield Finding(("behavior", index, *misfit.path), shown(misfit.found), misfit.wanted, hint)


def _sources(draft: Draft) -> Iterator[Finding]:
    for index, stream in draft.streams.items():
        if is_file_source(stream.source) and not (draft.folder / stream.source).is_file():
            yield Finding(("stream", index, "source"), shown(stream.source), '"testcard", a URL, or a file that exists')


def _segments(draft: Draft) -> Iterator[Finding]:
    """The origin cuts where the encoder put its key frames, so they must have been told the same length."""
    lengths = {index: float(stream.segment) for index, stream in draft.streams.items()}
    if not lengths:
        return
    first = next(iter(lengths.values()))
    for index, length in lengths.items():
        if length != first:
            yield Finding(
                ("stream", index, "segment"), shown(write_seconds(length)),
                f"{write_seconds(first)} like the first stream: one origin cuts them all alike",
            )  # fmt: skip
    if draft.origin is None:
        return
    if "segment" in draft.origin.model_fields_set and draft.origin.segment != first:
        yield Finding(
            ("origin", "segment"), shown(write_seconds(draft.origin.segment)),
            f"{write_seconds(first)}, as the encoder is told",
            "Leave it out: it follows the streams.",
        )  # fmt: skip
    elif draft.origin.window < 3 * first:
        yield Finding(
            ("origin", "window"), shown(write_seconds(draft.origin.window)),
            f"at least three segments ({write_seconds(3 * first)}; RFC 8216 section 6.2.2)",
        )  # fmt: skip
