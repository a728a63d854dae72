"""Which store the settings mean."""

from pathlib import Path

from cdnkit.settings.origin import Origin
from origin.storage.directory import Directory
from origin.storage.s3 import S3Store
from origin.storage.store import Store


def store_of(settings: Origin) -> Store:
    """The store of an origin; nothing of it is touched yet."""
    if isinstance(settings.storage, Path):
        return Directory(settings.storage)
    return S3Store(settings.storage, settings.s3)
