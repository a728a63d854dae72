"""Token schemes: which requests a token allows. Tokens are checked before the cache and are no part of its key."""

from cdnkit.policy.token.factory import scheme_of
from cdnkit.policy.token.fastly import FastlyToken
from cdnkit.policy.token.scheme import Carriers, ChildToken, Scheme, TokenFault

__all__ = ["Carriers", "ChildToken", "FastlyToken", "Scheme", "TokenFault", "scheme_of"]
