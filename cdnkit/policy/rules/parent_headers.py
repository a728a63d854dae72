"""Fields set on every upstream request: CloudFront's origin custom headers, Fastly's override host.

An origin that refuses requests without a secret field cannot be reached past its CDN. A viewer's field of such a name
is not forwarded. `Host` replaces the parent's or the viewer's host in upstream requests.
"""

from typing import Annotated

from pydantic import AfterValidator

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.http.target import names_host
from cdnkit.units import HIDDEN, SECRET, FieldName, FieldValue

_CANNOT = frozenset(
    {
        "cache-control", "connection", "content-length", "cookie", "if-match", "if-modified-since",
        "if-none-match", "if-range", "if-unmodified-since", "max-forwards", "pragma", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "range", "request-range", "te", "trailer", "transfer-encoding",
        "upgrade", "via", "x-real-ip",
    }
)  # fmt: skip
"""Source: CloudFront, "Custom headers that CloudFront can't add to origin requests"; `Host`, which is on that list,
is the field that Fastly lets a backend override."""

_OURS = frozenset({"cdnlab-client-ip", "cdnlab-debug", "expect", "x-forwarded-for"})
"""Fields that the node writes itself or does not forward."""

_NAME, _VALUE, _ALL = 256, 1783, 10_240
"""Characters of a name, of a value, of all of them. Source: CloudFront, "Quotas on headers"."""


def _may_be_added(fields: dict[str, str]) -> dict[str, str]:
    for name, value in fields.items():
        lower = name.lower()
        if lower in _CANNOT | _OURS or lower.startswith(("x-amz-", "x-edge-")):
            raise ValueError(
                f"{name} frames a request, sets a condition, or is written by the node; wanted other fields"
            )
        # `cdn.json` has their values hidden, and a replay reads it.
        if lower == "host" and value != HIDDEN and not (value and names_host(value)):
            raise ValueError('wanted as Host a host, with or without a port, such as "origin.example.com"')
        if len(name) > _NAME or len(value) > _VALUE:
            raise ValueError(f"{name[:_NAME]}: wanted a name of at most {_NAME} characters, a value of {_VALUE}")
    if len({name.lower() for name in fields}) < len(fields):
        raise ValueError("wanted each name once (case does not matter)")
    if sum(len(name) + len(value) for name, value in fields.items()) > _ALL:
        raise ValueError(f"wanted names and values of at most {_ALL} characters in all")
    return fields


ParentHeaders = Annotated[dict[FieldName, Annotated[FieldValue, SECRET]], AfterValidator(_may_be_added)]
"""Fields by name."""


def lines_of(fields: dict[str, str]) -> Lines:
    """The field lines, with names in lower case."""
    return [(name.lower(), value) for name, value in fields.items()]
