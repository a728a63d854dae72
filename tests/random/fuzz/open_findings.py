"""What the fuzz target found and the machine still does: the kind, and what it is.

A kind in this table is counted and not reported, so that a new one is seen. Its reproduction is a playbook of
`test_findings.py`, which fails when the machine has learned better: then the row goes, there and here.
"""

OPEN: dict[str, str] = {}
