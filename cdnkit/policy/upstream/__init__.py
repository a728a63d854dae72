"""Upstream requests: what the parent is sent, how often, which parent is next, and whether it is well (RFC 9110
§7.6)."""
