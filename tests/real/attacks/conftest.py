"""A local CA, for attacks over TLS."""

from tests.kit.local_ca import authority

__all__ = ["authority"]
