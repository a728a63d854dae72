"""The origin: takes CMAF fragments from encoders, gives HLS to caches and players."""

from origin.errors import BadMedia, OriginError, StorageFailed
from origin.serve import serve
from origin.settings import Lifetimes, Origin

__all__ = ["BadMedia", "Lifetimes", "Origin", "OriginError", "StorageFailed", "serve"]
