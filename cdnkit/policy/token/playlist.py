"""Inheritance of a token by the children of a playlist: in the URLs of the response, or in a cookie.

The stored playlist is the origin's, one for all; the served one is rewritten for each viewer. So the viewer's entity
tag is the stored one with a mark of the token behind it, conditions by date and ranges are ignored, and the response is
`private`.

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
from cdnkit.policy.token.scheme import ChildToken, Scheme

LARGEST = 4 * 2**20
"""Bytes of the largest playlist that is rewritten: a day of two-second segments is 2 MB. A larger one is served as it
is."""

_NOT_ASKED = ("range", "if-range", "if-modified-since", "if-none-match", "accept-encoding")
_OF_THE_STORED = frozenset(
    {"content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest", "last-modified"}
)
"""Fields of an answer that are not true of what is written anew."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """How the children of one playlist inherit its token."""

    child_token: ChildToken
    how: str
    """"query" or "cookie"."""
    base: str
    """The playlist's URL without its query: the base of its references."""
    needs_cookie: bool
    """The token did not come in a cookie."""

    def cache_request(self, request: RequestHead) -> RequestHead:
        """The request to the cache: for the whole stored playlist, unless the viewer has it."""
        if self.how == "cookie":
            return request
        known = self._stored_tags(request)
        headers = request.headers.without(_NOT_ASKED)
        return request.with_fields(headers.plus(("if-none-match", ", ".join(known))) if known else headers)

    def cache_request_by_tag(self, request: RequestHead) -> RequestHead:
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
        return blake2b(self.child_token.parameters_for("/").encode("latin-1"), digest_size=6).hexdigest()

    def rewrites(self, status: int, headers: Lines, able: Collection[str] = ()) -> bool:
        """Whether the whole body is rewritten. `able`: content codings that can be decoded for that."""
        return self.how == "query" and status == 200 and coding_in(headers) in ("", *able)

    def head(self, status: int, headers: Lines, length: int | None = None, able: Collection[str] = ()) -> Lines:
        """The response's field lines for this viewer; `length` of the rewritten body, None where there is none."""
        if self.how == "cookie":
            cookies = self.child_token.cookies if self.needs_cookie and status in (200, 304) else ()
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
        """A cookie for this folder and all below. Browsers send it with requests from other sites only over TLS."""
        scheme, _, rest = self.base.partition("://")
        folder = "/" + rest.partition("/")[2].rpartition("/")[0]
        folder = folder if folder.endswith("/") else folder + "/"
        guards = "Secure; SameSite=None" if scheme == "https" else "SameSite=Lax"
        return f"{name}={value}; Path={folder}; HttpOnly; {guards}"

    def body(self, stored: bytes) -> bytes:
        """The playlist with the token in its references; any other body as it is."""
        if stored.startswith((b"#EXTM3U", b"\xef\xbb\xbf#EXTM3U")):
            return hls.rewritten(stored, self.base, self.child_token.parameters_for)
        if self.child_token.for_path is None and dash.is_manifest(stored):
            return dash.rewritten(stored, self.base, self.child_token.query)
        return stored


class Inherited:
    """The token of one (good) request, for the children of what answers it. How it is carried is found out once, when
    it is first asked."""

    __slots__ = ("_found", "_how", "_path", "_request", "_scheme")

    def __init__(self, request: RequestHead, scheme: Scheme, how: str) -> None:
        self._request, self._scheme, self._how = request, scheme, how
        self._path = scheme.carriers.path(request)
        self._found: tuple[Inheritance | None] | None = None

    def by_answer(self, status: int, content_type: str) -> Inheritance | None:
        """None where neither path nor response is a playlist's, and for tokens that nothing can pass on."""
        known = is_playlist(self._path, content_type)
        # A 304 may leave out of what type it is: then the viewer's own tag tells, if it has the mark of a playlist.
        if not known and not (status == 304 and not content_type and "if-none-match" in self._request.headers):
            return None
        made = self._inheritance()
        return made if made is not None and (known or made._stored_tags(self._request)) else None

    def cache_request(self, bare: RequestHead) -> RequestHead:
        """The request by which the cache is asked; `bare`: without its token."""
        known = is_playlist(self._path)
        if not known and "if-none-match" not in self._request.headers:
            return bare
        made = self._inheritance()
        if made is None:
            return bare
        return made.cache_request(bare) if known else made.cache_request_by_tag(bare)

    def _inheritance(self) -> Inheritance | None:
        if self._found is None:
            self._found = (self._made(),)
        return self._found[0]

    def _made(self) -> Inheritance | None:
        request, scheme = self._request, self._scheme
        carried = scheme.child_token(request) if request.method in ("GET", "HEAD") else None
        if carried is None:
            return None
        needs_cookie = not scheme.carriers.by_cookie(request)
        return Inheritance(carried, self._how, f"{request.scheme}://{request.host}{self._path}", needs_cookie)


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
