"""An application of which only so many requests are open at once; one more gets 429."""

from starlette.types import ASGIApp, Receive, Scope, Send

from origin.errors import Refused
from origin.ingest.refusing import refuse


class OpenRequests:
    """Counts the requests of an application. One event loop's."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= self._most:
            text = f"found {self._open} open requests, wanted at most {self._most} (ingest_limits.requests)."
            await refuse(receive, send, Refused(429, text, retry_after="1"))
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1
