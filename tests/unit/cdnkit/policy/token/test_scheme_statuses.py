"""Which status a token's refusal has: 403, but for one that was good once, where the settings may say another."""

import base64
from collections.abc import Callable

import pytest

from cdnkit.policy.token import FastlyToken, Verdict
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.cat import CatToken
from cdnkit.policy.token.jwt import JwtToken
from cdnkit.policy.token.scheme import Denial, OneToken

SECRET = "a text of 32 characters and more, as HS256 wants it"

MADE: list[Callable[..., OneToken]] = [
    lambda **more: FastlyToken(base64.b64encode(SECRET.encode()).decode(), **more),
    lambda **more: AkamaiToken("a1b2c3d4e5f60718", **more),
    lambda **more: JwtToken(SECRET, **more),
    lambda **more: CatToken({"1": base64.b64encode(SECRET.encode()).decode()}, **more),
]


@pytest.mark.parametrize("make", MADE, ids=["fastly", "akamai", "jwt", "cat"])
@pytest.mark.parametrize("found", list(Verdict), ids=lambda verdict: verdict.name)
def test_only_what_was_good_once_has_a_status_of_its_own(make: Callable[..., OneToken], found: Verdict) -> None:
    denial = Denial(found)
    assert make().status(denial) == 403
    assert make(expired_status=410).status(denial) == (410 if found is Verdict.EXPIRED else 403)
