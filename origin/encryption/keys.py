"""The keys of one stream, and which segments each encrypts.

A key is used from one media sequence number on, in all tracks, because tracks number their segments in step. The track
that comes to a number first decides whether the key changes there; the answer for a number never changes afterwards.

| the number                                         | its key                                         |
|----------------------------------------------------|-------------------------------------------------|
| is the first one that is asked for                 | a new one                                       |
| is higher than all that were asked for, and the    | a new one                                       |
|   newest key is as old as `rotate`, or is of       |                                                 |
|   another method                                   |                                                 |
| any other                                          | the newest that is used from it, or from before |

Pure: media time is an argument, and so is where the bytes of keys come from.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest
from typing import Any

from cdnkit.settings.encryption import Method

SIZE = 16
"""Bytes of a key, of its id and of an IV."""

SLACK_S = 0.1
"""A key may change so much early: sound is cut up to half a frame before the pictures are, and times are rounded."""

NewKey = Callable[[int], tuple[bytes, bytes]]
"""(id, key) of a stream's n-th key, from 0."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key."""

    id: str
    """16 bytes in hex: the KID of `tenc` and MPD."""
    secret: bytes = field(repr=False)
    method: Method
    first: int
    """The first media sequence number that it encrypts."""
    since: float
    """Program date-time of that segment, Unix seconds."""

    @property
    def iv(self) -> bytes:
        """The constant IV of cbcs. It is no secret, and need not be random."""
        return sha256(b"iv" + bytes.fromhex(self.id)).digest()[:SIZE]


class KeyRing:
    """The keys of one stream that segments need. Mutable."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        """By id, in the order of `first`."""
        self.made = 0
        self.newest = -1
        """The highest number that was asked for."""
        self.saved = True
        """A restart would find what is here."""

    def key_for(self, number: int, at: float, method: Method, rotate: float | None, new: NewKey) -> Key:
        """The key of a segment that begins at program date-time `at`."""
        last = next(reversed(self.keys.values()), None)
        due = last is not None and (
            last.method != method or (rotate is not None and at - last.since >= rotate - SLACK_S)
        )
        if last is None or (due and number > self.newest):
            id, secret = new(self.made)
            self.made += 1
            last = self.keys[id.hex()] = Key(id.hex(), secret, method, number, at)
            self.saved = False
        self.newest = max(self.newest, number)
        return self.at(number)

    def at(self, number: int) -> Key:
        """The key of a segment: the oldest one where all are used from later on. There is one at least."""
        used = (key for key in reversed(self.keys.values()) if key.first <= number)
        return next(used, next(iter(self.keys.values())))

    def forget(self, needed: Collection[str]) -> list[Key]:
        """Forgets the keys that no segment needs, but the newest; returns them."""
        gone = [key for key in list(self.keys.values())[:-1] if key.id not in needed]
        for key in gone:
            del self.keys[key.id]
        self.saved = self.saved and not gone
        return gone

    def to_json(self) -> dict[str, Any]:
        keys = [[key.id, key.secret.hex(), key.method, key.first, key.since] for key in self.keys.values()]
        return {"made": self.made, "newest": self.newest, "keys": keys}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "KeyRing":
        """KeyError, TypeError, ValueError: not what `to_json` gave."""
        ring = cls()
        ring.made, ring.newest = int(values["made"]), int(values["newest"])
        for id, secret, method, first, since in values["keys"]:
            ring.keys[str(id)] = Key(str(id), bytes.fromhex(secret), method, int(first), float(since))
        return ring


def derived(secret: bytes, stream: str, number: int) -> tuple[bytes, bytes]:
    """(id, key) of a stream's n-th key: both by HMAC-SHA-256, so that whoever has the secret finds a key by its id.

    The id is that of `kid:STREAM:N`, the key that of the id's 16 bytes; each is the first 16 bytes.
    """
    id = digest(secret, f"kid:{stream}:{number}".encode(), "sha256")[:SIZE]
    return id, digest(secret, id, "sha256")[:SIZE]
