"""The eviction policies by the names of settings."""

from typing import Literal

Eviction = Literal["lru", "lfu", "fifo", "sieve", "s3-fifo"]
"""The policies by the names of settings."""
