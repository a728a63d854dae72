"""What a request's head says of its content."""

from starlette.requests import Request

from origin.errors import Refused, printable


def is_empty(request: Request) -> bool:
    """Whether a POST or PUT only asks if its URL and credentials are good (DASH-IF live media ingest 1.2).

    `Refused`: by HTTP it is empty; the media that follow would be taken for the next request (RFC 9112 section 6.3).
    """
    fields = request.headers
    if "content-length" not in fields and "transfer-encoding" not in fields:
        if request.scope["http_version"].startswith("1"):
            found = f"{printable(request.scope['path'])}: found neither Content-Length nor Transfer-Encoding"
            raise Refused(411, f"{found}, wanted chunked content (ffmpeg: -chunked_post 1).")
        return False
    return fields.get("content-length") == "0"
