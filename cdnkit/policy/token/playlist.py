"""Inheritance of a token by the children of a playlist: in the URLs of the response, or in a cookie.

All viewers share one stored playlist, as the origin made it; the served one is rewritten for each viewer. So the
viewer's entity tag is the stored one followed by a mark of the token, conditions by date and ranges are ignored, and
the response is `private`.

`cdnkit/policy/http/content.py` defines what a playlist is. A request shows it by its path alone, a response also by its
content type. If only the content type shows it, the request went to the cache like any other: the playlist may have a
content coding, which the shell decodes, or it may be a part, which is served as it is.
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
"""Bytes of the largest playlist that is rewritten: a day of two-second segments is 2 MB. A larger one is served
unchanged."""

_LEFT_OUT = ("range", "if-range", "if-modified-since", "if-none-match", "accept-encoding")
"""Fields of the viewer's request that the request to the cache does not have."""

_OF_THE_STORED = frozenset(
    {"content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest", "last-modified"}
)
"""Fields of the stored response that are not true of the rewritten one."""


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
        """The request to the cache: for the whole stored playlist, conditional if the viewer has a copy."""
        if self.how == "cookie":
            return request
        known = self._stored_tags(request)
        headers = request.headers.without(_LEFT_OUT)
        return request.with_fields(headers.plus(("if-none-match", ", ".join(known))) if known else headers)

    def cache_request_by_tag(self, request: RequestHead) -> RequestHead:
        """The request to the cache if its path is not a playlist's: the stored entity tag replaces the viewer's."""
        if self.how == "cookie" or not (known := self._stored_tags(request)):
            return request
        return request.with_fields(
            request.headers.without(("if-none-match",)).plus(("if-none-match", ", ".join(known)))
        )

    def _stored_tags(self, request: RequestHead) -> list[str]:
        """The stored playlist's entity tags, from the viewer's; a tag without this token's mark is of another text."""
        end = f'-{self._mark}"'
        tags = [tag for value in request.headers.all("if-none-match") for tag in tag_list(value)]
        return [f'{tag.removesuffix(end)}"' for tag in tags if tag.endswith(end)]

    @property
    def _mark(self) -> str:
        return blake2b(self.child_token.parameters_for("/").encode("latin-1"), digest_size=6).hexdigest()

    def rewrites(self, status: int, headers: Lines, able: Collection[str] = ()) -> bool:
        """Whether the whole body is rewritten. `able`: the content codings that the shell can decode."""
        return self.how == "query" and status == 200 and coding_in(headers) in ("", *able)

    def head(self, status: int, headers: Lines, length: int | None = None, able: Collection[str] = ()) -> Lines:
        """The response's field lines for this viewer; `length` of the rewritten body, None if there is none."""
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
        """A cookie for this folder and all below it. Browsers send it with requests from other sites only over TLS."""
        scheme, _, rest = self.base.partition("://")
        folder = "/" + rest.partition("/")[2].rpartition("/")[0]
        folder = folder if folder.endswith("/") else folder + "/"
        guards = "Secure; SameSite=None" if scheme == "https" else "SameSite=Lax"
        return f"{name}={value}; Path={folder}; HttpOnly; {guards}"

    def body(self, stored: bytes) -> bytes:
        """The playlist with the token in its references; any other body unchanged."""
        if stored.startswith((b"#EXTM3U", b"\xef\xbb\xbf#EXTM3U")):
            return hls.rewritten(stored, self.base, self.child_token.parameters_for)
        if self.child_token.for_path is None and dash.is_manifest(stored):
            return dash.rewritten(stored, self.base, self.child_token.query)
        return stored


class Inherited:
    """The (valid) token of one request, for the children of its response. What carries it on is computed once, on first
    use."""

    __slots__ = ("_found", "_how", "_path", "_request", "_scheme")

    def __init__(self, request: RequestHead, scheme: Scheme, how: str) -> None:
        self._request, self._scheme, self._how = request, scheme, how
        self._path = scheme.carriers.path(request)
        self._found: tuple[Inheritance | None] | None = None

    def for_response(self, status: int, content_type: str) -> Inheritance | None:
        """None if neither path nor content type is a playlist's, or if the children cannot inherit the token."""
        known = is_playlist(self._path, content_type)
        # A 304 may have no Content-Type: then the viewer's entity tag shows a playlist, if it has a mark.
        if not known and not (status == 304 and not content_type and "if-none-match" in self._request.headers):
            return None
        made = self._inheritance()
        return made if made is not None and (known or made._stored_tags(self._request)) else None

    def cache_request(self, bare: RequestHead) -> RequestHead:
        """The request to the cache. `bare`: the viewer's request without its token."""
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
    """The content coding of a response, "" without one."""
    return (Headers.wrap(headers).joined("content-encoding") or "").strip().lower()


def private(headers: Lines) -> Lines:
    """The fields with `private`, without directives for shared caches: no cache may serve it to another viewer."""
    text = Headers.wrap(headers).joined("cache-control") or ""
    kept = [part.strip() for part in text.split(",") if part.strip()]
    kept = [part for part in kept if part.partition("=")[0].lower() not in ("public", "private", "s-maxage")]
    lines = [
        line
        for line in headers
        if line[0] not in ("cache-control", "expires", "surrogate-control", "cdn-cache-control")
    ]
    return [*lines, ("cache-control", ", ".join(["private", *kept]))]
