"""Whether viewers can play: every stream's playlists, first at the origin, then through every edge."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urljoin

from cdnkit.settings.edge import Node
from cdnlab.client.signing import signed
from cdnlab.client.viewer import CLIENT_IP, Answer, ask
from cdnlab.errors import Failed
from cdnlab.lab.cluster import Cluster
from cdnlab.settings.document import Document
from loadtests.identity import address, networks_of

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two questions. What an edge answers meanwhile stands in the report, so they become rarer."""

REFUSALS = frozenset({401, 403, 421, 451})
"""What a gate says, it says again; all else may change with the next segment."""


@dataclass
class NotPlayable(Failed):
    """No viewer could play in time; the message says how far it came."""


async def wait_until_playable(cluster: Cluster, *, within: float, renditions: int = 1, segments: int = 1) -> float:
    """Waits until each stream plays through each edge, and returns how many seconds that took.

    Asks the origin until there is something, and only then each edge: early 404s would be kept by the edges and counted
    in the report. An edge may have one even so, from somebody who came earlier, and is asked again. `renditions` is how
    many of them a multivariant playlist must list, `segments` how many each of those must: players start three behind
    the end, and one that finds fewer starts with a thin buffer.
    """
    began = time.monotonic()
    for stream in cluster.document.streams:
        path = f"{stream.name}/multivariant.m3u8"
        at_origin = _Question(f"{cluster.origin.ready['url']}/{path}", {}, renditions, segments)
        if found := await _until_playable(at_origin, began + within):
            raise NotPlayable(
                f"{stream.name}: not playable after {within:g} s: {found}",
                f"The encoder's log: {cluster.transcoders[stream.name].log}",
            )
        for node in cluster.document.edges():
            edge = f"{cluster.nodes[node.name].ready['url']}/{path}"
            url = signed(cluster.document, edge, expires_at=int(time.time()) + 86_400)
            found = await _until_playable(_Question(url, viewer_headers(cluster.document, node)), began + within)
            if found:
                waited = time.monotonic() - began
                raise NotPlayable(f"{stream.name}: not playable through {node.name} after {waited:.0f} s: {found}")
    return time.monotonic() - began


@dataclass(frozen=True)
class _Question:
    """Whether a player could start here."""

    url: str
    """Of the multivariant playlist."""
    headers: dict[str, str]
    renditions: int = 1
    segments: int = 1


async def _until_playable(question: _Question, end: float) -> str:
    """Asks until a player could start, "", or `end` has come (or no time would help): what stands in its way."""
    pause = FIRST_PAUSE
    while True:
        left = end - time.monotonic()
        found, final = await asyncio.to_thread(_what_is_missing, question, min(5.0, max(0.1, left)))
        # Not `left <= pause`: what is no number has passed, too.
        if not found or final or not left > pause:
            return found
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)


def viewer_headers(document: Document, node: Node) -> dict[str, str]:
    """What a viewer of this edge sends: an address in one of its countries."""
    return from_country(document, node.countries[0]) if node.countries else {}


def from_country(document: Document, country: str) -> dict[str, str]:
    """What a viewer in a country sends; `BadTarget` when no network there is known."""
    return {CLIENT_IP: address(networks_of((country,), document.geo.countries), 0)}


def _what_is_missing(question: _Question, timeout: float) -> tuple[str, bool]:
    """ "" when a player could start, else what stands in its way; and whether that is the last word on it."""
    try:
        top = ask(question.url, headers=question.headers, timeout=timeout)
        if top.status != 200:
            text = f"the multivariant playlist answers {top.status} {_reason(top)}".rstrip()
            return text, top.status in REFUSALS
        media = _uris(top.text())
        if len(media) < question.renditions:
            return f"{len(media)} of {question.renditions} renditions listed", False
        for uri in media:
            playlist = ask(urljoin(question.url, uri), headers=question.headers, timeout=timeout)
            if playlist.status != 200:
                return f"{uri} answers {playlist.status} {_reason(playlist)}".rstrip(), playlist.status in REFUSALS
            if playlist.text().count("#EXTINF") < question.segments:
                return f"{uri} has fewer than {question.segments} segments yet", False
            if question.renditions == 1:
                break
    except Failed as error:
        return str(error), False
    return "", False


def _uris(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def _reason(answer: Answer) -> str:
    return answer.text().strip().splitlines()[0][:120] if answer.body else ""
