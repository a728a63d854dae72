"""The two ways to encrypt: whole segments (RFC 8216 5.2), and samples with a pattern (ISO/IEC 23001-7 9.6, 10.4).

The cipher itself is the `cryptography` library's.
"""

from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

BLOCK = 16
CRYPT, SKIP = 1, 9
"""Of video: one block in ten is encrypted, as HLS asks and all packagers do."""
_STRIDE = (CRYPT + SKIP) * BLOCK

Range = tuple[int, int]
"""First byte, and the one behind the last."""


def encrypt_whole(data: bytes, key: bytes, number: int) -> bytes:
    """METHOD=AES-128: a segment, padded; its media sequence number is the IV, because EXT-X-KEY has none."""
    padder = PKCS7(8 * BLOCK).padder()
    padded = padder.update(data) + padder.finalize()
    return _cbc(key, number.to_bytes(BLOCK, "big"), padded)


def encrypt_pattern(media: bytearray, ranges: Iterable[Range], key: bytes, iv: bytes) -> None:
    """One block in ten of each range, in place. Each range begins with the constant IV; what fills no block stays."""
    for first, end in ranges:
        if (count := (end - first - BLOCK) // _STRIDE + 1) <= 0:
            continue
        stop = first + (count - 1) * _STRIDE + BLOCK
        blocks = bytearray(BLOCK * count)
        # A column at a time: sixteen copies, however many blocks there are.
        for column in range(BLOCK):
            blocks[column::BLOCK] = media[first + column : stop : _STRIDE]
        encrypted = _cbc(key, iv, bytes(blocks))
        for column in range(BLOCK):
            media[first + column : stop : _STRIDE] = encrypted[column::BLOCK]


def encrypt_blocks(media: bytearray, ranges: Iterable[Range], key: bytes, iv: bytes) -> None:
    """Every whole block of each range, in place; what is left at its end stays (23001-7 9.7)."""
    for first, end in ranges:
        stop = first + (end - first) // BLOCK * BLOCK
        if stop > first:
            media[first:stop] = _cbc(key, iv, bytes(media[first:stop]))


def _cbc(key: bytes, iv: bytes, blocks: bytes) -> bytes:
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()
