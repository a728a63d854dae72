"""Connections to a parent, in HTTP/1.1 and HTTP/2: what is sent and read on them, and the simulated wire below."""
