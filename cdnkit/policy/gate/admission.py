"""What a request goes on as behind the gate: without its token, and with what a playlist's children inherit of it."""

from dataclasses import dataclass

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.token.playlist import Inherited
from cdnkit.policy.token.scheme import Carriers, Scheme


@dataclass(slots=True)
class Admitted:
    """A request that carried a token, as it goes on."""

    public: RequestHead
    """As cache, origin and record may see it: without its token, wherever that stood."""
    inherited: Inherited | None = None
    """The token, for the children of a playlist; None where they inherit none, which is nearly always."""


class Admission:
    """Takes the tokens out of the requests of one behavior, good ones or not."""

    __slots__ = ("_foreign", "_propagate", "_scheme")

    def __init__(self, scheme: Scheme | None, propagate: str, prefixes: tuple[str, ...]) -> None:
        """`propagate`: as the token's settings have it; `prefixes`: beginnings of paths that go on with a token,
        whichever behavior asks for it."""
        self._scheme, self._propagate = scheme, propagate
        own = "" if scheme is None else scheme.carriers.prefix
        self._foreign = tuple(Carriers(prefix=prefix) for prefix in prefixes if prefix != own)

    def admitted(self, request: RequestHead) -> Admitted | None:
        """The request without its token; None: it goes on as it came.

        A playlist that is rewritten on its way out is requested whole, plain, and by its own entity tag.
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
        # Also with another token before its path: by that path the viewer requests the children.
        inherited = Inherited(came, scheme, self._propagate)
        return Admitted(inherited.cache_request(bare), inherited)
