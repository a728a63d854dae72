"""A playlist goes out with the token of its request, for its children (`cdnkit/policy/token/playlist.py`)."""

from dataclasses import replace

from cdnkit.policy.plan import Refuse
from cdnkit.policy.token.playlist import LARGEST, Inheritance, Inherited, coding_in
from edge.bodies import Body, Reader
from edge.codings import DECODERS
from edge.response import Response


def passes_unchanged(inherited: Inherited | None, response: Response) -> bool:
    """Whether `with_token` would change nothing."""
    if inherited is None or isinstance(response.head, Refuse):
        return True
    return inherited.for_response(response.head.status, response.content_type()) is None


async def with_token(inherited: Inherited, response: Response) -> Response:
    """The response, rewritten if it has children; what is stored stays as it is."""
    if isinstance(response.head, Refuse) or response.blocks is not None:
        return response
    carried = inherited.for_response(response.head.status, response.content_type())
    return response if carried is None else await _rewritten(carried, response)


async def _rewritten(carried: Inheritance, response: Response) -> Response:
    head, reader = response.head, response.reader
    assert not isinstance(head, Refuse)
    if reader is None or not carried.rewrites(head.status, head.headers, DECODERS):
        return Response(replace(head, headers=carried.head(head.status, head.headers, able=DECODERS)), reader)
    start = reader.position
    stored = await reader.read_whole(LARGEST)
    reader.leave()
    if stored is None:
        return Response(head, reader.again(start))
    coding = coding_in(head.headers)
    plain = DECODERS[coding](stored, LARGEST) if coding else stored
    if plain is None:
        return Response(head, Reader(Body.of(stored), 0))
    body = Body.of(carried.body(plain))
    headers = carried.head(head.status, head.headers, body.size_bytes, DECODERS)
    return Response(replace(head, headers=headers), Reader(body, 0))
