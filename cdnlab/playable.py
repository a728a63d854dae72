"""Whether viewers can play: every stream's playlists, first at the origin, then through every edge."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urljoin

from cdnlab.asking import CLIENT_IP
from cdnlab.cluster import Cluster
from cdnlab.document import Document
from cdnlab.errors import Failed
from cdnlab.signing import signed
from cdnlab.viewer import Answer, ask
from edge.settings import Node
from loadtests.identity import address, networks_of


@dataclass
class NotPlayable(Failed):
    """No viewer could play in time; the message says how far it came."""


async def wait_until_playable(cluster: Cluster, *, within: float, renditions: int = 1, segments: int = 1) -> float:
    """Waits until each stream plays through each edge, and returns how many seconds that took.

    Asks the origin until there is something, and only then each edge: early 404s would be kept by the edges and
    counted in the report. `renditions` is how many of them a multivariant playlist must list, `segments` how many each
    of those must: players start three behind the end, and one that finds fewer starts with a thin buffer.
    """
    began = time.monotonic()
    for stream in cluster.document.streams:
        found = "nothing yet"
        url = f"{cluster.origin.ready['url']}/{stream.name}/multivariant.m3u8"
        while True:
            found = await asyncio.to_thread(_what_is_missing, url, renditions, {}, segments)
            if not found:
                break
            if time.monotonic() - began > within:
                raise NotPlayable(
                    f"{stream.name}: not playable after {within:g} s: {found}",
                    f"The encoder's log: {cluster.transcoders[stream.name].log}",
                )
            await asyncio.sleep(0.1)
        for node in cluster.document.edges():
            edge = f"{cluster.nodes[node.name].ready['url']}/{stream.name}/multivariant.m3u8"
            url = signed(cluster.document, edge, expires_at=int(time.time()) + 60)
            found = await asyncio.to_thread(_what_is_missing, url, 1, viewer_headers(cluster.document, node))
            if found:
                raise NotPlayable(f"{stream.name}: not playable through {node.name}: {found}")
    return time.monotonic() - began


def viewer_headers(document: Document, node: Node) -> dict[str, str]:
    """What a viewer of this edge sends: an address in one of its countries."""
    return from_country(document, node.countries[0]) if node.countries else {}


def from_country(document: Document, country: str) -> dict[str, str]:
    """What a viewer in a country sends; `BadTarget` when no network there is known."""
    return {CLIENT_IP: address(networks_of((country,), document.geo.countries), 0)}


def _what_is_missing(url: str, renditions: int, headers: dict[str, str], segments: int = 1) -> str:
    """ "" when a player could start at this multivariant playlist, else what stands in its way."""
    try:
        top = ask(url, headers=headers, timeout=5.0)
        if top.status != 200:
            return f"the multivariant playlist answers {top.status} {_reason(top)}".rstrip()
        media = _uris(top.text())
        if len(media) < renditions:
            return f"{len(media)} of {renditions} renditions listed"
        for uri in media:
            playlist = ask(urljoin(url, uri), headers=headers, timeout=5.0)
            if playlist.status != 200:
                return f"{uri} answers {playlist.status} {_reason(playlist)}".rstrip()
            if playlist.text().count("#EXTINF") < segments:
                return f"{uri} has fewer than {segments} segments yet"
            if renditions == 1:
                break
    except Failed as error:
        return str(error)
    return ""


def _uris(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def _reason(answer: Answer) -> str:
    return answer.text().strip().splitlines()[0][:120] if answer.body else ""
