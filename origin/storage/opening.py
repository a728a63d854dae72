"""Which store the settings mean."""

from cdnkit.settings.origin import Origin
from origin.storage.directory import Directory
from origin.storage.store import Store


def store_of(settings: Origin) -> Store:
    """The store of an origin; nothing of it is touched yet."""
    return Directory(settings.storage)
