"""Conditional requests (RFC 9110 §13.1)."""

from cdnkit.policy.http.messages import RequestHead

CONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")


def has_conditions(request: RequestHead) -> bool:
    return any(name in CONDITIONS for name, _ in request.headers.lines)
