"""`cdnlab latency`: watches a stream come from every tier at once, and says which stage takes how long."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cdnlab.client.viewer import split_url
from cdnlab.errors import BadUsage, Failed
from cdnlab.lab.run_folder import find_running, running
from cdnlab.latency.playlists import MediaPlaylist, Unreadable, read_media_playlist, variant_of
from cdnlab.latency.stages import Stage, stages
from cdnlab.latency.watch import Tier, Watch, units_of
from cdnlab.screen.latency import show

PROTOCOLS = ("hls", "ll-hls", "ll-dash")
LOW_LATENCY_MANIFEST = "manifest-low-latency.mpd"
ORIGIN = "origin"


def run(
    what: str, *, node: str | None, protocol: str | None, units: int, within: float, runs: Path, as_json: bool
) -> int:
    """Prints the stages of `units` segments or parts of a stream, or of a URL. Raises `Failed` if they did not come.

    `within`: seconds, for all of it. Returns the exit status.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise BadUsage(f"--protocol: found {protocol!r}, wanted one of {', '.join(PROTOCOLS)}")
    tiers, path, query = _where(what, node, protocol, runs)
    watch = Watch(tiers, path, query, time.monotonic() + within)
    protocol = protocol or _protocol_of(watch)
    found = units_of(watch, protocol, units)
    names = [tier.name for tier in tiers]
    rows, whole = stages(found, names)
    told = all(unit.told for unit in found)
    facts = {
        "url": f"{tiers[-1].base}{path}",
        "protocol": protocol,
        "tiers": names,
        "units": len(found),
        "captured_by": "prft" if told else "program date-time" if protocol != "ll-dash" else "timeline",
        "stages": [_json(row) for row in rows],
        "end_to_end": _json(whole),
    }
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        show(facts)
    return 0


def _json(row: Stage) -> dict[str, Any]:
    return {
        "stage": row.name,
        "mean_ms": round(1000 * row.mean, 1),
        "least_ms": round(1000 * row.least, 1),
        "most_ms": round(1000 * row.most, 1),
    }


def _where(what: str, node: str | None, protocol: str | None, runs: Path) -> tuple[list[Tier], str, str]:
    """The tiers to ask, the first one nearest to the encoder; the path, and a query such as a token."""
    file = LOW_LATENCY_MANIFEST if protocol == "ll-dash" else "multivariant.m3u8"
    if "/" not in what:
        return _chain(find_running(runs).cluster(), node), f"/{what}/{file}", ""
    parts = split_url(what)
    if not parts.scheme:
        return _chain(find_running(runs).cluster(), node), parts.path, parts.query
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadUsage(f"found {what!r}, wanted the name of a stream or an http:// URL")
    folder = running(runs)
    cluster = folder.cluster() if folder is not None else {"nodes": []}
    at = next((one["name"] for one in cluster["nodes"] if urlsplit(str(one["url"])).netloc == parts.netloc), None)
    if at is not None and node is None:
        return _chain(cluster, at), parts.path, parts.query
    return [Tier(parts.netloc, f"{parts.scheme}://{parts.netloc}")], parts.path, parts.query


def _chain(cluster: dict[str, Any], node: str | None) -> list[Tier]:
    """An edge, its parents, and the origin, in the order in which media passes them."""
    nodes = {one["name"]: one for one in cluster["nodes"]}
    if node is not None and node not in nodes:
        raise BadUsage(f"--node: no node {node!r} is running. Its nodes: {', '.join(nodes)}.")
    at = node or next((name for name, one in nodes.items() if one["role"] == "edge"), None)
    tiers: list[Tier] = []
    while at is not None and at in nodes and len(tiers) < len(nodes):
        tiers.append(Tier(at, str(nodes[at]["url"])))
        parent = nodes[at]["parent"]
        at = parent[0] if isinstance(parent, list) and parent else parent
    if cluster["origin"]["url"] is not None:
        tiers.append(Tier(ORIGIN, str(cluster["origin"]["url"])))
    if not tiers:
        raise BadUsage("the running cluster has neither a node nor an origin")
    return tiers[::-1]


def _protocol_of(watch: Watch) -> str:
    """What a URL is of: the lowest latency that is offered there."""
    if watch.path.endswith(".mpd"):
        return "ll-dash"
    try:
        text = watch.text(watch.path)
        variant = variant_of(text, watch.path)
        playlist: MediaPlaylist = read_media_playlist(text if variant is None else watch.text(variant))
    except Unreadable as error:
        raise Failed(f"{watch.tiers[-1].base}{watch.path}: {error}") from None
    return "ll-hls" if playlist.part_target else "hls"
