"""CloudFront's policies: the signed text, its conditions, and the URLs that its `Resource` covers.

Source: CloudFront developer guide, "Create a signed URL using a canned policy", "... using a custom policy".
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

LAST_EPOCH = 2_147_483_647
"""The latest time that a policy may have."""

_TO_URL = bytes.maketrans(b"+=/", b"-_~")
_SAFE = re.compile(r"[A-Za-z0-9~_-]+")


class BadPolicy(ValueError):
    """The text is not a policy; says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The one statement of a policy."""

    resource: str | None
    """None: any URL."""
    ends_at: int
    starts_at: int | None = None
    network: IPv4Network | None = None
    covers: re.Pattern[str] | None = None
    """`resource` as a pattern; None: the policy is canned, or covers any URL."""


def encoded(octets: bytes) -> str:
    """Base64 as CloudFront writes it in URLs: `+` as `-`, `=` as `_`, `/` as `~`."""
    return base64.b64encode(octets).translate(_TO_URL).decode("ascii")


def decoded(text: str) -> bytes:
    """The inverse of `encoded`; ValueError if the text is not in its form."""
    if _SAFE.fullmatch(text) is None:
        raise ValueError("wanted base64 with - for +, _ for =, ~ for /")
    try:
        return base64.b64decode(text.translate({ord("-"): "+", ord("_"): "=", ord("~"): "/"}), validate=True)
    except binascii.Error as error:
        raise ValueError(f"wanted base64: {error}") from error


def canned(url: str, ends_at: int) -> str:
    """The canned policy, byte for byte: signer and edge must write the same."""
    return f'{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{ends_at}}}}}}}]}}'


def custom(resource: str, ends_at: int, *, starts_at: int | None = None, network: str | None = None) -> str:
    """A custom policy in the order and spacing of AWS's own signers."""
    condition: dict[str, Any] = {"DateLessThan": {"AWS:EpochTime": ends_at}}
    if network is not None:
        condition["IpAddress"] = {"AWS:SourceIp": network}
    if starts_at is not None:
        condition["DateGreaterThan"] = {"AWS:EpochTime": starts_at}
    return json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":"))


def read_policy(text: bytes) -> Policy:
    """A custom policy; BadPolicy says what is wrong. A policy with an unknown condition is refused."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadPolicy(f"not JSON: {error}") from error
    statements = _only(document, {"Statement", "Version", "Id"}, "the policy").get("Statement")
    if not isinstance(statements, list) or len(statements) != 1:
        raise BadPolicy("wanted one statement")
    statement = _only(statements[0], {"Resource", "Condition", "Sid", "Effect"}, "the statement")
    resource = statement.get("Resource")
    if resource is not None and not isinstance(resource, str):
        raise BadPolicy("Resource: wanted text")
    condition = _only(statement.get("Condition"), {"DateLessThan", "DateGreaterThan", "IpAddress"}, "Condition")
    if "DateLessThan" not in condition:
        raise BadPolicy("wanted DateLessThan")
    return Policy(
        resource=resource,
        ends_at=_epoch(condition["DateLessThan"], "DateLessThan"),
        starts_at=_epoch(condition["DateGreaterThan"], "DateGreaterThan") if "DateGreaterThan" in condition else None,
        network=_network(condition["IpAddress"]) if "IpAddress" in condition else None,
        covers=None if resource is None else resource_pattern(resource),
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """No key may occur twice: the standard does not say which one counts."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _only(value: Any, known: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadPolicy(f"{what}: wanted an object")
    unknown = sorted(set(value) - known)
    if unknown:
        raise BadPolicy(f"{what}: {', '.join(unknown)} is not known")
    return value


def _epoch(value: Any, what: str) -> int:
    at = _only(value, {"AWS:EpochTime"}, what).get("AWS:EpochTime")
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at <= LAST_EPOCH:
        raise BadPolicy(f"{what}: wanted whole Unix seconds up to {LAST_EPOCH}")
    return at


def _network(value: Any) -> IPv4Network:
    text = _only(value, {"AWS:SourceIp"}, "IpAddress").get("AWS:SourceIp")
    try:
        return IPv4Network(text, strict=False)
    except (ValueError, TypeError) as error:
        raise BadPolicy("IpAddress: wanted one IPv4 network such as 192.0.2.0/24") from error


def resource_pattern(resource: str) -> re.Pattern[str]:
    r"""The URLs a `Resource` covers.

    `*` stands for any characters and `?` for one, within protocol, domain, path or query; a `*` at the end covers the
    rest. `\?` is the question mark before the query. Without a protocol, any protocol matches.
    """
    if resource == "*":
        return re.compile(".*", re.DOTALL)
    protocol, mark, rest = resource.partition("://")
    if not mark:
        protocol, rest = "*", resource
    domain, slash, path = rest.partition("/")
    pattern = _section(protocol, "[^:/?]") + "://"
    if not slash and domain.endswith("*"):
        return re.compile(pattern + _section(domain[:-1].lower(), "[^/?]") + ".*", re.DOTALL)
    pattern += _section(domain.lower(), "[^/?]")
    if not slash:
        return re.compile(pattern + "/?", re.DOTALL)
    return re.compile(pattern + "/" + _path(path), re.DOTALL)


def _section(text: str, any_character: str) -> str:
    return "".join(f"{any_character}*" if c == "*" else any_character if c == "?" else re.escape(c) for c in text)


def _path(text: str) -> str:
    pattern, any_character, index = "", "[^?]", 0
    while index < len(text):
        if text.startswith("\\?", index):
            pattern, any_character, index = pattern + r"\?", ".", index + 2
            continue
        c = text[index]
        # An unescaped `?` also matches the question mark itself: AWS's signers sign a URL with a query like that.
        last = index == len(text) - 1
        pattern += (".*" if last else f"{any_character}*") if c == "*" else "." if c == "?" else re.escape(c)
        index += 1
    return pattern
