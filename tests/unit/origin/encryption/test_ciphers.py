"""The ciphers against ECB, chained by hand, and against ffmpeg's own numbers: sizes, padding, patterns."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from hypothesis import given
from hypothesis import strategies as st

from origin.encryption.ciphers import encrypt_blocks, encrypt_pattern, encrypt_whole

KEY, IV = bytes(range(16)), bytes(range(16, 32))


@given(data=st.binary(max_size=100), number=st.integers(0, 2**64))
def test_a_whole_segment_is_padded_and_its_number_is_the_iv(data: bytes, number: int) -> None:
    made = encrypt_whole(data, KEY, number)
    decryptor = Cipher(AES(KEY), CBC(number.to_bytes(16, "big"))).decryptor()
    clear = decryptor.update(made) + decryptor.finalize()
    assert len(made) == (len(data) // 16 + 1) * 16
    assert clear == data + bytes([len(made) - len(data)]) * (len(made) - len(data))


def by_hand(data: bytes, period: int) -> bytes:
    made, chain = b"", IV
    encryptor = Cipher(AES(KEY), ECB()).encryptor()
    for number in range(0, len(data), 16):
        block = data[number : number + 16]
        if len(block) == 16 and number // 16 % period == 0:
            block = chain = encryptor.update(bytes(a ^ b for a, b in zip(block, chain, strict=True)))
        made += block
    return made


@given(before=st.binary(max_size=20), data=st.binary(max_size=700), after=st.binary(max_size=20))
def test_one_block_in_ten_and_every_block(before: bytes, data: bytes, after: bytes) -> None:
    where = (len(before), len(before) + len(data))
    for encrypt, period in ((encrypt_pattern, 10), (encrypt_blocks, 1)):
        media = bytearray(before + data + after)
        encrypt(media, [where], KEY, IV)
        assert bytes(media) == before + by_hand(data, period) + after


@pytest.mark.parametrize("size", [0, 1, 15])
def test_less_than_a_block_stays(size: int) -> None:
    """A sample of 20 bytes or less kept its size nowhere else: packagers lost some of it."""
    for encrypt in (encrypt_pattern, encrypt_blocks):
        media = bytearray(b"x" * size)
        encrypt(media, [(0, size)], KEY, IV)
        assert media == b"x" * size


def test_each_range_begins_with_the_iv() -> None:
    media = bytearray(b"same bytes here!" * 2)
    encrypt_pattern(media, [(0, 16), (16, 32)], KEY, IV)
    assert media[:16] == media[16:] != b"same bytes here!"
