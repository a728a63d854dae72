"""The fixtures of what an encoder really sends."""

from tests.real.origin.conftest import encoded, ffmpeg

__all__ = ["encoded", "ffmpeg"]
