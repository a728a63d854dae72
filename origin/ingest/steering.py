"""Content steering by API: `GET|PUT|DELETE /steering`, for encoders that may publish every stream.

`PUT {"PATHWAY-PRIORITY": ["nyc"]}` takes the players of the other edges to one; `PUT {}` is what the settings say; what
is added by `PATHWAYS` is no longer there after a PUT without it. `DELETE`: players are not steered, and are told so
(410). Statuses are those of date ranges.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from origin.errors import Refused
from origin.ingest.orders import Orders, content_of, shown, wrong_method
from origin.publishing.publisher import Publisher


def steering_route(publisher: Publisher) -> Route:
    """The route of this API on the ingest listener."""

    async def answer(request: Request) -> Response:
        if request.method not in ("GET", "PUT", "DELETE"):
            raise wrong_method(request, "GET, PUT, DELETE")
        if request.method == "DELETE":
            await publisher.steer(None)
            return Response(status_code=204)
        if request.method == "PUT":
            await publisher.steer(await content_of(request))
        if (steering := publisher.steering.now) is None:
            raise Refused(404, "found that players are not steered, wanted [origin.steering], or a PUT after a DELETE.")
        return shown({"PATHWAY-PRIORITY": steering.priority, "TTL": steering.ttl, "PATHWAYS": steering.pathways})

    return Route("/steering", endpoint=Orders(answer))
