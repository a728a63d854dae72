"""Content codings that this node can apply to a body while it fills, and remove: gzip always, br with `brotli`."""

import zlib
from collections.abc import Callable
from typing import Protocol

GZIP_LEVEL = 6
"""zlib's own default; nginx's is 1. What is compressed here is compressed once and served often."""
BROTLI_QUALITY = 5
"""About gzip's effort for a fifth fewer bytes; 11, the library's default, is for files made ahead of time."""


class Encoder(Protocol):
    """Encodes one body."""

    def add(self, chunk: bytes) -> bytes:
        """What is ready after this chunk; often nothing."""

    def finish(self) -> bytes:
        """The rest."""


class Gzip:
    """RFC 1952, with no time in its header: the same body is always the same bytes."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(GZIP_LEVEL, wbits=31)

    def add(self, chunk: bytes) -> bytes:
        return self._compressor.compress(chunk)

    def finish(self) -> bytes:
        return self._compressor.flush()


def _encoders() -> dict[str, Callable[[], Encoder]]:
    found: dict[str, Callable[[], Encoder]] = {"gzip": Gzip}
    try:
        import brotli
    except ImportError:
        return found

    class Brotli:
        """RFC 7932."""

        def __init__(self) -> None:
            self._compressor = brotli.Compressor(quality=BROTLI_QUALITY)

        def add(self, chunk: bytes) -> bytes:
            return bytes(self._compressor.process(chunk))

        def finish(self) -> bytes:
            return bytes(self._compressor.finish())

    found["br"] = Brotli
    return found


ENCODERS = _encoders()
"""By the coding's name in `Content-Encoding`."""


def _ungzipped(body: bytes, largest: int) -> bytes | None:
    inflating = zlib.decompressobj(wbits=31)
    try:
        plain = inflating.decompress(body, largest + 1)
    except zlib.error:
        return None
    return plain if inflating.eof and not inflating.unused_data and len(plain) <= largest else None


def _decoders() -> dict[str, Callable[[bytes, int], bytes | None]]:
    found: dict[str, Callable[[bytes, int], bytes | None]] = {"gzip": _ungzipped, "x-gzip": _ungzipped}
    try:
        import brotli

        brotli.Decompressor.can_accept_more_data  # noqa: B018  (since 1.2: output can be bounded)
    except (ImportError, AttributeError):
        return found

    def unbrotlied(body: bytes, largest: int) -> bytes | None:
        expanding, plain = brotli.Decompressor(), b""
        try:
            plain = bytes(expanding.process(body, output_buffer_limit=largest + 1))
        except brotli.error:
            return None
        return plain if expanding.is_finished() and len(plain) <= largest else None

    found["br"] = unbrotlied
    return found


DECODERS = _decoders()
"""By the coding's name: decodes a body, to at most that many bytes; None where it has more, or is not in the coding."""
