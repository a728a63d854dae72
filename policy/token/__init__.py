"""Token schemes: who may have what, decided before the cache and kept out of its key."""

from policy.token.fastly import FastlyToken
from policy.token.making import scheme_of
from policy.token.scheme import Carried, Carriers, Denial, Scheme, Verdict

__all__ = ["Carried", "Carriers", "Denial", "FastlyToken", "Scheme", "Verdict", "scheme_of"]
