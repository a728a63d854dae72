"""Fastly."""

from vendors.fastly.profile import FASTLY

__all__ = ["FASTLY"]
