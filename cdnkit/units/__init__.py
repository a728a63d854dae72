"""Types for settings (durations, sizes, rates, secrets), the base of their models, and text made safe to show.

Every package may import this one, and it imports none of ours.
"""

from cdnkit.units.model import Settings
from cdnkit.units.quantities import (
    BitsPerSecond,
    Bytes,
    FieldName,
    FieldValue,
    Glob,
    ListenAddress,
    Offset,
    Seconds,
    Share,
    is_loopback,
    split_address,
)
from cdnkit.units.secret import HIDDEN, SECRET, Secret, SecretUrl, ServerUrl
from cdnkit.units.source import source_of
from cdnkit.units.visible import visible

__all__ = [
    "HIDDEN",
    "SECRET",
    "BitsPerSecond",
    "Bytes",
    "FieldName",
    "FieldValue",
    "Glob",
    "ListenAddress",
    "Offset",
    "Seconds",
    "Secret",
    "SecretUrl",
    "ServerUrl",
    "Settings",
    "Share",
    "is_loopback",
    "source_of",
    "split_address",
    "visible",
]
