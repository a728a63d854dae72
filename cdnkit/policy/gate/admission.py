"""The request after the gate: without its token, which a playlist's children may inherit."""

from dataclasses import dataclass

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.token.playlist import Inherited
from cdnkit.policy.token.scheme import Carriers, Scheme


@dataclass(slots=True)
class Admitted:
    """A request that had a token, as it goes to the cache."""

    public: RequestHead
    """What cache, origin and record may see: the request without its token, wherever that was."""
    inherited: Inherited | None = None
    """The token for the children of a playlist; None, which is usual, if they inherit none."""


class Admission:
    """Removes the tokens from the requests of one behavior, valid or not."""

    __slots__ = ("_foreign", "_propagate", "_scheme")

    def __init__(self, scheme: Scheme | None, propagate: str, prefixes: tuple[str, ...]) -> None:
        """`propagate`: as in the token's settings; `prefixes`: beginnings of paths after which a token comes, of all
        behaviors."""
        self._scheme, self._propagate = scheme, propagate
        own = "" if scheme is None else scheme.carriers.prefix
        self._foreign = tuple(Carriers(prefix=prefix) for prefix in prefixes if prefix != own)

    def reads_fields_of(self, request: RequestHead) -> bool:
        """Whether a token may be among the request's fields."""
        own = () if self._scheme is None else (self._scheme.carriers,)
        return any(carriers.may_be_in(request.headers) for carriers in (*own, *self._foreign))

    def admitted(self, request: RequestHead) -> Admitted | None:
        """The request without its token; None if it has none and does not change.

        A playlist that will be rewritten is requested whole, uncoded, and with the stored entity tag.
        """
        came = request
        for carriers in self._foreign:
            request = carriers.stripped(request)
        scheme = self._scheme
        if scheme is None:
            return None if request is came else Admitted(request)
        bare = scheme.carriers.stripped(request)
        if self._propagate == "none":
            return None if bare is came else Admitted(bare)
        # `came` may have another token before its path: the viewer requests the children under that path.
        inherited = Inherited(came, scheme, self._propagate)
        return Admitted(inherited.cache_request(bare), inherited)
