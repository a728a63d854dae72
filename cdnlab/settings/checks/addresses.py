"""Names, addresses and folders that two parts of a cluster must not share."""

from collections.abc import Iterator
from pathlib import Path

from cdnkit.units import split_address
from cdnlab.settings.addresses import origin_needed
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown
from cdnlab.settings.positions import Path as KeyPath


def names(draft: Draft) -> Iterator[Finding]:
    for key, parts in (("node", draft.nodes), ("stream", draft.streams)):
        seen: dict[str, int] = {}
        for index, part in parts.items():
            if part.name in seen:
                yield Finding(
                    (key, index, "name"), shown(part.name), f"another name: {key}[{seen[part.name]}] has this one"
                )
            seen.setdefault(part.name, index)
    for index, stream in draft.streams.items():
        if stream.name == "vod":
            yield Finding(
                ("stream", index, "name"), shown("vod"), "another name: the origin serves its files under /vod/"
            )
    for index, node in draft.nodes.items():
        if node.name == "origin" or node.name.startswith("transcode-"):
            yield Finding(
                ("node", index, "name"),
                shown(node.name),
                'another name: "origin" and "transcode-..." are names of other processes',
            )


def addresses(draft: Draft) -> Iterator[Finding]:
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
            yield Finding(path, shown(address), f"another address: it is {whose} already")
        taken.append((host, port, label))


_OWNERS: dict[str | int, str] = {"origin": "the origin's", "control": "the control API's"}


def _overlap(one: str, other: str) -> bool:
    return one == other or bool({"0.0.0.0", "::"} & {one, other})


def folders(draft: Draft) -> Iterator[Finding]:
    taken: dict[Path, str] = {}
    for index, node in draft.nodes.items():
        if node.disk is None:
            continue
        folder = (draft.folder / node.disk.path).resolve()
        if folder in taken:
            yield Finding(
                ("node", index, "disk", "path"),
                shown(str(node.disk.path)),
                f"another folder: {taken[folder]} uses this one",
            )
        taken.setdefault(folder, node.name)
