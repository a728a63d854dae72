"""How long a response stays good, and whether it may be stored (RFC 9111 §3, §4.2, §5.2)."""
