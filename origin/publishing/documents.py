"""JSON that playlists and MPDs name: asset lists of interstitials, and steering manifests."""

from hashlib import sha256

from origin.hls.interstitials import list_name
from origin.hls.steering import STEERING
from origin.publishing.held import Unmet
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Resource


def find(publisher: Publisher, path: str) -> Resource | Unmet | None:
    """What answers a request for this path; None: it is none of these."""
    name, _, file = path.partition("/")
    if (stream := publisher.streams.get(name)) is None:
        return None
    if file == STEERING and (chosen := publisher.steering.chosen) is not None:
        if (steering := publisher.steering.now) is None:
            return Unmet(410, "players are steered no longer.", float(max(1, int(chosen.ttl) // 2)))
        return _json(steering.manifest(name), publisher.steering.changed_at, steering.lifetime, f"{name} steering")
    for one in publisher.dates.of(name).ranges:
        if one.assets and file == list_name(one.id):
            # As fresh as the playlist that names it: the list may change until it is played.
            return _json(one.assets, one.added_at, publisher.listing.lifetime(stream), f"{name} asset-list")
    return None


def _json(text: str, modified: float, lifetime: float, keys: str) -> Resource:
    body = text.encode()
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    return Resource("application/json", len(body), etag, modified, lifetime, keys, body, dated=False)
