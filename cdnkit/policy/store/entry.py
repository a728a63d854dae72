"""A stored response, the request fields that select it, and the surrogate keys by which it is purged."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from sys import intern
from typing import Any

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.messages import Headers, Lines
from cdnkit.policy.http.negotiation import normalised
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.rules.profile import Quotas
from cdnkit.policy.store.generation import Generation
from cdnkit.policy.store.key import HEAD_SUFFIX

Selecting = tuple[tuple[str, str | None], ...]
"""The request fields that Vary names, with their values; a stored response is selected by equal ones."""

NOTHING_PREPARED: Lines = []
"""What all entries share that have no prepared head yet; nobody changes it."""


@dataclass(slots=True, eq=False)
class Entry:
    """One stored response. Its body is with the shell, under `id`."""

    id: int
    """A response that is stored later has a larger one."""
    key: str
    status: int
    headers: Headers
    life: Lifetime
    selecting: Selecting = ()
    surrogate_keys: tuple[str, ...] = ()
    size_bytes: int = 0
    """Body length: by Content-Length while it fills, the real one once it is complete; 0 if not known yet."""
    length: int | None = None
    """Body length once known, None before."""
    complete: bool = False
    part: Span | None = None
    """The bytes of the representation it holds, where it is a stored 206; None: all of them."""
    total: int | None = None
    """Of a part: the length of the whole, if the origin named it."""
    coding: str = ""
    """The content coding this node put on its body; "" where it is as it came."""
    etag: str | None = field(default=None)
    last_modified: str | None = field(default=None)
    for_authorization: bool = False
    """Its request had Authorization: the directive that allowed storing it must stay there (RFC 9111 §3.5)."""
    hits: int = 0
    prepared: Lines = field(default_factory=lambda: NOTHING_PREPARED)
    """The head of a plain hit, good until `prepared_until`; whoever changes the entry calls `forget_prepared`."""
    prepared_until: float = 0.0
    prepared_bytes: bytes = b""
    """What a shell made of `prepared`; b"" since that was made anew."""
    prepared_block: bytes = b""
    """The same for HTTP/2."""
    prepared_parts: Any = None
    """What else it made of it, or of an earlier one that differs in Age and ttl alone."""
    generation: Generation | None = None
    """The index's generation that it belongs to."""
    purges_outlived: int = 0
    """The number of the last purge of its generation that has been applied to it."""

    @property
    def indexed(self) -> bool:
        """False once it is removed or purged, and for a response that was only shared with waiting requests: an error,
        say. Whoever has found an entry asks this before its `life`, which a soft purge may have ended."""
        generation = self.generation
        if generation is None or not generation.current:
            return False
        return self.purges_outlived == generation.purges or generation.outlived_by(self)

    def forget_prepared(self) -> None:
        self.prepared, self.prepared_until = NOTHING_PREPARED, 0.0
        self.prepared_bytes = self.prepared_block = b""
        self.prepared_parts = None

    @property
    def is_head(self) -> bool:
        """It is a stored response to HEAD: its length is that of a body which is not here."""
        return self.key.endswith(HEAD_SUFFIX)

    @property
    def content_type(self) -> str:
        """ "" where it has none."""
        return self.headers.first("content-type") or ""

    @property
    def has_body(self) -> bool:
        return self.status not in (204, 304)

    @property
    def has_validator(self) -> bool:
        return self.etag is not None or self.last_modified is not None


LONGEST_SHARED = 1024
"""Characters of the longest value whose field line is shared."""


@lru_cache(maxsize=4096)
def _shared(line: tuple[str, str]) -> tuple[str, str]:
    return intern(line[0]), line[1]


def shared_lines(lines: Iterable[tuple[str, str]]) -> Lines:
    """The same lines, in less memory: a hundred thousand heads have the same few names, and most of their lines in
    common."""
    return [_shared(line) if len(line[1]) <= LONGEST_SHARED else (intern(line[0]), line[1]) for line in lines]


def vary_names(headers: Headers) -> tuple[str, ...]:
    vary = headers.joined("vary")
    if vary is None:
        return ()
    return tuple(sorted({name.strip().lower() for name in vary.split(",") if name.strip()}))


def selecting_fields(names: Iterable[str], request: Headers, *, as_sent: bool = False) -> Selecting:
    """`as_sent`: values are compared as sent; only the lines of one field are joined to one list."""
    if as_sent:
        return tuple((name, request.joined(name)) for name in names)
    return tuple((name, normalised(name, request.joined(name))) for name in names)


def surrogate_keys_of(headers: Headers, quotas: Quotas | None = None) -> tuple[str, ...]:
    """Keys of `Surrogate-Key`, each once (Fastly: separated by spaces, printable ASCII; others are ignored), within the
    quotas."""
    value = " ".join(headers.all("surrogate-key"))
    if quotas is None or not value:
        return _keys_in(value)
    keys = value.split()
    if quotas.surrogate_keys_bytes is not None and len(value) > quotas.surrogate_keys_bytes:
        keys = value[: quotas.surrogate_keys_bytes + 1].rpartition(" ")[0].split()
    if quotas.surrogate_key_bytes is not None:
        longest = quotas.surrogate_key_bytes
        keys = list(takewhile(lambda key: len(key) <= longest, keys))
    return tuple(dict.fromkeys(key for key in keys if is_surrogate_key(key)))


@memoized(4096)
def _keys_in(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for key in value.split() if is_surrogate_key(key)))


def is_surrogate_key(text: str) -> bool:
    """Printable ASCII, 0x21 to 0x7E."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
