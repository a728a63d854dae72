"""Which status a token's refusal has: 403, but for one that was good once, where the settings may say another."""

from collections.abc import Callable

import pytest

from cdnkit.policy.token import FastlyToken, TokenFault
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.cat import CatToken
from cdnkit.policy.token.jwt import JwtToken
from cdnkit.policy.token.scheme import OneToken, refused
from tests.kit.refusals import fault_of
from tests.kit.tokens import BASE64_SECRET, END, HEX_KEY, START, TEXT_SECRET, by_cwt, get, jwt

SCHEMES: list[tuple[Callable[..., OneToken], str]] = [  # how it is made, and a query with a token of it
    (lambda **more: FastlyToken(BASE64_SECRET, **more), f"token={FastlyToken(BASE64_SECRET).sign('/a', END)}"),
    (
        lambda **more: AkamaiToken(HEX_KEY, **more),
        f"__token__={AkamaiToken(HEX_KEY).sign(expires_at=END, starts_at=START, acls=('/a',))}",
    ),
    (
        lambda **more: JwtToken(TEXT_SECRET, **more),
        f"token={jwt.encode({'exp': END, 'nbf': START}, TEXT_SECRET, algorithm='HS256')}",
    ),
    (lambda **more: CatToken({"viewer": BASE64_SECRET}, **more), f"cat={by_cwt({4: END, 5: START})}"),
]


@pytest.mark.parametrize("found", list(TokenFault), ids=lambda fault: fault.name)
def test_only_what_was_good_once_has_a_status_of_its_own(found: TokenFault) -> None:
    assert refused(found).status == 403
    assert refused(found, expired_status=410).status == (410 if found is TokenFault.EXPIRED else 403)


@pytest.mark.parametrize(("make", "query"), SCHEMES, ids=["fastly", "akamai", "jwt", "cat"])
def test_each_scheme_says_so(make: Callable[..., OneToken], query: str) -> None:
    expired, other = (make(expired_status=410), query, float(END), 410), (make(), query, float(END), 403)
    early = (make(expired_status=410), query, START - 1.0, 403)
    damaged = (make(expired_status=410), query[:-4] + "0000", float(END), 403)
    missing = (make(expired_status=410), "", float(END), 403)
    for token, given, now, status in (expired, other, early, damaged, missing):
        refusal = token.refusal(get(f"https://h/a?{given}"), now)
        if (given, now) == (query, START - 1.0) and isinstance(token, FastlyToken):
            assert refusal is None  # its tokens have no start
            continue
        assert refusal is not None and refusal.status == status
        assert (fault_of(refusal) is TokenFault.EXPIRED) is ((given, now) == (query, float(END)))
