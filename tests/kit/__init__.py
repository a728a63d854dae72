"""Real parts to test against: an origin that does as it is told, a client that says what it got."""
