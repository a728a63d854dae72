"""Token schemes: who may have what, decided before the cache and kept out of its key."""

from cdnkit.policy.token.fastly import FastlyToken
from cdnkit.policy.token.making import scheme_of
from cdnkit.policy.token.scheme import Carried, Carriers, Scheme, TokenFault

__all__ = ["Carried", "Carriers", "FastlyToken", "Scheme", "TokenFault", "scheme_of"]
