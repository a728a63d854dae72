"""CloudFront's signed URLs and cookies, held against botocore's signer and the documentation's own rules."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cdnkit.policy.token import TokenFault
from cdnkit.policy.token.cloudfront import CloudFrontToken, private_key, public_key, signed
from cdnkit.policy.token.cloudfront_policy import (
    BadPolicy,
    canned,
    custom,
    decoded,
    encoded,
    read_policy,
    resource_pattern,
)
from tests.kit.refusals import fault_of
from tests.kit.tokens import (
    EC_KEY,
    END,
    KEY_ID,
    OTHER_EC_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    START,
    URL,
    by_botocore,
    get,
    private,
    public,
)

TOKEN = CloudFrontToken({KEY_ID: public(RSA_KEY), "K2OLDOLDOLDOLD": public(OTHER_RSA_KEY), "K3EC": public(EC_KEY)})
NOW = END - 10.0


def fault(url: str, now: float = NOW, **how: str) -> TokenFault | None:
    refusal = TOKEN.refusal(get(url, **how), now)
    return fault_of(refusal)


def cookie(made: dict[str, str]) -> str:
    return "; ".join(f"CloudFront-{name}={value}" for name, value in made.items())


def test_the_canned_text_is_byte_exact() -> None:
    """AUTH-1 of the vendor facts: computed with botocore."""
    text = canned(f"{URL}?sid=7", END).encode()
    assert len(text) == 144
    assert hashlib.sha1(text).hexdigest() == "9b1eeb8f4272757698817b0b83f1462ced18c93b"
    assert hashlib.sha256(text).hexdigest() == "679b0c9ab5e097cbeb996331a7efa841289db33252b6bcf4b40c15fbd6305cd5"


def test_the_custom_text_is_byte_exact() -> None:
    """AUTH-3."""
    text = custom("https://media.example.net/live/*", END, starts_at=START, network="192.0.2.0/24").encode()
    assert len(text) == 212
    assert encoded(text).startswith("eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9tZWRpYS5leGFtcGxlLm5ldC9saXZlLyoi")
    assert encoded(text).endswith("eyJBV1M6RXBvY2hUaW1lIjoxNzY3MTM5MjAwfX19XX0_")


def test_the_alphabet() -> None:
    """AUTH-2."""
    assert encoded(bytes.fromhex("fbfffe00")) == "-~~-AA__"
    assert decoded("-~~-AA__") == bytes.fromhex("fbfffe00")


@pytest.mark.parametrize("text", ["", "a", "ab==", "+/+/", "-~~-AA", "-~~-AA__\n", "é"])
def test_what_does_not_decode(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        decoded(text)


def test_botocores_urls_open() -> None:
    assert fault(by_botocore(URL, END)) is None
    assert fault(by_botocore(f"{URL}?sid=7&b=%20", END)) is None
    assert fault(by_botocore("https://media.example.net/live/*", END, custom=True)) is None
    assert fault(by_botocore(URL, END, custom=True, ip="192.0.2.0/24", start=START)) is None


def test_ours_is_botocores_url() -> None:
    """The same bytes: RSA's PKCS #1 signatures have no chance in them."""
    made = signed(RSA_KEY, KEY_ID, expires_at=END, url=URL)
    assert f"{URL}?{'&'.join(f'{name}={value}' for name, value in made.items())}" == by_botocore(URL, END)


KEYS = [  # key, its id, hash
    (RSA_KEY, KEY_ID, "SHA1"),
    (RSA_KEY, KEY_ID, "SHA256"),
    (OTHER_RSA_KEY, "K2OLDOLDOLDOLD", "SHA1"),  # another key of the group: while keys are changed, both are good
    (EC_KEY, "K3EC", "SHA1"),
    (EC_KEY, "K3EC", "SHA256"),
]


@pytest.mark.parametrize(("key", "key_id", "hash_name"), KEYS)
@pytest.mark.parametrize("policy", ["", custom("https://*/live/*", END)])
@pytest.mark.parametrize("where", ["url", "cookie"])
def test_keys_and_hashes(key: rsa.RSAPrivateKey, key_id: str, hash_name: str, policy: str, where: str) -> None:
    made = signed(key, key_id, expires_at=END, url=URL, policy=policy, hash_name=hash_name)
    query = "&".join(f"{name}={value}" for name, value in made.items())
    if where == "url":
        assert fault(f"{URL}?{query}") is None
    else:
        assert fault(URL, cookie=cookie(made)) is None
    # The signature is of one key and one hash.
    other = "SHA1" if hash_name == "SHA256" else "SHA256"
    assert fault(f"{URL}?{query.replace('&Hash-Algorithm=SHA256', '')}&Hash-Algorithm={other}") is TokenFault.FORGED
    assert (
        fault(f"{URL}?{query.replace(key_id, 'K2OLDOLDOLDOLD' if key_id != 'K2OLDOLDOLDOLD' else KEY_ID)}")
        is TokenFault.FORGED
    )
    assert fault(f"{URL}?{query.replace(key_id, 'K0')}") is TokenFault.UNKNOWN_KEY


GOOD_QUERY = by_botocore(URL, END).partition("?")[2]
CUSTOM_QUERY = by_botocore(URL, END, custom=True, ip="192.0.2.0/24", start=START).partition("?")[2]
GOOD_COOKIE = cookie(signed(RSA_KEY, KEY_ID, expires_at=END, policy=custom("https://*/live/*", END)))

ANSWERS = [  # query, cookie, now, address; the vendor's code
    ("", "", NOW, "192.0.2.7", "MissingKey"),
    ("Signature=x&Expires=1", "", NOW, "192.0.2.7", "MissingKey"),
    (GOOD_QUERY.replace(KEY_ID, "KNOBODY"), "", NOW, "192.0.2.7", "InvalidKey"),
    (GOOD_QUERY.replace("Signature=", "Signature=!"), "", NOW, "192.0.2.7", "MalformedSignature"),
    (CUSTOM_QUERY.replace("Policy=", "Policy=!"), "", NOW, "192.0.2.7", "MalformedPolicy"),
    (GOOD_QUERY.replace("Expires=", "Expires=x"), "", NOW, "192.0.2.7", "MalformedPolicy"),
    (GOOD_QUERY, "", END, "192.0.2.7", "AccessDenied"),
    (CUSTOM_QUERY, "", START - 1, "192.0.2.7", "AccessDenied"),
    (CUSTOM_QUERY, "", NOW, "198.51.100.7", "AccessDenied"),
    (CUSTOM_QUERY, "", NOW, "2001:db8::7", "AccessDenied"),
    (CUSTOM_QUERY, "", NOW, "::ffff:192.0.2.7", None),  # an IPv4 viewer on an IPv6 socket
    (GOOD_QUERY, "", NOW, "", None),
    ("", GOOD_COOKIE, NOW, "", None),
    # The URL is judged before the cookies, and alone.
    ("Expires=1", GOOD_COOKIE, NOW, "", "MissingKey"),
    ("Policy=x", GOOD_COOKIE, NOW, "", "MissingKey"),
    (GOOD_QUERY.replace(KEY_ID, "KNOBODY"), GOOD_COOKIE, NOW, "", "InvalidKey"),
    ("Hash-Algorithm=SHA256", GOOD_COOKIE, NOW, "", None),  # not one of the four that decide
    ("a=Expires", GOOD_COOKIE, NOW, "", None),
    ("", GOOD_COOKIE.replace("CloudFront-Key-Pair-Id", "Key-Pair-Id"), NOW, "", "MissingKey"),
    (f"{GOOD_QUERY}&a=1", "", NOW, "", "AccessDenied"),  # a canned policy signs the whole query
    (f"a=1&{CUSTOM_QUERY}", "", NOW, "192.0.2.7", "AccessDenied"),
    (GOOD_QUERY.replace("Signature=", "Sig="), "", NOW, "", "AccessDenied"),
    (f"{GOOD_QUERY}&Hash-Algorithm=MD5", "", NOW, "", "AccessDenied"),
]


EXPIRES = [  # as it stands in a canned policy that is signed so, whether it is taken
    ("1767139200", True),
    ("9999999999", True),
    ("10000000000", False),  # ten digits at most
    ("00001767139200", False),
    ("", False),
    ("-1", False),
    ("+1", False),
    ("1e9", False),
    ("1767139200.0", False),
    ("\u0661\u0662", False),  # digits, but of another script
]


@pytest.mark.parametrize(("expires", "taken"), EXPIRES)
def test_when_a_canned_policy_expires_is_written_in_at_most_ten_digits(expires: str, taken: bool) -> None:
    text = f'{{"Statement":[{{"Resource":"{URL}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}'
    signature = RSA_KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())  # the vendor's
    query = f"Expires={expires}&Signature={encoded(signature)}&Key-Pair-Id={KEY_ID}"
    assert fault(f"{URL}?{query}", now=0.0) is (None if taken else TokenFault.MALFORMED)


@pytest.mark.parametrize(("query", "cookies", "now", "ip", "code"), ANSWERS)
def test_the_vendors_answers(query: str, cookies: str, now: float, ip: str, code: str | None) -> None:
    request = get(URL, ip=ip, **({"cookie": cookies} if cookies else {}))
    refusal = TOKEN.refusal(replace(request, query=query or None), now)
    if code is None:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.status == 403
    told = refusal.page
    assert told is not None
    assert told[0] == "text/xml"
    assert f"<Code>{code}</Code>" in told[1]


MESSAGES = [  # query, the whole of what the viewer is told (recorded responses; the first two also in the knowledge center)
    ("", "MissingKey", "Missing Key-Pair-Id query parameter or cookie value"),
    (GOOD_QUERY.replace(KEY_ID, "KNOBODY"), "InvalidKey", "Unknown Key"),
    (GOOD_QUERY.replace("Signature=", "Signature=!"), "MalformedSignature", "Could not unencode Signature"),
    (CUSTOM_QUERY.replace("Policy=", "Policy=!"), "MalformedPolicy", "Malformed Policy"),
    (f"{GOOD_QUERY}&a=1", "AccessDenied", "Access denied"),
]


@pytest.mark.parametrize(("query", "code", "message"), MESSAGES, ids=[row[1] for row in MESSAGES])
def test_the_vendors_words(query: str, code: str, message: str) -> None:
    refusal = TOKEN.refusal(replace(get(URL), query=query or None), NOW)
    assert refusal is not None
    assert refusal.page == (
        "text/xml",
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>',
    )


def test_the_five_parameters_leave_the_request_and_the_viewers_own_stay() -> None:
    """ "Serve private content": they reach neither the cache key nor the origin."""
    query = "a=1&Expires=1&Policy=p&b=2&Signature=s&Key-Pair-Id=k&Hash-Algorithm=SHA256&expires=3"
    assert TOKEN.carriers.stripped(replace(get(URL), query=query)).query == "a=1&b=2&expires=3"


COVERS = [  # Resource, URL; the documentation's own examples and their neighbours
    ("*", "https://h/a?b", True),
    ("https://h/live/*", "https://h/live/a/b.m3u8", True),
    ("https://h/live/*", "https://h/live/a?b=1", True),  # a star at the end covers the query
    ("https://h/live/*", "http://h/live/a", False),
    ("http*://h/live/*", "http://h/live/a", True),
    ("h/live/*", "http://h/live/a", True),  # no protocol: any
    ("https://*/live/*", "https://any.example/live/a", True),
    ("https://*/live/*", "https://any.example/vod/a", False),
    ("https://h*/live/a", "https://h.example/live/a", True),
    ("https://h*/live/a", "https://h.example/vod/a", False),  # at the end of the domain, and not of the whole
    ("https://*.example/a", "https://x.example/a", True),
    ("https://*.example/a", "https://evil/x.example/a", False),  # a star does not cross a section
    ("https://h*", "https://h.example/a?b", True),  # at the end of the domain: path and query too
    ("https://h", "https://h/", True),
    ("https://h", "https://h/a", False),
    ("https://h", "https://h.evil/", False),
    ("https://H/a", "https://h/a", True),
    ("https://h/*.m4s", "https://h/a/b.m4s", True),
    ("https://h/*.m4s", "https://h/a?b.m4s", False),
    ("https://h/seg-?.m4s", "https://h/seg-1.m4s", True),
    ("https://h/seg-?.m4s", "https://h/seg-12.m4s", False),
    (r"https://h/a\?b=*", "https://h/a?b=1&c=2", True),
    (r"https://h/a\?b=*", "https://h/axb=1", False),
    ("https://h/a?size=large", "https://h/a?size=large", True),  # as the signers write a URL with a query
    ("https://h/a.b", "https://h/aXb", False),
    ("https://h/(a|b)+", "https://h/a", False),
]


@pytest.mark.parametrize(("resource", "url", "covered"), COVERS)
def test_what_a_resource_covers(resource: str, url: str, covered: bool) -> None:
    assert (resource_pattern(resource).fullmatch(url) is not None) is covered
    made = signed(RSA_KEY, KEY_ID, expires_at=END, policy=custom(resource, END))
    assert fault(url, cookie=cookie(made)) is (None if covered else TokenFault.PATH)


def statement(**changes: object) -> bytes:
    whole = {"Resource": "*", "Condition": {"DateLessThan": {"AWS:EpochTime": END}}} | changes
    return json.dumps({"Statement": [whole]}).encode()


BAD_POLICIES = [
    b"", b"{", b"[]", b"1", b"\xff", b'{"Statement":[]}', b'{"Statement":[{},{}]}', b'{"Statement":{}}', b"[" * 10_000,
    statement(Condition={}), statement(Condition=[]), statement(Resource=3), statement(Allow="all"),
    statement(Condition={"DateLessThan": {"AWS:EpochTime": "1"}}),
    statement(Condition={"DateLessThan": {"AWS:EpochTime": True}}),
    statement(Condition={"DateLessThan": {"AWS:EpochTime": 2**31}}),  # the latest is 2147483647
    statement(Condition={"DateLessThan": {"AWS:EpochTime": 1}, "IpAddress": {"AWS:SourceIp": "2001:db8::/32"}}),
    statement(Condition={"DateLessThan": {"AWS:EpochTime": 1}, "NotIpAddress": {"AWS:SourceIp": "192.0.2.1"}}),
    b'{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1,"AWS:EpochTime":9}}}]}',
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_POLICIES, ids=lambda text: text[:60].decode("latin-1"))
def test_what_is_no_policy(text: bytes) -> None:
    with pytest.raises(BadPolicy):
        read_policy(text)


def test_a_policy_without_a_resource_is_for_any() -> None:
    policy = read_policy(statement(Resource=None))
    assert policy.covers is None
    assert policy.ends_at == END


BAD_KEYS = [
    ("", "a public key in PEM"),
    ("not a key", "a public key in PEM"),
    (private(RSA_KEY), "a private key, wanted the public one"),
    (public(rsa.generate_private_key(65537, 1024)), "2048 bits"),
    (public(rsa.generate_private_key(65537, 3072)), "2048 bits"),  # PublicKeyConfig: RSA 2048 or ECDSA P-256
    (public(ec.generate_private_key(ec.SECP384R1())), "ECDSA on P-256"),
    (base64.b64encode(b"secret").decode(), "a public key in PEM"),
]


@pytest.mark.parametrize(("pem", "words"), BAD_KEYS, ids=range(len(BAD_KEYS)))
def test_what_is_no_key(pem: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as told:
        public_key(pem, "K1")
    assert "K1" in str(told.value)
    assert not pem or pem not in str(told.value)


def test_a_signers_key() -> None:
    assert private_key(private(OTHER_EC_KEY).encode()).key_size == 256
    with pytest.raises(ValueError, match="private key"):
        private_key(public(RSA_KEY).encode())


def test_a_clock_that_is_off() -> None:
    """S14 of the field's scenarios: a signer 25 s ahead."""
    lenient = CloudFrontToken({KEY_ID: public(RSA_KEY)}, leeway=30.0)
    request = get(f"{URL}?{CUSTOM_QUERY}")
    assert lenient.refusal(request, START - 25.0) is None
    assert lenient.refusal(request, START - 31.0) is not None
    assert lenient.refusal(request, END + 29.0) is None
    assert lenient.refusal(request, END + 30.0) is not None
