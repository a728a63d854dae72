"""What no model can see by itself: whether the parts of a settings file fit together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdnlab.complaints import nearest, shown
from cdnlab.positions import Path as KeyPath
from edge.settings import Node
from policy import matching
from policy.service import Behavior
from policy.token import scheme_of
from policy.token.settings import CloudFront, Token
from units import split_address
from units.quantities import write_seconds

if TYPE_CHECKING:
    from cdnlab.document import Document


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
    origin: Any = None
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
            document.origin,
        )


def run(draft: Draft) -> Iterator[Finding]:
    """Every misfit between the parts of a draft."""
    yield from _names(draft)
    yield from _addresses(draft)
    yield from _parents(draft)
    yield from _keys(draft)
    yield from _behaviors(draft)
    yield from _policies(draft)
    yield from _sources(draft)
    yield from _segments(draft)


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
    if draft.origin is not None:
        places += [(("origin", "listen"), draft.origin.listen), (("origin", "ingest"), draft.origin.ingest)]
    for index, node in draft.nodes.items():
        places += [(("node", index, "listen"), node.listen), (("node", index, "admin"), node.admin)]
    for path, address in places:
        host, port = split_address(address)
        if port == 0:
            continue
        whose = next((name for other, taken_port, name in taken if taken_port == port and _overlap(host, other)), None)
        label = f"{draft.nodes[path[1]].name}'s {path[2]}" if isinstance(path[1], int) else f"the origin's {path[1]}"
        if whose is not None:
            yield Finding(path, shown(address), f"an address that is not {whose} too")
        taken.append((host, port, label))


def _overlap(one: str, other: str) -> bool:
    return one == other or bool({"0.0.0.0", "::"} & {one, other})


def _parents(draft: Draft) -> Iterator[Finding]:
    by_name = {node.name: node for node in draft.nodes.values() if node.name != "origin"}
    for index, node in draft.nodes.items():
        path = ("node", index, "parent")
        if "://" in node.parent:
            if not node.parent.startswith(("http://", "https://")):
                yield Finding(path, shown(node.parent), "an http:// or https:// URL")
            continue
        if node.parent != "origin" and node.parent not in draft.node_names:
            yield Finding(
                path, shown(node.parent), '"origin", the name of a node, or a URL',
                nearest(node.parent, sorted(draft.node_names | {"origin"}), keys=False),
            )  # fmt: skip
            continue
        if node.name not in by_name:
            continue
        chain = [node.name]
        while (upper := by_name.get(by_name[chain[-1]].parent)) is not None and upper.name not in chain:
            chain.append(upper.name)
        # Told once, at the first node of the loop in the file's order.
        if upper is not None and upper.name == node.name:
            first = min(i for i, one in draft.nodes.items() if one.name in chain)
            if index == first:
                yield Finding(path, f"the loop {' -> '.join([*chain, node.name])}", "a way that ends at the origin")


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


def _behaviors(draft: Draft) -> Iterator[Finding]:
    for index, behavior in draft.behaviors.items():
        if behavior.token is not None and behavior.token not in draft.token_names:
            yield Finding(
                ("behavior", index, "token"), shown(behavior.token),
                f"the name of a token; there is no [token.{behavior.token}]",
                nearest(behavior.token, sorted(draft.token_names), keys=False),
            )  # fmt: skip
    indexes = list(draft.behaviors)
    for never, by in matching.shadowed(tuple(draft.behaviors.values())):
        yield Finding(
            ("behavior", indexes[never], "path"), shown(draft.behaviors[indexes[never]].path),
            f"a pattern that can match: behavior[{indexes[by]}], {shown(draft.behaviors[indexes[by]].path)}, "
            "comes first and takes all of it", "Put the narrower pattern first.",
        )  # fmt: skip


def _policies(draft: Draft) -> Iterator[Finding]:
    """A managed policy is CloudFront's; another profile has none to carry out."""
    for index, behavior in draft.behaviors.items():
        for key in ("cache_policy", "origin_request_policy", "response_headers_policy"):
            name = getattr(behavior, key)
            if name != "none" and draft.profile != "cloudfront":
                yield Finding(
                    ("behavior", index, key), shown(name), f'"none", or profile = "cloudfront" (it is {draft.profile})'
                )


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
