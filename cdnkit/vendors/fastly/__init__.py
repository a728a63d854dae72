"""Fastly."""

from cdnkit.vendors.fastly.profile import FASTLY, FASTLY_OBSERVED, PURGE

PROFILE, OBSERVED = FASTLY, FASTLY_OBSERVED

__all__ = ["FASTLY", "FASTLY_OBSERVED", "OBSERVED", "PROFILE", "PURGE"]
