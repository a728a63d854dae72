"""How the parent is asked, how often, whom else, and whether it is well (RFC 9110 §7.6)."""
