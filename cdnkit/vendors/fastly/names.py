"""What Fastly calls a cache server."""

from hashlib import sha256


def server_identity(name: str) -> str:
    """A node's name as a cache server of a data centre has one: `cache-fra1234-FRA`."""
    return f"cache-{name[:3]}{int(sha256(name.encode()).hexdigest()[:4], 16)}-{name[:3].upper()}"
