"""What watches a soak: playlists and manifests at each poll, and what they list, directly and through an edge."""

import hashlib
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.kit import ll_player
from tests.kit.dash_invariants import DashWatch
from tests.kit.live_origin import request
from tests.real.origin.playlists import Watch, read_playlist


class Absent(Exception):
    """Something is not there, or the server is in trouble."""


def get(url: str) -> bytes:
    """The body of a 200. `Absent`: another status."""
    reply = request(url)
    if reply.status != 200:
        raise Absent(f"{reply.status} {url}: {reply.text[:100]}")
    return reply.body


@dataclass
class Player:
    """One resource of one base URL, polled; `check` gets it and judges. AssertionError: what must hold does not."""

    name: str
    check: Callable[[], None]
    every: float
    polls: int = 0
    known: bool = False
    """It has been there."""


@dataclass
class Fetched:
    """Bytes by URL: what a URL has once, it has for ever, and after it left the playlist it is still there."""

    seen: dict[str, str] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def get(self, url: str) -> bytes:
        body = get(url)
        digest = hashlib.sha256(body).hexdigest()
        assert self.seen.setdefault(url, digest) == digest, f"{url} has other bytes than before"
        return body

    def again(self, urls: list[str]) -> None:
        """One of these, which were there before."""
        if urls:
            self.get(self.chance.choice(urls))


def hls(base: str, track: str, window: float, target: int) -> tuple[Player, Watch]:
    """A media playlist of fMP4."""
    fetched = Fetched()
    watch = Watch(lambda uri: fetched.get(f"{base}/{track}/{uri}"))
    left: dict[str, float] = {}
    """Segments that are no longer listed, and when they were listed last."""
    polled = 0.0

    def check() -> None:
        nonlocal polled
        before, now = watch.last, time.time()
        playlist = watch.check(get(f"{base}/{track}/media.m3u8").decode())
        assert playlist.target == target
        listed = sum(one.duration for one in playlist.segments)
        assert playlist.number == 0 or listed >= 3 * target, f"{listed:g} s are listed"
        for one in before.segments if before is not None else ():
            if one.number < playlist.number and not one.gap:
                left[f"{base}/{track}/{one.uri}"] = polled
        # RFC 8216 6.2.2: there for its own duration and that of the longest playlist that had it.
        for url in [url for url, at in left.items() if now > at + window]:
            del left[url]
        fetched.again(list(left))
        fetched.again([f"{base}/{track}/{one.uri}" for one in playlist.segments if not one.gap])
        polled = now

    return Player(f"HLS {base}/{track}", check, 1.0), watch


def multivariant(base: str) -> Player:
    names: set[str] = set()

    def check() -> None:
        for file in ("multivariant.m3u8", "multivariant-ts.m3u8"):
            text = get(f"{base}/{file}").decode()
            listed = {*re.findall(r"^[^#\n].*$", text, re.M), *re.findall(r'URI="([^"]+)"', text)}
            assert listed, text
            for one in listed:
                get(f"{base}/{one}")
            if file == "multivariant.m3u8":
                assert not names - listed, "a rendition is gone"
                names.update(listed)

    return Player(f"multivariant {base}", check, 3.0)


def ts(base: str, track: str) -> Player:
    """The playlist of MPEG-TS: the same numbers as `media.m3u8`, and each segment is there once."""
    seen: dict[str, tuple[int, float]] = {}
    last = [0]
    fetched = Fetched()

    def check() -> None:
        text = get(f"{base}/{track}/ts.m3u8").decode()
        number = int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)[1])  # type: ignore[index]
        assert number >= last[0], "the media sequence number went back"
        last[0] = number
        for gap, duration, uri in re.findall(r"(#EXT-X-GAP\n)?#EXTINF:([\d.]+),\n([^#\n]+)", text):
            assert seen.setdefault(uri, (number, float(duration))) == (number, float(duration)), (
                "what was listed changed"
            )
            number += 1
            if f"{base}/{track}/{uri}" not in fetched.seen and not gap:
                body = fetched.get(f"{base}/{track}/{uri}")
                assert body and len(body) % 188 == 0 and body[0] == 0x47

    return Player(f"TS {base}/{track}", check, 2.0)


def dash(base: str, name: str, clock: Callable[[], float], stale: float) -> Player:
    fetched = Fetched()
    watch = DashWatch(lambda url: fetched.get(f"{base}/{url}"), stale=stale, aligned=True)

    def check() -> None:
        watch.check(get(f"{base}/{name}").decode(), clock())

    return Player(f"DASH {base}/{name}", check, 1.5)


def low_latency(base: str, track: str) -> Player:
    """A blocking reload for what comes next, and the parts that it lists."""
    state: dict[str, Any] = {"next": None}
    fetched = Fetched()

    def check() -> None:
        query = "" if state["next"] is None else "?_HLS_msn={}&_HLS_part={}".format(*state["next"])
        asked, state["next"] = state["next"], None  # after a failure, begin again
        text = get(f"{base}/{track}/media.m3u8{query}").decode()
        read_playlist(text)
        playlist = ll_player.read(text)
        if playlist.ended:
            return
        assert asked is None or playlist.next_part > asked, f"asked for {asked}, got up to {playlist.next_part}"
        for part in playlist.parts[-3:]:
            url = f"{base}/{track}/{part.uri}"
            assert part.duration <= playlist.part_target + 1e-6
            if url not in fetched.seen:
                fetched.get(url)
        state["next"] = playlist.next_part

    return Player(f"LL-HLS {base}/{track}", check, 0.05)
