"""Verifies AWS Signature Version 4: whether the holder of the secret signed the request, and recently.

Source: "Create a signed AWS API request" in the IAM User Guide. Only the Authorization field:
clients of control APIs send no presigned URLs. No library verifies signatures; the tests use botocore's signer.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

SKEW_S = 300.0
"""Seconds that the signer's clock may differ from ours: AWS's five minutes."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


@dataclass
class NotSigned(Exception):
    """The request is refused; `code` and `status` are those of the AWS APIs."""

    code: str
    message: str
    status: int = 403

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def verify(
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    access_key_id: str,
    secret: str,
    service: str,
    now: float,
) -> None:
    """Raises `NotSigned` unless the request has a signature by this key that is at most SKEW_S old.

    `path` and `query` as on the wire, without the "?"; `headers` with lower-case names, in order; `now`: Unix seconds.
    """
    lines = list(headers)
    fields: dict[str, str] = {}
    for name, value in lines:
        folded = " ".join(value.split())
        fields[name] = f"{fields[name]},{folded}" if name in fields else folded
    scope, signed_names, signature = _authorization(fields.get("authorization"))
    key_id, date, region, named_service = scope
    # The key id is not secret, so this comparison need not take constant time.
    if key_id != access_key_id or "x-amz-security-token" in fields:
        raise NotSigned("InvalidClientTokenId", "The security token included in the request is invalid.")
    if named_service != service:
        raise NotSigned("SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'.")
    moment = _moment(fields.get("x-amz-date"))
    if moment.strftime("%Y%m%d") != date:
        raise NotSigned("SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 date.")
    apart = now - moment.timestamp()
    if abs(apart) > SKEW_S:
        what = "expired" if apart > 0 else "not yet current"
        raise NotSigned(
            "SignatureDoesNotMatch", f"Signature {what}: {fields['x-amz-date']} is {abs(apart):.0f} s away."
        )
    must = {"host", *(name for name in fields if name.startswith("x-amz-"))}
    missing = sorted(must - set(signed_names))
    if missing or any(name not in fields for name in signed_names):
        raise NotSigned("SignatureDoesNotMatch", f"SignedHeaders: wanted {';'.join(sorted(must))} at least.")
    payload = hashlib.sha256(body).hexdigest()
    if fields.get("x-amz-content-sha256", payload) != payload:
        raise NotSigned("XAmzContentSHA256Mismatch", "x-amz-content-sha256 is not the hash of the body.", 400)
    canonical = "\n".join(
        (
            method,
            # Encoded a second time, as for every service but S3.
            quote(path, safe="/~-_."),
            _canonical_query(query),
            *(f"{name}:{fields[name]}" for name in signed_names),
            "",
            ";".join(signed_names),
            payload,
        )
    )
    within = f"{date}/{region}/{service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{fields['x-amz-date']}\n{within}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex().encode(), signature.encode()):
        raise NotSigned(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def _authorization(value: str | None) -> tuple[tuple[str, str, str, str], list[str], str]:
    """(key id, date, region, service), the names signed, the signature in hex."""
    if value is None:
        raise NotSigned("MissingAuthenticationToken", "Request is missing Authentication Token.")
    algorithm, _, rest = value.partition(" ")
    parts = dict(_PART.findall(rest))
    scope = parts.get("Credential", "").rsplit("/", 4)
    if algorithm != _ALGORITHM or len(parts) != 3 or len(scope) != 5 or scope[4] != "aws4_request":
        raise NotSigned(
            "IncompleteSignature", f"wanted {_ALGORITHM} Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...", 400
        )
    key_id, date, region, service, _ = scope
    return (key_id, date, region, service), parts["SignedHeaders"].split(";"), parts["Signature"]


def _moment(value: str | None) -> datetime:
    try:
        return datetime.strptime(value or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise NotSigned("IncompleteSignature", "X-Amz-Date: wanted a moment such as 20260131T235959Z.", 400) from None


def _canonical_query(query: str) -> str:
    """Names and values, each in its one encoded form, sorted; a "+" is a plus sign."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    )


def _encoded(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")
