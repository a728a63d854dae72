"""What an encoder is answered that is refused, word for word, and when the answer ends."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from starlette.types import Message

from origin.errors import Refused
from origin.ingest.refusing import refuse
from tests.kit.hurry import hurry
from tests.kit.live_origin import Running

REFUSALS = [  # given a path    status  its text
    (
        "live/180p.avi",
        415,
        "/ingest/live/180p.avi: found .avi, wanted one of .m3u8 .mpd .init .header .mp4 .m4v .cmfv .m4i .mp4v .dash "
        ".m4a .mp4a .cmfa .cmft .cmfm .m4s .ts .webm .aac .ac3 .ec3 .mp3 .vtt .webvtt .ttml .key .jpg .jpeg .png "
        ".webp.\n",
    ),
    (
        "vod/180p.cmfv",
        403,
        "/ingest/vod/180p.cmfv: found a name that cannot be used, wanted letters, digits, - and _ "
        '(64 at most, a letter or digit first; "vod" is taken).\n',
    ),
]


@pytest.mark.parametrize(("path", "status", "text"), REFUSALS)
def test_a_refusal_is_one_sentence(path: str, status: int, text: str, origins: Callable[..., Running]) -> None:
    reply = origins().post(path, b"")
    assert (reply.status, reply.text) == (status, text)


def body(*pieces: bytes, ends: bool = True) -> list[Message]:
    last = len(pieces) - 1
    return [
        {"type": "http.request", "body": piece, "more_body": not ends or at < last} for at, piece in enumerate(pieces)
    ]


GONE: Message = {"type": "http.disconnect"}
ENDS = [  # what still comes of a refused body    how often   the answer ends after, whole
    (body(b"x"), 0.0, 0.0, True),
    (body(b"x", b"y", b""), 0.25, 0.75, True),  # it is read to its end
    (body(b"x", b"y", b"z", ends=False), 0.25, 1.0, True),  # but no longer than a second
    ([], 0.0, 1.0, True),
    ([GONE], 0.25, 0.25, False),  # nobody is there
]


@pytest.mark.parametrize(("coming", "every", "after", "whole"), ENDS)
def test_a_refused_body_is_read_on_for_a_second(coming: list[Message], every: float, after: float, whole: bool) -> None:
    """A connection that is closed on someone who still sends loses them the answer."""
    left = iter(coming)
    sent: list[Message] = []

    async def receive() -> Message:
        message = next(left, None)
        if message is None:
            await asyncio.Event().wait()
        await asyncio.sleep(every)
        return cast(Message, message)

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> float:
        began = asyncio.get_running_loop().time()
        await refuse(receive, send, Refused(400, "no"))
        return asyncio.get_running_loop().time() - began

    assert hurry(run()) == pytest.approx(after)
    assert sent[0]["status"] == 400
    assert [message["more_body"] for message in sent[1:]] == [True, *([False] if whole else [])]
