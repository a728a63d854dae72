"""Encrypts what a stream publishes, and keeps its keys: each is stored before the first segment that needs it is.

    /{stream}/key-{id}.key    16 bytes, for HLS
    /{stream}/license.key     keys as JSON, for ClearKey (W3C Encrypted Media Extensions 9.1.3, 9.1.4)

No cache may store either. All end in `.key`, so that one behavior of a node is enough to say so a second time. In
storage, the keys of a stream are one file, which only the origin's user can read.
"""

import asyncio
import json
import logging
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from cdnkit.settings.encryption import Encryption, read_secret
from cdnkit.settings.origin import Origin
from origin.encryption.ciphers import encrypt_whole
from origin.encryption.fragments import encrypted
from origin.encryption.init_sections import check, parameter_sets, protected
from origin.encryption.keys import SIZE, Key, KeyRing, derived
from origin.encryption.slice_headers import ParameterSets
from origin.errors import StorageFailed
from origin.hls.playlist import key_name
from origin.live.window import Numbered, TrackWindow
from origin.media.fragments import Fragment
from origin.media.tracks import InitSection, Kind
from origin.publishing.catalog import Catalog
from origin.publishing.responses import Resource
from origin.storage.backlog import Backlog

log = logging.getLogger("origin")

FOLDER = ".keys"
MOST_KIDS = 64
"""In one license request: a stream has one key at a time."""


@dataclass(slots=True)
class _Source:
    """A track that is to be encrypted, as it came: its init section, and the parameter sets of its samples so far."""

    init: InitSection
    rule: Encryption
    sets: ParameterSets


class Protection:
    """The keys of one origin's streams. Mutable; one event loop's."""

    def __init__(self, settings: Origin, storage: Backlog, catalog: Catalog, clock: Callable[[], float]) -> None:
        """`BadCredentials`: a `secret_file` cannot be used."""
        self._settings = settings
        self._storage = storage
        self._catalog = catalog
        self._clock = clock
        self._secrets = {
            one.secret_file: read_secret(f"encryption[{index}].secret_file", one.secret_file)
            for index, one in enumerate(settings.encryption)
            if one.secret_file is not None
        }
        self._rings: dict[str, KeyRing] = {}
        self._sources: dict[tuple[str, str], _Source] = {}
        self._saving = asyncio.Lock()

    def rule(self, stream: str, kind: Kind) -> Encryption | None:
        """How a track of this kind is encrypted; None: it is not, as text is not by cbcs."""
        rule = self._settings.encryption_of(stream)
        return None if rule is not None and rule.method == "SAMPLE-AES" and kind is Kind.TEXT else rule

    def check(self, stream: str, init: InitSection, where: str) -> None:
        """`BadMedia`: a track that could only be published unencrypted."""
        rule = self.rule(stream, init.track.kind)
        if rule is not None and rule.method == "SAMPLE-AES":
            check(init, where)

    def methods(self, stream: str) -> dict[str, str]:
        """METHOD by id of key, of all keys that the stream's segments need."""
        return {key.id: key.method for key in self._keys(stream)}

    def is_whole(self, stream: str) -> bool:
        """Whether whole segments are encrypted, of those that can be fetched or of those to come."""
        rule = self._settings.encryption_of(stream)
        return "AES-128" in self.methods(stream).values() or (rule is not None and rule.method == "AES-128")

    def secret(self, stream: str, key: str) -> bytes | None:
        """The secret of a key, by its id; None: no segment needs it any more."""
        return next((one.secret for one in self._keys(stream) if one.id == key), None)

    def _keys(self, stream: str) -> Iterable[Key]:
        ring = self._rings.get(stream)
        return ring.keys.values() if ring is not None else ()

    # ---- media -------------------------------------------------------------------------------------------------------

    def begin(self, stream: str, track: str, init: InitSection) -> bool:
        """A track's init section, as it came. True: it is published as it is."""
        if (rule := self.rule(stream, init.track.kind)) is None:
            self._sources.pop((stream, track), None)
            return True
        sampled = rule.method == "SAMPLE-AES"
        sets = parameter_sets(init) if sampled and init.track.kind is Kind.VIDEO else ParameterSets()
        self._sources[stream, track] = _Source(init, rule, sets)
        return not sampled

    async def prepare(self, stream: str, track: str, item: Numbered) -> InitSection | None:
        """Gives a segment or part its key, and returns the init section that belongs to it if that is one of the key's.

        `StorageFailed`: the key cannot be stored.
        """
        named = item.entry or item.part
        assert named is not None
        if (source := self._sources.get((stream, track))) is None:
            return None
        rule = source.rule
        ring = self._rings.setdefault(stream, KeyRing())
        key = ring.key_for(named.number, named.at, rule.method, rule.rotate, self._source_of_keys(stream, rule))
        if not ring.saved:
            await self._save(stream, ring)
            self._offer(stream, ring)
        named.key = key.id
        if rule.method == "AES-128":
            return None
        init = protected(source.init, bytes.fromhex(key.id), key.iv)
        named.init = init.id
        return init

    async def encrypt(self, stream: str, track: str, item: Numbered) -> bytes:
        """The bytes of a segment or part that `prepare` has given its key; those of one without as they are.

        `BadMedia`: they cannot be encrypted.
        """
        named = item.entry or item.part
        assert named is not None
        fragments = item.segment.fragments if item.segment is not None else item.fragments
        key = self._rings[stream].keys[named.key] if named.key else None
        if key is None:
            return b"".join(fragment.data for fragment in fragments)
        if key.method == "AES-128":
            data = b"".join(fragment.data for fragment in fragments)
            return await asyncio.to_thread(encrypt_whole, data, key.secret, named.number)
        return await asyncio.to_thread(_encrypt, fragments, self._sources[stream, track], key)

    def _source_of_keys(self, stream: str, rule: Encryption) -> Callable[[int], tuple[bytes, bytes]]:
        secret = self._secrets.get(rule.secret_file) if rule.secret_file is not None else None
        if secret is None:
            return lambda _: (secrets.token_bytes(SIZE), secrets.token_bytes(SIZE))
        return lambda number: derived(secret, stream, number)

    # ---- keys --------------------------------------------------------------------------------------------------------

    async def resume(self, stream: str) -> None:
        """Takes up the keys of an earlier run."""
        try:
            if (saved := await self._storage.read(f"{FOLDER}/{stream}.json")) is not None:
                ring = self._rings[stream] = KeyRing.from_json(json.loads(saved))
                self._offer(stream, ring)
        except (StorageFailed, ValueError, KeyError, TypeError) as error:
            log.error(
                "%s/%s.json: cannot be read (%s): segments without keys are gaps", FOLDER, stream, type(error).__name__
            )

    async def clean(self, streams: Collection[str]) -> None:
        """Deletes the keys of all but these streams."""
        there = await self._storage.list(f"{FOLDER}/")
        gone = [name for name in there if name.removeprefix(f"{FOLDER}/").removesuffix(".json") not in streams]
        await self._storage.delete(gone)

    def has(self, stream: str, key: str) -> bool:
        """Whether segments with this key ("": none) can be decrypted."""
        return not key or any(one.id == key for one in self._keys(stream))

    async def forget(self, stream: str, windows: Iterable[TrackWindow]) -> None:
        """Deletes the keys that nothing of these tracks needs, the stream's only ones."""
        if (ring := self._rings.get(stream)) is None or not ring.keys:
            return
        windows = list(windows)
        needed = {entry.key for window in windows for entry in window.fetchable()}
        needed |= {part.key for window in windows for part in window.parts.fetchable()}
        # What is being written now is in no window yet.
        needed |= {ring.at(window.next_number).id for window in windows}
        gone = ring.forget(needed)
        for key in gone:
            self._catalog.withdraw(f"{stream}/{key_name(key.id)}")
        if gone:
            try:
                await self._save(stream, ring)
            except StorageFailed as error:
                log.error("%s", error)

    def drop_track(self, stream: str, track: str) -> None:
        """The track has been forgotten."""
        self._sources.pop((stream, track), None)

    async def drop(self, stream: str) -> None:
        """The stream has been forgotten."""
        for key in self._keys(stream):
            self._catalog.withdraw(f"{stream}/{key_name(key.id)}")
        if self._rings.pop(stream, None) is not None:
            await self._storage.delete([f"{FOLDER}/{stream}.json"])

    async def _save(self, stream: str, ring: KeyRing) -> None:
        async with self._saving:
            values = json.dumps(ring.to_json()).encode()
            await self._storage.write(f"{FOLDER}/{stream}.json", values, secret=True)
            ring.saved = values == json.dumps(ring.to_json()).encode()

    def _offer(self, stream: str, ring: KeyRing) -> None:
        for key in ring.keys.values():
            path = f"{stream}/{key_name(key.id)}"
            if self._catalog.get(path) is None:
                # The tag is the id: a hash of the key would be a way to check guesses.
                resource = Resource(
                    media_type="application/octet-stream",
                    size=SIZE,
                    etag=f'"{key.id}"',
                    modified=self._clock(),
                    lifetime=0.0,
                    surrogate_key=f"{stream} key",
                    body=key.secret,
                    secret=True,
                )
                self._catalog.offer(path, resource, None)

    def license(self, stream: str, wanted: Iterable[str] | None) -> dict[str, object] | None:
        """The ClearKey license with the keys of these ids, or with all of them; None: there is none of these."""
        keys = [key for key in self._keys(stream) if wanted is None or key.id in wanted]
        if not keys:
            return None
        found = [{"kty": "oct", "kid": _base64(bytes.fromhex(key.id)), "k": _base64(key.secret)} for key in keys]
        return {"keys": found, "type": "temporary"}


def read_license_request(body: bytes) -> list[str] | str:
    """The ids, in hex, that a license request asks for; otherwise what is wrong with it."""
    try:
        values = json.loads(body)
        kids = [urlsafe_b64decode(kid + "=" * (-len(kid) % 4)).hex() for kid in values["kids"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 'found no license request, wanted {"kids": [...], "type": "temporary"}'
    if not 1 <= len(kids) <= MOST_KIDS:
        return f"found {len(kids)} kids, wanted 1 to {MOST_KIDS}"
    return kids


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _encrypt(fragments: list[Fragment], source: _Source, key: Key) -> bytes:
    """Each fragment is encrypted once: those of a part are those of its segment."""
    for fragment in fragments:
        if not fragment.encrypted:
            fragment.data = encrypted(fragment, source.init.track, key.secret, key.iv, source.sets)
            fragment.encrypted = True
    return b"".join(fragment.data for fragment in fragments)
