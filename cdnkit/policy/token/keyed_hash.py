"""HMAC (RFC 2104) with one key, over and over: the hash of each half of the key is made once, and copied.

A token that nobody has shown before costs one of them. `hmac.digest` looks up the hash by its name every time, which
takes twice as long as the rest.
"""

import hashlib


class KeyedHash:
    """One key and one hash; holds the secret, so it is never printed."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, name: str) -> None:
        """`name`: as `hashlib` has it."""
        size = hashlib.new(name).block_size
        if len(key) > size:
            key = hashlib.new(name, key).digest()
        key = key.ljust(size, b"\0")
        self._inner = hashlib.new(name, bytes(octet ^ 0x36 for octet in key))
        self._outer = hashlib.new(name, bytes(octet ^ 0x5C for octet in key))

    def hex(self, message: bytes) -> str:
        """The message's HMAC."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()
