"""In front of all that encoders send: whether they may, and whether the stream is one that exists.

The answer depends on a request's head alone, and comes before its content is read: a client that asked first
(`Expect: 100-continue`) sends none for nothing, and an empty request learns whether a URL and credentials are good.

A path is `/INTERFACE/STREAM/...` or `/date-ranges/STREAM`; what has no stream, such as `/faults`, concerns every one.
"""

import logging
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from starlette.types import ASGIApp, Receive, Scope, Send

from cdnkit.serving import CLIENT_NAMES
from origin.errors import Refused, printable
from origin.ingest.credentials import Encoders, Refusal
from origin.ingest.failed_attempts import FailedAttempts
from origin.ingest.refusing import refuse

log = logging.getLogger("origin")

DATE_RANGES, RECORDINGS = "date-ranges", "recordings"
"""The interfaces by which a whole stream is addressed (`date_ranges.py`, `recordings.py`)."""
_REFUSAL_OF = "cdnlab.refusal_of"
NO_PATH = "found a path with empty or dot segments, wanted /ingest/STREAM/TRACK.cmfv, /ingest/STREAM/PATH and the like"


class Authenticated:
    """An application that only sees the requests that may be made."""

    def __init__(
        self, app: ASGIApp, encoders: Encoders | None, streams: Sequence[str], clock: Callable[[], float]
    ) -> None:
        """`encoders` None: anybody may publish. `streams`: patterns of those that exist."""
        self._app = app
        self._encoders = encoders
        self._streams = streams
        self._clock = clock
        self._failed = FailedAttempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            scope[_REFUSAL_OF] = self._refusal
            await self._app(scope, receive, send)
            return
        self._report(scope, refusal)
        challenges = self._encoders.challenges if refusal.status == 401 and self._encoders is not None else ()
        await refuse(receive, send, Refused(refusal.status, refusal.text, www_authenticate=challenges))

    def _refusal(self, scope: Scope) -> Refusal | None:
        steps = str(scope["path"]).split("/")[1:]
        stream = steps[1] if len(steps) > 2 or (len(steps) == 2 and steps[0] in (DATE_RANGES, RECORDINGS)) else None
        if self._encoders is not None:
            authorization = [value for name, value in scope["headers"] if name == b"authorization"]
            names: frozenset[str] = scope.get("extensions", {}).get(CLIENT_NAMES, frozenset())
            refusal = self._encoders.refusal(authorization, names, stream)
            if refusal is not None:
                return refusal
        if stream is None:
            return None
        if not {"", ".", ".."}.isdisjoint(steps):
            return Refusal(403, f"{printable(scope['path'])}: {NO_PATH}.", is_wrong=False)
        if not any(fnmatchcase(stream, one) for one in self._streams):
            wanted = f"one of ingest_streams ({', '.join(self._streams)})"
            return Refusal(404, f"{printable(stream, 64)}: found no such stream, wanted {wanted}.", is_wrong=False)
        return None

    def _report(self, scope: Scope, refusal: Refusal) -> None:
        """One line for the log. A request that only asks what it needs is no failed attempt."""
        asks_first = any(name == b"expect" for name, _ in scope["headers"])
        if refusal.status == 401 and not refusal.is_wrong and asks_first:
            return
        address = scope["client"][0] if scope.get("client") else "unknown"
        if (more := self._failed.on_attempt(address, refusal.status, self._clock())) is not None:
            path = printable(scope["path"])
            log.warning("%s from %s: %d: %s%s", path, printable(address, 60), refusal.status, refusal.text, more)


def refusal_of(scope: Scope, stream: str) -> Refusal | None:
    """Why whoever made this request, which was let in, may not publish another stream; None: it may."""
    if (refusal := scope.get(_REFUSAL_OF)) is None:
        return None
    found: Refusal | None = refusal({**scope, "path": f"/{RECORDINGS}/{stream}"})
    return found
