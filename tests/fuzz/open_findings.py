"""What the fuzz target found and the machine still does: the kind, and what it is.

A kind in this table is counted and not reported, so that a new one is seen. Its reproduction is a playbook of
`test_fuzz_findings.py`, which fails when the machine has learned better: then the row goes, there and here.
"""

OPEN: dict[str, str] = {
    "private": "a HEAD's 200 that says private freshens a stored GET, which is shared on (RFC 9111 §4.3.5, §5.2.2.7)",
    "no-store": "the same with no-store",
    "vary": "the same with Vary: *",
    "unasked-412": "the same as the next, of a 412",
    "unasked-part": "a 416 or 412 with a lifetime is stored, and answers who asked for no range or made no condition",
    "if-range": "a stored part answers a range whose If-Range does not name it (RFC 9110 §13.1.5)",
    "fallback-vary": "a 304 to one variant's question changes what an entry is for; another's failing question still gets it",
}
