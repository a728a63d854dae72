"""The objects of one stream as a machine: what is there, what is on its way, what has to go. No I/O.

| happens                                          | then                                                          |
|--------------------------------------------------|---------------------------------------------------------------|
| a PUT begins                                     | nothing is seen of it; its bytes count towards the bounds     |
| a PUT ends properly                              | its object is there, whole, in place of the one at that path  |
| a PUT breaks off                                 | what was there is there still                                 |
| a later PUT or DELETE of the same path was first | the earlier PUT is overtaken: its object is never seen        |
| a playlist's PUT ends, and one that began before | the playlist waits for it                                     |
|   and brings an object that it lists goes on     |                                                               |
| no playlist lists an object for `linger` seconds | it goes; playlists and MPDs stay                              |

A bound that is met refuses what would pass it, and takes nothing away.
"""

from dataclasses import dataclass, field

from cdnkit.settings.origin import Uploads
from origin.errors import Refused
from origin.uploads.lists import Listing
from origin.uploads.names import LISTS, Class

MOST_OPEN = 256
"""The most PUTs of a stream at once. An encoder of ten renditions that opens a connection for each object has 30."""


@dataclass(slots=True)
class StoredObject:
    """One object that viewers can fetch."""

    path: str
    """Inside the stream: `v0/live0.ts`."""
    file: int
    """The number of its file, which no other object ever has."""
    size: int
    etag: str
    """Strong, with its quotes."""
    kind: Class
    stored_at: float
    """Unix seconds."""
    unlisted_since: float | None = None
    """When it was first found that no playlist lists it; None: one does, or nobody has looked."""


@dataclass(slots=True, eq=False)
class Upload:
    """A PUT that is under way."""

    path: str
    received: int = 0
    overtaken: bool = False


@dataclass(slots=True, eq=False)
class ObjectStream:
    """One stream's objects. Mutable; one event loop's."""

    name: str
    bounds: Uploads
    last_change: float
    """When an encoder last began, ended or deleted something; Unix seconds."""
    objects: dict[str, StoredObject] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    """What each playlist and MPD lists, by its path."""
    open: dict[Upload, None] = field(default_factory=dict)
    """In the order in which they began."""
    size: int = 0
    """Bytes of all objects, and of what has come of those on their way."""

    @property
    def undecided(self) -> bool:
        """Only CMAF headers named `*.mp4` are here, which may be the first of a track (interface 1) as well."""
        return not self.open and all(
            one.kind is Class.INIT and one.path.endswith(".mp4") and "/" not in one.path
            for one in self.objects.values()
        )

    @property
    def ended(self) -> bool:
        """Every playlist with segments and every MPD says that nothing more will come."""
        final = [one.ended for path, one in self.listings.items() if self.objects[path].kind is not Class.MULTIVARIANT]
        return bool(final) and all(final)

    def outermost(self) -> list[StoredObject]:
        """The playlists and MPDs that no other one lists: where viewers begin; multivariant playlists first."""
        inner = set[str]().union(*(one.paths for one in self.listings.values()))
        order = [Class.MULTIVARIANT, Class.MEDIA_PLAYLIST, Class.MANIFEST]
        found = [self.objects[path] for path in self.listings if path not in inner]
        return sorted(found, key=lambda one: (order.index(one.kind), one.path))

    def begin(self, path: str, now: float) -> Upload:
        """A PUT begins. `Refused`: there is no room for one more."""
        if len(self.open) >= MOST_OPEN:
            self._refuse(429, path, f"{len(self.open)} open requests", f"at most {MOST_OPEN}")
        fresh = {one.path for one in self.open} - self.objects.keys()
        if path not in self.objects and path not in fresh and len(self.objects) + len(fresh) >= self.bounds.objects:
            wanted = f"at most {self.bounds.objects} (origin.uploads.objects): delete some, or list fewer"
            self._refuse(507, path, f"{len(self.objects)} objects", wanted)
        upload = Upload(path)
        self.open[upload] = None
        self.last_change = now
        return upload

    def take(self, upload: Upload, count: int, *, largest: int) -> None:
        """`count` more bytes of the PUT. `Refused`: they pass a bound."""
        self.check_size(upload.path, upload.received + count, largest)
        if self.size + count > self.bounds.stream_size:
            wanted = f"at most {self.bounds.stream_size} bytes a stream (origin.uploads.stream_size): delete some"
            self._refuse(507, upload.path, f"{self.size} bytes stored", wanted)
        upload.received += count
        self.size += count

    def check_size(self, path: str, size: int, largest: int) -> None:
        """`Refused`: an object of `size` bytes is too large."""
        if size > largest:
            setting = " (origin.uploads.largest)" if largest == self.bounds.largest else " of a playlist"
            self._refuse(413, path, f"{size} bytes or more", f"at most {largest} bytes{setting}")

    def awaited(self, upload: Upload, listing: Listing) -> list[Upload]:
        """The PUTs that began before this one, a playlist's, and bring objects that it lists."""
        earlier = []
        for one in self.open:
            if one is upload:
                break
            if listing.promises(one.path) and one.path != upload.path:
                earlier.append(one)
        return earlier

    def finish(self, upload: Upload, stored: StoredObject, listing: Listing | None, now: float) -> StoredObject | None:
        """The PUT ended properly and is not overtaken: its object is there. The object that it replaced, if any."""
        self._overtake(stored.path, upload)
        replaced = self._remove(stored.path)
        self._put(stored, listing)
        self.last_change = now
        return replaced

    def restore(self, stored: StoredObject, listing: Listing | None) -> None:
        """An object of an earlier run."""
        self._put(stored, listing)

    def over(self, upload: Upload) -> None:
        """The PUT is over, whichever way."""
        del self.open[upload]
        self.size -= upload.received

    def delete(self, path: str, now: float) -> StoredObject | None:
        """An encoder deletes: the object that goes; None: there is none."""
        self._overtake(path, None)
        self.last_change = now
        return self._remove(path)

    def forget(self, stored: StoredObject) -> None:
        """The object goes, and no encoder has said so: a PUT of its path goes on."""
        self._remove(stored.path)

    def expired(self, now: float, linger: float) -> list[StoredObject]:
        """The objects that no playlist has listed for `linger` seconds; they are to be forgotten.

        What the longest playlist lists takes as long to play: `linger` is never shorter (RFC 8216 section 6.2.2).
        """
        patience = max([linger, *(one.duration + one.target for one in self.listings.values())])
        listings = list(self.listings.values())
        gone = []
        for one in self.objects.values():
            if one.kind in LISTS or any(listing.lists(one.path, now - one.stored_at) for listing in listings):
                one.unlisted_since = None
            elif one.unlisted_since is None:
                one.unlisted_since = now
            elif now - one.unlisted_since >= patience:
                gone.append(one)
        return gone

    def _put(self, stored: StoredObject, listing: Listing | None) -> None:
        self.objects[stored.path] = stored
        self.size += stored.size
        if listing is not None:
            self.listings[stored.path] = listing

    def _remove(self, path: str) -> StoredObject | None:
        self.listings.pop(path, None)
        if (one := self.objects.pop(path, None)) is not None:
            self.size -= one.size
        return one

    def _overtake(self, path: str, by: Upload | None) -> None:
        """The PUTs of this path that began before `by` come too late; None: all of them."""
        for one in self.open:
            if one is by:
                return
            if one.path == path:
                one.overtaken = True

    def _refuse(self, status: int, path: str, found: str, wanted: str) -> None:
        raise Refused(status, f"{self.name}/{path}: found {found}, wanted {wanted}.")
