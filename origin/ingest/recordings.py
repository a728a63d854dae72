"""Recordings by API: `GET /recordings`, and `GET|POST|DELETE /recordings/{stream}`.

`POST {"name": "goal", "from": "2026-11-29T17:00:00Z", "to": 90}` trims a VOD out of a stream, live or over. Who may
publish a stream may do this with it; the new name must be one that it may publish, too. The list of all is for encoders
of every stream.

| status | when                                                                              |
|--------|-----------------------------------------------------------------------------------|
| 200    | GET                                                                               |
| 201    | POST: the VOD is there, at the `url` below the origin's                           |
| 204    | DELETE: its URLs answer 404, and its media is deleted                             |
| 400    | content that is none of this; no segment in that time; a name that cannot be used |
| 403    | a new name that is another encoder's                                              |
| 404    | no such stream of tracks, or one without a segment                                |
| 409    | POST: the name is taken; DELETE: an encoder feeds the stream                      |
| 429    | one stream too many                                                               |
| 503    | storage failed: nothing has changed                                               |
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from origin.errors import Refused
from origin.ingest.authentication import RECORDINGS, refusal_of
from origin.ingest.endpoint import check_stream
from origin.ingest.orders import Orders, content_of, shown, wrong_method
from origin.publishing.recordings import Recordings


def recording_routes(recordings: Recordings) -> list[Route]:
    """The routes of this API on the ingest listener."""

    async def answer_all(request: Request) -> Response:
        if request.method != "GET":
            raise wrong_method(request, "GET")
        return shown({"recordings": recordings.all()})

    async def answer(request: Request) -> Response:
        name = request.path_params["stream"]
        match request.method:
            case "GET":
                return shown(recordings.describe(recordings.of(name)))
            case "DELETE":
                await recordings.delete(name)
                return Response(status_code=204)
            case "POST":
                values = await content_of(request)
                new = str(values.get("name", ""))
                check_stream(new, "")
                if (refusal := refusal_of(request.scope, new)) is not None:
                    raise Refused(403, refusal.text)
                return shown(await recordings.trim(name, values), 201)
        raise wrong_method(request, "GET, POST, DELETE")

    return [
        Route(f"/{RECORDINGS}", endpoint=Orders(answer_all)),
        Route(f"/{RECORDINGS}/{{stream}}", endpoint=Orders(answer)),
    ]
