"""Who may publish what: a row a rule (RFC 7617, RFC 6750, DASH-IF ingest 1.2 section 5)."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cdnkit.settings.encoder_secrets import BadCredentials
from cdnkit.settings.ingest import Encoder
from cdnkit.settings.origin import Origin
from origin.ingest.credentials import Encoders, encoders_of

PASSWORD, TOKEN = "correct horse", "T0ken-of-news"
ENCODERS = encoders_of(
    {
        "studio": Encoder(password=PASSWORD),
        "news": Encoder(token=TOKEN, streams=("news-*", "world")),
        "truck": Encoder(password="battery staple", certificate="Truck7.example", streams=("outside",)),
        "other": Encoder(password="battery staple", token="x" * 40, streams=("other",)),
    }
)


def basic(user: str, password: str, scheme: str = "Basic") -> bytes:
    return f"{scheme} ".encode() + b64encode(f"{user}:{password}".encode())


NO_NAMES: frozenset[str] = frozenset()
ANYTHING = "*every stream*"
ROWS = [  # Authorization, names in the certificate, stream, then
    ([basic("studio", PASSWORD)], NO_NAMES, "live", None),
    ([basic("studio", PASSWORD)], NO_NAMES, ANYTHING, None),
    ([basic("studio", PASSWORD, "bASIC")], NO_NAMES, "live", None),  # RFC 9110 §11.1: in any case
    ([b"  Basic   " + b64encode(f"studio:{PASSWORD}".encode()) + b" "], NO_NAMES, "live", None),
    ([basic("studio", "battery staple")], NO_NAMES, "live", 401),  # another's
    ([basic("Studio", PASSWORD)], NO_NAMES, "live", 401),
    ([basic("studio", PASSWORD + " ")], NO_NAMES, "live", 401),
    ([basic("studio", "")], NO_NAMES, "live", 401),
    ([basic("", "")], NO_NAMES, "live", 401),
    ([basic("news", TOKEN)], NO_NAMES, "news-1", 401),  # it has no password
    ([b"Bearer " + TOKEN.encode()], NO_NAMES, "news-1", None),
    ([b"bearer " + TOKEN.encode()], NO_NAMES, "world", None),
    ([b"Bearer " + TOKEN.encode()], NO_NAMES, "live", 403),
    ([b"Bearer " + TOKEN.encode()], NO_NAMES, ANYTHING, 403),
    ([b"Bearer " + TOKEN.lower().encode()], NO_NAMES, "world", 401),
    ([b"Bearer"], NO_NAMES, "live", 401),
    ([b"Bearer " + PASSWORD.encode()], NO_NAMES, "live", 401),  # a password is no token
    ([TOKEN.encode()], NO_NAMES, "world", 401),
    ([b"Digest username=studio"], NO_NAMES, "live", 401),
    ([b"Basic %%%"], NO_NAMES, "live", 401),
    ([b"Basic " + b"\xff" * 10], NO_NAMES, "live", 401),
    ([b""], NO_NAMES, "live", 401),
    ([b"Basic " + b"A" * 90_000], NO_NAMES, "live", 401),
    ([basic("studio", PASSWORD)] * 2, NO_NAMES, "live", 401),  # two: others on the way may read another one
    ([], NO_NAMES, "live", 401),
    ([], frozenset({"truck7.example"}), "outside", None),
    ([], frozenset({"truck7.example", "more"}), "live", 403),
    ([], frozenset({"truck8.example"}), "outside", 401),
    ([basic("other", "battery staple")], frozenset({"truck7.example"}), "outside", 403),  # what it says itself counts
]


@pytest.mark.parametrize(("authorization", "names", "stream", "then"), ROWS)
def test_who_is_let_in(authorization: list[bytes], names: frozenset[str], stream: str, then: int | None) -> None:
    refusal = ENCODERS.refusal(authorization, names, None if stream == ANYTHING else stream)
    assert (refusal and refusal.status) == then
    if refusal is not None:
        assert "wanted" in refusal.text
        for secret in (PASSWORD, TOKEN, "battery staple", *(one.decode("latin-1") for one in authorization if one)):
            assert secret not in refusal.text


FIELDS = st.one_of(
    st.binary(max_size=100),
    st.builds(
        lambda scheme, rest: scheme + b" " + rest,
        st.sampled_from([b"Basic", b"bearer", b"BASIC", b"Digest", b""]),
        st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(b64encode)),
    ),
)


@given(st.lists(FIELDS, max_size=3), st.text(max_size=80))
def test_whatever_they_send_nobody_gets_in_by_it(authorization: list[bytes], stream: str) -> None:
    """Nor does it raise, or come back in the answer, which stays short and on one line."""
    refusal = ENCODERS.refusal(authorization, NO_NAMES, stream)
    assert refusal is not None and refusal.status == 401
    assert len(refusal.text) < 400 and refusal.text.isprintable()


def test_the_challenge_names_each_scheme_that_somebody_has() -> None:
    assert ENCODERS.challenges == ('Basic realm="cdnlab ingest", charset="UTF-8"', 'Bearer realm="cdnlab ingest"')
    assert encoders_of({"a": Encoder(token=TOKEN)}).challenges == ('Bearer realm="cdnlab ingest"',)


def test_where_only_certificates_count_there_is_nothing_to_challenge_with() -> None:
    """401 needs a challenge (RFC 9110 section 15.5.2), and TLS asks for certificates itself."""
    only = encoders_of({"truck": Encoder(certificate="truck")})
    for authorization in ([], [b"Basic x"]):
        refusal = only.refusal(authorization, NO_NAMES, "live")
        assert refusal is not None and (refusal.status, only.challenges) == (403, ())


def test_nobody_is_let_in_where_nobody_is_known() -> None:
    for authorization in ([], [b"Bearer "], [b"Basic Og=="]):
        assert Encoders(()).refusal(authorization, NO_NAMES, None) is not None


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "token").write_text(TOKEN)
    known = encoders_of(
        {"a": Encoder(password_file=tmp_path / "password"), "b": Encoder(token_file=tmp_path / "token")}
    )
    assert known.refusal([basic("a", PASSWORD)], NO_NAMES, "live") is None
    assert known.refusal([f"Bearer {TOKEN}".encode()], NO_NAMES, "live") is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "no password"),
        (b"short", "no password"),
        (b"two lines\nof text", "no password"),
        ("gro\u00dfes geheimnis".encode(), "not ASCII"),
        (b"x" * 70_000, "no password"),
    ],
)
def test_a_file_without_a_secret_is_named_and_never_shown(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadCredentials, match=rf"origin\.encoders\.a\.password_file: found .*{why}.*, wanted") as caught:
        encoders_of({"a": Encoder(password_file=file)})
    if content:
        assert content.decode("utf-8") not in str(caught.value)


BAD = [  # settings, and words of what is wrong
    ({}, "wanted a password, a password_file, a token"),
    ({"streams": ("a",)}, "wanted a password"),
    ({"password": "12345678", "password_file": "x"}, "found password and password_file"),
    ({"token": "12345678", "token_file": "x"}, "found token and token_file"),
    ({"password": "1234567"}, "password"),
    ({"password": "with\nnewline"}, "password"),
    ({"token": "with space"}, "token"),
    ({"token": "12345678", "streams": ()}, "streams"),
]


@pytest.mark.parametrize(("given", "words"), BAD)
def test_what_is_no_encoder(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Encoder.model_validate(given)


ADDRESSES = [  # origin's settings, and what is wrong with them
    ({"ingest": "127.0.0.1:9001"}, ""),
    ({"ingest": "[::1]:9001"}, ""),
    ({"ingest": "localhost:9001"}, ""),
    ({"ingest": "0.0.0.0:9001"}, "anybody could publish; wanted"),
    ({"ingest": "192.0.2.1:9001"}, "anybody could publish; wanted"),
    ({"ingest": "[::]:9001"}, "anybody could publish; wanted"),
    ({"ingest": "origin.lan:9001"}, "anybody could publish; wanted"),
    ({"ingest": "0.0.0.0:9001", "anybody_may_publish": True}, ""),
    ({"ingest": "0.0.0.0:9001", "encoders": {"a": {"token": "x" * 8}}}, ""),
    ({"encoders": {"a": {"token": "x" * 8}}, "anybody_may_publish": True}, "wanted one of them"),
    ({"encoders": {"a": {"certificate": "x"}}}, "wanted ingest_client_ca"),
    ({"ingest_client_ca": "ca.pem"}, "found ingest_client_ca without ingest_tls"),
    ({"encoders": {"a": {"certificate": "x"}}, "ingest_client_ca": "ca.pem", "ingest_tls": "local"}, ""),
    ({"encoders": {"a:b": {"token": "x" * 8}}}, "a:b"),
]


@pytest.mark.parametrize(("given", "words"), ADDRESSES)
def test_unauthenticated_ingest_is_for_loopback_alone(given: dict[str, object], words: str) -> None:
    if not words:
        Origin.model_validate(given)
        return
    with pytest.raises(ValidationError, match=words):
        Origin.model_validate(given)
