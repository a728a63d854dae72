"""Date ranges by API: `GET /date-ranges/{stream}`, and `GET|PUT|DELETE /date-ranges/{stream}/{id}`.

| status | when                                                                                          |
|--------|-----------------------------------------------------------------------------------------------|
| 201    | PUT: the date range is in the playlists                                                       |
| 200    | PUT: its new attributes are; GET                                                              |
| 204    | DELETE: it is in no playlist any more                                                         |
| 400    | attributes that the draft does not allow                                                      |
| 404    | no such stream of tracks, or nothing of it is published yet; no such date range               |
| 409    | an attribute that it has with another value; an ID that was used; DELETE of what is under way |
| 413    | content or a tag above its bound                                                              |
| 429    | one date range too many                                                                       |
| 503    | storage failed: nothing has changed                                                           |
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from origin.errors import Refused, printable
from origin.hls.date_ranges import check_id
from origin.hls.schedule import Schedule, Span
from origin.ingest.authentication import DATE_RANGES
from origin.ingest.orders import Orders, content_of, shown, wrong_method
from origin.live.stream import Stream
from origin.publishing.date_ranges import Edit
from origin.publishing.publisher import Publisher


def date_range_routes(publisher: Publisher) -> list[Route]:
    """The routes of this API on the ingest listener."""
    api = _DateRangeApi(publisher)
    return [
        Route(f"/{DATE_RANGES}/{{stream}}", endpoint=Orders(api.answer_stream)),
        Route(f"/{DATE_RANGES}/{{stream}}/{{id}}", endpoint=Orders(api.answer)),
    ]


class _DateRangeApi:
    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def _stream(self, request: Request) -> Stream:
        name = request.path_params["stream"]
        if (stream := self._publisher.streams.get(name)) is None:
            wanted = "one that is fed by tracks (ready-made playlists bring their own date ranges)"
            raise Refused(404, f"{printable(name, 64)}: found no such stream, wanted {wanted}.")
        return stream

    async def answer_stream(self, request: Request) -> Response:
        if request.method != "GET":
            raise wrong_method(request, "GET")
        schedule = self._publisher.dates.of(self._stream(request).name)
        return shown({"DATE-RANGES": [one.public() for one in schedule.ranges]})

    async def answer(self, request: Request) -> Response:
        stream, id = self._stream(request), request.path_params["id"]
        check_id(id)
        there = self._publisher.dates.of(stream.name).get(id) is not None
        if request.method == "PUT":
            values = await content_of(request)
            await self._publisher.change_dates(stream, lambda before, span, now: before.put(id, values, span, now))
        elif request.method not in ("GET", "DELETE"):
            raise wrong_method(request, "GET, PUT, DELETE")
        elif not there:
            raise Refused(404, f"{id}: found no such date range, wanted one of {stream.name}'s.")
        if request.method == "DELETE":
            await self._publisher.change_dates(stream, _without(id))
            return Response(status_code=204)
        one = self._publisher.dates.of(stream.name).get(id)
        if one is None:
            raise Refused(404, f"{id}: found a date range that has just left, wanted one of {stream.name}'s.")
        return shown(one.public(), 200 if there else 201)


def _without(id: str) -> Edit:
    def edit(before: Schedule, span: Span, now: float) -> Schedule:
        return before.without(id, span, now) if before.get(id) is not None else before

    return edit
