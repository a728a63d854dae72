"""Whether viewers can play: every stream's playlists, first at the origin, then through every edge."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urljoin

from cdnkit.settings.edge import Node
from cdnlab.client.signing import signed
from cdnlab.client.viewer import CLIENT_IP, Response, ask
from cdnlab.errors import Failed
from cdnlab.lab.cluster import Cluster
from cdnlab.settings.document import Document
from loadtests.identity import address, networks_of

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two tries. They become rarer, because the report counts these requests too."""

REFUSALS = frozenset({401, 403, 421, 451})
"""Statuses that a gate sends again; any other may change with the next segment."""


@dataclass
class NotPlayable(Failed):
    """No viewer could play in time; the message says what was missing."""


async def wait_until_playable(cluster: Cluster, *, within: float, renditions: int = 1, segments: int = 1) -> float:
    """Waits until each stream plays through each edge, and returns how many seconds that took.

    Asks the origin until the stream is there, and only then each edge: an edge would store an early 404, and the report
    would count it. An edge that stored one for somebody else is asked again. The origin's multivariant playlist must
    list `renditions` renditions, and each of them `segments` segments: players start three segments behind the end, and
    a player that finds fewer starts with a thin buffer.
    """
    began = time.monotonic()
    for stream in cluster.document.streams:
        path = f"{stream.name}/multivariant.m3u8"
        at_origin = _Start(f"{cluster.origin.ready['url']}/{path}", {}, renditions, segments)
        if found := await _until_playable(at_origin, began + within):
            raise NotPlayable(
                f"{stream.name}: not playable after {within:g} s: {found}",
                f"The encoder's log: {cluster.transcoders[stream.name].log}",
            )
        for node in cluster.document.edges():
            edge = f"{cluster.nodes[node.name].ready['url']}/{path}"
            url = signed(cluster.document, edge, expires_at=int(time.time()) + 86_400)
            found = await _until_playable(_Start(url, viewer_headers(cluster.document, node)), began + within)
            if found:
                waited = time.monotonic() - began
                raise NotPlayable(f"{stream.name}: not playable through {node.name} after {waited:.0f} s: {found}")
    return time.monotonic() - began


@dataclass(frozen=True)
class _Start:
    """What a player needs in order to start."""

    url: str
    """The URL of the multivariant playlist."""
    headers: dict[str, str]
    renditions: int = 1
    segments: int = 1


async def _until_playable(start: _Start, end: float) -> str:
    """Asks until a player could start, `end` has come, or time would not help; returns what is missing, or ""."""
    pause = FIRST_PAUSE
    while True:
        left = end - time.monotonic()
        found, final = await asyncio.to_thread(_what_is_missing, start, min(5.0, max(0.1, left)))
        # Not `left <= pause`: NaN ends the wait too.
        if not found or final or not left > pause:
            return found
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)


def viewer_headers(document: Document, node: Node) -> dict[str, str]:
    """The request fields of a viewer at this edge: an address in the first of its countries."""
    return from_country(document, node.countries[0]) if node.countries else {}


def from_country(document: Document, country: str) -> dict[str, str]:
    """The request fields of a viewer in a country. Raises `BadTarget` when no network there is known."""
    return {CLIENT_IP: address(networks_of((country,), document.geo.countries), 0)}


def _what_is_missing(start: _Start, timeout: float) -> tuple[str, bool]:
    """What a player lacks to start, or ""; and whether asking again is of no use."""
    try:
        top = ask(start.url, headers=start.headers, timeout=timeout)
        if top.status != 200:
            text = f"the multivariant playlist answers {top.status} {_reason(top)}".rstrip()
            return text, top.status in REFUSALS
        media = _uris(top.text())
        if len(media) < start.renditions:
            return f"{len(media)} of {start.renditions} renditions listed", False
        for uri in media:
            playlist = ask(urljoin(start.url, uri), headers=start.headers, timeout=timeout)
            if playlist.status != 200:
                return f"{uri} answers {playlist.status} {_reason(playlist)}".rstrip(), playlist.status in REFUSALS
            if playlist.text().count("#EXTINF") < start.segments:
                return f"{uri} has fewer than {start.segments} segments yet", False
            if start.renditions == 1:
                break
    except Failed as error:
        return str(error), False
    return "", False


def _uris(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def _reason(response: Response) -> str:
    return response.text().strip().splitlines()[0][:120] if response.body else ""
