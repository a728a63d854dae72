"""How long a response stays fresh, what a stale one is still good for, and whether it may be stored.

Source: RFC 9111 §3, §4.2, §5.2; RFC 5861; RFC 9213.
"""
