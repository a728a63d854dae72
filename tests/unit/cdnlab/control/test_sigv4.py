"""Whom a signature lets in: botocore's signer on one side, ours on the other."""

from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cdnlab.control.sigv4 import NotSigned, verify

NOW = 1_790_000_000.0

REQUESTS = [  # method, URL, body, other fields
    ("GET", "http://127.0.0.1:8400/2020-05-31/distribution", b"", {}),
    ("GET", "http://127.0.0.1:8400/2020-05-31/distribution/E1/invalidation?MaxItems=2&Marker=I%2F1%20x", b"", {}),
    ("GET", "http://h/a?b=2&a=1&a=&c", b"", {}),  # sorted, one parameter without a value
    ("GET", "http://h/a?x=~A%2Bb%20c", b"", {}),
    ("GET", "http://h/a%20b/%C3%A4", b"", {}),  # a path is encoded once more
    ("POST", "http://h/2020-05-31/distribution/E1/invalidation", "<Path>/ä</Path>".encode(), {"Content-Type": "x"}),
    ("PUT", "http://h/x", b"", {"If-Match": "  E1   2 ", "X-Amz-Meta-A": "b"}),  # inner spaces are folded
]


def signed(method: str, url: str, body: bytes, fields: dict[str, str], /, **changed: Any) -> dict[str, Any]:
    """Arguments for `verify`, as the wire would bring them."""
    at = datetime.fromtimestamp(changed.pop("signed_at", NOW), UTC)
    request = AWSRequest(method, url, data=body, headers=fields)
    credentials = Credentials(
        changed.pop("key", "cdnlab"), changed.pop("with_secret", "s3cr3t"), changed.pop("session", None)
    )
    with mock.patch("botocore.auth.get_current_datetime", lambda *_: at.replace(tzinfo=None)):
        SigV4Auth(credentials, changed.pop("scope", "cloudfront"), "us-east-1").add_auth(request)
    parts = urlsplit(url)
    lines = [("host", parts.netloc), *((name.lower(), value) for name, value in request.headers.items())]
    given = {"method": method, "path": parts.path, "query": parts.query, "headers": lines, "body": body}
    known = {"access_key_id": "cdnlab", "secret": "s3cr3t", "service": "cloudfront", "now": NOW}
    return {**given, **known, **changed}


@pytest.mark.parametrize(("method", "url", "body", "fields"), REQUESTS)
def test_what_botocore_signs_is_let_in(method: str, url: str, body: bytes, fields: dict[str, str]) -> None:
    verify(**signed(method, url, body, fields))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"with_secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"key": "AKIDOTHER"}, "InvalidClientTokenId"),
        ({"session": "temporary"}, "InvalidClientTokenId"),  # nobody here gives out session tokens
        ({"scope": "s3"}, "SignatureDoesNotMatch"),
        ({"signed_at": NOW - 301}, "SignatureDoesNotMatch"),
        ({"signed_at": NOW + 301}, "SignatureDoesNotMatch"),
        ({"method": "PUT"}, "SignatureDoesNotMatch"),
        ({"path": "/2020-05-31/distribution/E2/invalidation"}, "SignatureDoesNotMatch"),
        ({"query": "Marker=1"}, "SignatureDoesNotMatch"),
        ({"body": b"<Path>/*</Path>"}, "SignatureDoesNotMatch"),
        ({"headers": []}, "MissingAuthenticationToken"),
        ({"headers": [("authorization", "Basic Y2RubGFi")]}, "IncompleteSignature"),
        ({"headers": [("authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request")]}, "IncompleteSignature"),
    ],
)  # fmt: skip
def test_what_was_changed_is_not(changed: dict[str, Any], code: str) -> None:
    method, url, body, fields = REQUESTS[5]
    with pytest.raises(NotSigned) as refused:
        verify(**signed(method, url, body, fields, **changed))
    assert refused.value.code == code


@pytest.mark.parametrize("apart", [-300, 300])
def test_five_minutes_of_skew_are_let_in(apart: int) -> None:
    verify(**signed(*REQUESTS[0], signed_at=NOW + apart))


def without(name: str) -> dict[str, Any]:
    """A request whose signature does not cover one of its fields, though it was made over the others."""
    given = signed(*REQUESTS[6])
    given["headers"] = [
        (at, value.replace(f";{name}", "") if at == "authorization" else value) for at, value in given["headers"]
    ]
    return given


def test_every_amz_field_has_to_be_signed() -> None:
    with pytest.raises(NotSigned, match="x-amz-meta-a"):
        verify(**without("x-amz-meta-a"))


def test_a_field_that_was_signed_cannot_be_left_out_or_changed() -> None:
    for change in (None, "E2"):
        given = signed(*REQUESTS[6])
        given["headers"] = [
            (name, change if name == "if-match" and change else value)
            for name, value in given["headers"]
            if name != "if-match" or change
        ]
        with pytest.raises(NotSigned, match="SignatureDoesNotMatch"):
            verify(**given)
