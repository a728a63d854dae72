"""What the fuzz target found and the machine still does: the kind, and what it is.

A kind in this table is counted and not reported, so that a new one is seen. Its reproduction is a playbook of
`test_fuzz_findings.py`, which fails when the machine has learned better: then the row goes, there and here.
"""

OPEN: dict[str, str] = {
    "waiter-after-purge": "who comes after a purge joins a flight opened before it, and gets what was purged",
    "waiter-after-invalidation": "the same after a POST's success (RFC 9111 §4.4)",
    "after-invalidation": "a fill under way when a POST succeeds is stored, and served afterwards (RFC 9111 §4.4)",
    "no-cache": "no-cache with a lifetime stands in for a failing origin without validation (RFC 9111 §5.2.2.4)",
    "private": "a 304 that says private freshens a stored response, which is shared on (RFC 9111 §5.2.2.7)",
    "waiter-private": "the same, for those who waited on it",
    "no-store": "a 304 that says no-store freshens a stored response, which is shared on (RFC 9111 §5.2.2.5)",
    "waiter-no-store": "the same, for those who waited on it",
    "vary": "a 304 that says Vary: * freshens a stored response, which is selected on (RFC 9111 §4.1)",
    "waiter-vary": "the same, for those who waited on it",
    "authorization": "a 304 takes away what allowed storing an answer to Authorization; it is shared on (RFC 9111 §3.5)",
    "waiter-authorization": "the same, for those who waited on it",
    "private-field": "a 304 names a stored field in private or no-cache; the stored line is shared on (RFC 9111 §5.2.2.4)",
    "waiter-error-private": "a private 5xx is given to all who waited",
    "waiter-error-authorization": "a 5xx to a request with Authorization is given to all who waited (RFC 9111 §3.5)",
    "waiter-error-vary": "a 5xx with Vary: * is given to all who waited (RFC 9111 §4.1)",
    "waiter-stale": "an answer stale on arrival, whose key was purged while it came, is given to all who waited",
    "waiter-no-cache": "the same with no-cache",
    "content-length": "a part kept from a 206 without Content-Length is answered with two Content-Length lines",
    "unasked-part": "a stored part stands in for a failing origin towards one who asked for the whole (RFC 9111 §3.3)",
    "another-part": "a stored part stands in for a failing origin towards one who asked for another (RFC 9111 §3.3)",
    "field cache-control": "quadratic: 16 KiB of escaped quotes outside a quoted string take over a second",
}
