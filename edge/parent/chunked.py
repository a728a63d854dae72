"""A chunked body as it is decoded (RFC 9112 §7.1), by httptools."""

import httptools

_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class ChunkedBody:
    """What has come of it. Nothing is called back while the parser is at work: whoever is told of a body's end may well
    begin the next exchange."""

    __slots__ = ("_parser", "beyond", "chunks", "ended", "error")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        """Decoded, and for the caller to take."""
        self.ended = False
        """The last chunk has come, and the trailers, which are dropped (RFC 9110 §6.5.1)."""
        self.beyond = False
        """So have bytes behind them."""
        self.error: httptools.HttpParserError | None = None
        self._parser = httptools.HttpResponseParser(_Callbacks(self))
        # A Content-Length among the trailers says nothing any more; llhttp would refuse the whole body for it.
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)
        self._parser.feed_data(_HEAD)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.error = error
            self.beyond = self.ended


class _Callbacks:
    """Those of httptools; it asks for no trailers."""

    __slots__ = ("_body",)

    def __init__(self, body: ChunkedBody) -> None:
        self._body = body

    def on_message_begin(self) -> None:
        if self._body.ended:
            self._body.beyond = True  # what follows the last chunk looks like a response, to no request

    def on_body(self, chunk: bytes) -> None:
        if not self._body.ended:
            self._body.chunks.append(chunk)

    def on_message_complete(self) -> None:
        self._body.ended = True
