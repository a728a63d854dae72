"""A playlist's token goes on to its children: in the URLs of the answer, or in a cookie.

What is stored is the origin's playlist, one for all; what goes out is written anew for each viewer. So the viewer's
entity tag is the stored one with a mark of the token behind it, conditions by date and ranges are not answered, and the
answer is `private`.

`cdnkit/policy/http/content.py` says what a playlist is. Of a request the path alone says it; of its answer the
type does, too. What turns out to be one only then was asked for as anything is: it may come in a content coding, which
the shell takes off, or in part, and then it goes out as it is.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b

from cdnkit.policy.http.content import is_playlist
from cdnkit.policy.http.etags import tag_list
from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.token import dash, hls
from cdnkit.policy.token.scheme import Carried, Scheme

LARGEST = 4 * 2**20
"""Bytes of a playlist that is rewritten: a day of two-second segments is 2 MB. A larger one goes out as it is."""

_NOT_ASKED = ("range", "if-range", "if-modified-since", "if-none-match", "accept-encoding")
_OF_THE_STORED = frozenset(
    {"content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest", "last-modified"}
)
"""Fields of an answer that are not true of what is written anew."""


@dataclass(frozen=True, slots=True)
class Propagation:
    """What becomes of one answer."""

    carried: Carried
    how: str
    """"query" or "cookie"."""
    base: str
    """The playlist's URL without its query: what its references are relative to."""
    needs_cookie: bool
    """The token did not come as a cookie."""

    def asked(self, request: RequestHead) -> RequestHead:
        """The request by which the cache is asked: for all of the stored playlist, unless the viewer has it."""
        if self.how == "cookie":
            return request
        known = self._stored_tags(request)
        headers = request.headers.without(_NOT_ASKED)
        return request.with_fields(headers.plus(("if-none-match", ", ".join(known))) if known else headers)

    def asked_unknown(self, request: RequestHead) -> RequestHead:
        """The same where its path does not say that it is a playlist: the stored tag in the place of the viewer's."""
        if self.how == "cookie" or not (known := self._stored_tags(request)):
            return request
        return request.with_fields(
            request.headers.without(("if-none-match",)).plus(("if-none-match", ", ".join(known)))
        )

    def _stored_tags(self, request: RequestHead) -> list[str]:
        """The stored playlist's tags behind the viewer's; one without this token's mark is of another text."""
        end = f'-{self._mark}"'
        tags = [tag for value in request.headers.all("if-none-match") for tag in tag_list(value)]
        return [f'{tag.removesuffix(end)}"' for tag in tags if tag.endswith(end)]

    @property
    def _mark(self) -> str:
        return blake2b(self.carried.parameters_for("/").encode("latin-1"), digest_size=6).hexdigest()

    def rewrites(self, status: int, headers: Lines, able: Collection[str] = ()) -> bool:
        """Whether the whole body is wanted, to be written anew. `able`: content codings that can be taken off it."""
        return self.how == "query" and status == 200 and coding_in(headers) in ("", *able)

    def head(self, status: int, headers: Lines, length: int | None = None, able: Collection[str] = ()) -> Lines:
        """The answer's field lines for this viewer; `length` of the body that goes out, None where none does."""
        if self.how == "cookie":
            cookies = self.carried.cookies if self.needs_cookie and status in (200, 304) else ()
            return (
                private([*headers, *(("set-cookie", self._cookie(*pair)) for pair in cookies)]) if cookies else headers
            )
        if status == 206:
            return private(headers)
        if status not in (200, 304):
            return headers
        gone = _OF_THE_STORED | {"content-encoding"} if self.rewrites(status, headers, able) else _OF_THE_STORED
        lines = [
            (name, f'{value[:-1]}-{self._mark}"' if name == "etag" and value.endswith('"') else value)
            for name, value in headers
            if name not in gone
        ]
        lines = private(lines)
        return lines if length is None else [*lines, ("content-length", str(length))]

    def _cookie(self, name: str, value: str) -> str:
        """For this folder and all below. It needs TLS to be sent with requests from other sites."""
        scheme, _, rest = self.base.partition("://")
        folder = "/" + rest.partition("/")[2].rpartition("/")[0]
        folder = folder if folder.endswith("/") else folder + "/"
        guards = "Secure; SameSite=None" if scheme == "https" else "SameSite=Lax"
        return f"{name}={value}; Path={folder}; HttpOnly; {guards}"

    def body(self, stored: bytes) -> bytes:
        """The playlist with the token in its references; anything else as it is."""
        if stored.startswith((b"#EXTM3U", b"\xef\xbb\xbf#EXTM3U")):
            return hls.rewritten(stored, self.base, self.carried.parameters_for)
        if self.carried.for_path is None and dash.is_manifest(stored):
            return dash.rewritten(stored, self.base, self.carried.query)
        return stored


class Inherited:
    """The token of one (good) request, for the children of what answers it. How it is carried is found out once, when
    it is first asked."""

    __slots__ = ("_found", "_how", "_path", "_request", "_scheme")

    def __init__(self, request: RequestHead, scheme: Scheme, how: str) -> None:
        self._request, self._scheme, self._how = request, scheme, how
        self._path = scheme.carriers.path(request)
        self._found: tuple[Propagation | None] | None = None

    def by_path(self) -> Propagation | None:
        """None where the path does not say that it is a playlist, and for tokens that nothing can take on."""
        return self._propagation() if is_playlist(self._path) else None

    def by_answer(self, status: int, content_type: str) -> Propagation | None:
        """None where the answer is no playlist either."""
        known = is_playlist(self._path, content_type)
        # A 304 may leave out of what type it is: then the viewer's own tag tells, if it has the mark of a playlist.
        if not known and not (status == 304 and not content_type and "if-none-match" in self._request.headers):
            return None
        made = self._propagation()
        return made if made is not None and (known or made._stored_tags(self._request)) else None

    def asked(self, bare: RequestHead) -> RequestHead:
        """The request by which the cache is asked; `bare`: without its token."""
        known = is_playlist(self._path)
        if not known and "if-none-match" not in self._request.headers:
            return bare
        made = self._propagation()
        if made is None:
            return bare
        return made.asked(bare) if known else made.asked_unknown(bare)

    def _propagation(self) -> Propagation | None:
        if self._found is None:
            self._found = (self._made(),)
        return self._found[0]

    def _made(self) -> Propagation | None:
        request, scheme = self._request, self._scheme
        carried = scheme.carried(request) if request.method in ("GET", "HEAD") else None
        if carried is None:
            return None
        needs_cookie = not scheme.carriers.by_cookie(request)
        return Propagation(carried, self._how, f"{request.scheme}://{request.host}{self._path}", needs_cookie)


def coding_in(headers: Lines) -> str:
    """The content coding of an answer, "" without one."""
    return (Headers.wrap(headers).joined("content-encoding") or "").strip().lower()


def private(headers: Lines) -> Lines:
    """No cache behind may give one viewer's answer to another: it is `private`, with no word to shared caches."""
    said = Headers.wrap(headers).joined("cache-control") or ""
    kept = [part.strip() for part in said.split(",") if part.strip()]
    kept = [part for part in kept if part.partition("=")[0].lower() not in ("public", "private", "s-maxage")]
    lines = [
        line
        for line in headers
        if line[0] not in ("cache-control", "expires", "surrogate-control", "cdn-cache-control")
    ]
    return [*lines, ("cache-control", ", ".join(["private", *kept]))]
