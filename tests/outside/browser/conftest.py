"""The origin's fixtures, for pages that meet an origin."""

from tests.real.origin.conftest import encoded, ffmpeg, origins

__all__ = ["encoded", "ffmpeg", "origins"]
