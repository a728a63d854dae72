"""How long a connection is kept open for one who was refused: his answer must reach him, and no longer."""

import asyncio

import pytest

from tests.kit.http2 import narrow
from tests.kit.hurry import hurry
from tests.kit.listener import hello, listening

STEP_S = 0.25
REFUSED = [b"NO HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\nNO HTTP\r\n\r\n"]
"""At once, and behind a request that is answered."""

STALLED = [  # the listener's `stalled`   for how many seconds the connection stays, the client having read everything
    (60.0, 2.0),
    (1.0, 1.0),  # no longer than it waits for anybody
]


@pytest.mark.parametrize("sent", REFUSED, ids=["at once", "behind a request"])
@pytest.mark.parametrize(("stalled", "stays"), STALLED)
def test_one_who_was_refused_may_send_for_a_moment_and_is_cut_off_then(
    stalled: float, stays: float, sent: bytes
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(hello, stalled=stalled) as url:
            before = len(asyncio.all_tasks())
            async with narrow(url) as client:
                await loop.sock_sendall(client, sent)
                answer = b""
                while more := await loop.sock_recv(client, 4096):
                    answer += more
                assert answer.count(b"HTTP/1.1 400") == 1
                began = loop.time()
                while len(asyncio.all_tasks()) > before:  # those of the connection end with it
                    if loop.time() < began + stays / 2:
                        await loop.sock_sendall(client, b"what is thrown away")
                    await asyncio.sleep(STEP_S)
                    assert loop.time() < began + 60.0
                assert stays <= loop.time() - began <= stays + 2 * STEP_S

    hurry(run())
