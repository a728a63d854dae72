"""Token schemes: who may have what, decided before the cache and kept out of its key."""

from policy.token.fastly import FastlyToken, Verdict

__all__ = ["FastlyToken", "Verdict"]
