"""Which key a segment has: the same for all tracks and for good, and as old as `rotate` at most."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.settings.encryption import Method
from origin.encryption.keys import SLACK_S, Key, KeyRing, derived


def new(number: int) -> tuple[bytes, bytes]:
    return bytes([number + 1]) * 16, bytes([number + 101]) * 16


def ask(ring: KeyRing, number: int, at: float, method: Method = "AES-128", rotate: float | None = 10.0) -> int:
    """The first number of the key that the segment gets."""
    return ring.key_for(number, at, method, rotate, new).first


ROWS = [  # number, at, then the key's first number
    ("first, whatever its number", [(7, 0.0, 7)]),
    ("younger", [(0, 0.0, 0), (1, 9.0, 0)]),
    ("as old as rotate", [(0, 0.0, 0), (1, 10.0, 1), (2, 14.0, 1), (3, 20.0, 3)]),
    ("sound, cut a little before", [(0, 0.0, 0), (1, 9.98, 1)]),
    ("another track, later", [(0, 0.0, 0), (1, 10.0, 1), (0, 0.0, 0), (1, 10.0, 1)]),
    ("another track, whose times differ", [(0, 0.0, 0), (1, 9.0, 0), (1, 11.0, 0), (2, 12.0, 2), (2, 9.0, 2)]),
    ("a track that is behind all keys", [(9, 0.0, 9), (3, 0.0, 9)]),
    ("after a pause", [(0, 0.0, 0), (1, 1000.0, 1)]),
]


@pytest.mark.parametrize(("asked"), [row for _, row in ROWS], ids=[name for name, _ in ROWS])
def test_table(asked: list[tuple[int, float, int]]) -> None:
    ring = KeyRing()
    assert [ask(ring, number, at) for number, at, _ in asked] == [first for _, _, first in asked]


def test_without_rotate_never_and_with_another_method_at_once() -> None:
    ring = KeyRing()
    assert [ask(ring, n, 1e6 * n, rotate=None) for n in range(3)] == [0, 0, 0]
    assert ask(ring, 2, 2e6, "SAMPLE-AES") == 0, "a number keeps its key"
    assert ask(ring, 3, 3e6, "SAMPLE-AES") == 3


@given(
    jitter=st.lists(st.floats(-0.05, 0.05), min_size=30, max_size=30),
    order=st.permutations([n // 3 for n in range(30)]),
    rotate=st.floats(1.0, 20.0),
)
def test_all_tracks_have_the_same_key_in_any_order(jitter: list[float], order: list[int], rotate: float) -> None:
    ring = KeyRing()
    seen: dict[int, str] = {}
    for late, number in zip(jitter, order, strict=True):
        key = ring.key_for(number, 4.0 * number + late, "SAMPLE-AES", rotate, new)
        assert seen.setdefault(number, key.id) == key.id or number < min(one.first for one in ring.keys.values())
        ring = KeyRing.from_json(ring.to_json())  # a restart changes nothing


def test_keys_go_when_nothing_needs_them_but_the_newest() -> None:
    ring = KeyRing()
    ids = [ring.key_for(n, 10.0 * n, "AES-128", 10.0, new).id for n in range(4)]
    ring.saved = True
    assert ring.forget({ids[1], ids[2], ids[3]}) and not ring.saved
    assert list(ring.keys) == ids[1:]
    assert [key.id for key in ring.forget(set())] == ids[1:3]
    assert ring.forget(set()) == []
    assert ring.key_for(4, 1e6, "AES-128", 10.0, new).secret == bytes([105]) * 16, "a number of its own for each key"


def test_a_key_is_not_shown() -> None:
    key = Key("00" * 16, b"sixteen secrets!", "AES-128", 0, 0.0)
    assert "sixteen" not in repr(key) and len(key.iv) == 16


def test_derived_keys_as_documented() -> None:
    id, key = derived(b"secret", "paid-1", 3)
    assert id == hmac.new(b"secret", b"kid:paid-1:3", hashlib.sha256).digest()[:16]
    assert key == hmac.new(b"secret", id, hashlib.sha256).digest()[:16]
    assert SLACK_S < 0.5
