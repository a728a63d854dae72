"""The target of a request as it came, through every tier."""

import asyncio

from tests.kit.http2 import http2
from tests.kit.node import running_node
from tests.kit.origin import Asked, response, running_origin


def test_an_empty_query_is_another_url_than_none_through_every_tier() -> None:
    """RFC 9110 §7.7: a proxy does not change the query of a target that it forwards."""

    async def as_asked(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(asked.target.encode(), cache_control="max-age=60"))

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield") as shield,
            running_node(shield.url) as fra,
        ):
            for path in ("/a", "/b"):
                origin.does(path, as_asked)
            for target in ("/a", "/a?", "/a", "/a?"):
                assert (await fra.get(target)).body == target.encode()
            async with http2(fra.url) as client:
                streams = [await client.ask("/a?"), await client.ask("/b?")]
                await client.until(*streams)
                assert [bytes(stream.body) for stream in streams] == [b"/a?", b"/b?"]
            assert origin.count == {"/a": 1, "/a?": 1, "/b?": 1}
            assert (await fra.purge(url="/a?"))["purged"] == 1
            await shield.purge(url="/a?")
            await fra.get("/a")
            await fra.get("/a?")
            assert origin.count == {"/a": 1, "/a?": 2, "/b?": 1}

    asyncio.run(run())
