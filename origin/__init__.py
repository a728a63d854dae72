"""The origin: takes CMAF fragments from encoders, gives HLS to caches and players."""

from cdnkit.settings.origin import Lifetimes, Origin
from origin.errors import BadMedia, OriginError, StorageFailed
from origin.serve import serve

__all__ = ["BadMedia", "Lifetimes", "Origin", "OriginError", "StorageFailed", "serve"]
