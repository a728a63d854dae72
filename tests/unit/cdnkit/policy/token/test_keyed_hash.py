"""The same bytes as the standard library's HMAC."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.token.keyed_hash import KeyedHash


@given(
    st.binary(min_size=1, max_size=200),
    st.sampled_from(["sha1", "sha256", "sha512"]),
    st.lists(st.binary(), max_size=3),
)
def test_it_is_hmac_however_often_it_is_asked(key: bytes, name: str, messages: list[bytes]) -> None:
    keyed = KeyedHash(key, name)
    assert [keyed.hex(one) for one in messages] == [hmac.digest(key, one, name).hex() for one in messages]
