"""The origin's fixtures and a local CA, for pages that meet an origin or a node over HTTPS."""

from tests.kit.local_ca import authority
from tests.real.origin.conftest import encoded, ffmpeg, origins

__all__ = ["authority", "encoded", "ffmpeg", "origins"]
