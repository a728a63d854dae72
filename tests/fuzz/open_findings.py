"""What the fuzz target found and the machine still does: the kind, and what it is.

A kind in this table is counted and not reported, so that a new one is seen. Its reproduction is a playbook of
`test_fuzz_findings.py`, which fails when the machine has learned better: then the row goes, there and here.
"""

OPEN: dict[str, str] = {
    "if-range": "a part stands in for a failing origin towards one whose If-Range names another (RFC 9110 §13.1.5)",
    "authorization": "a HEAD's 200 takes away what allowed storing an answer to Authorization (RFC 9111 §3.5)",
    "private": "a HEAD's 200 that says private freshens a stored GET, which is shared on (RFC 9111 §4.3.5, §5.2.2.7)",
    "no-store": "the same with no-store",
    "vary": "the same with Vary: *",
}
