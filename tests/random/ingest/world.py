"""A case, run against the real endpoint: an application that is called, without sockets and without waiting.

What must hold, whatever comes:

- every request that is not broken off is answered, in time, and never with 500;
- what was answered with 200 is in the account, sample for sample: `received`, or `repeated`;
- nothing is received that was not sent;
- `received` is `published` and `refused`, once all is over;
- `published` is what the segments have, and media sequence numbers have no hole;
- between two segments without a discontinuity, decode times go on; each begins with a key frame.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from starlette.types import Message

from origin import Origin
from origin.errors import BadMedia
from origin.ingest.endpoint import Ingest, ingest_app
from origin.live.segmenter import JUMP
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection
from origin.publishing.publisher import Publisher
from origin.publishing.retention import Retention
from tests.kit.memory_store import MemoryStore
from tests.random.ingest.bodies import SCALE, Case, Post, header

NOW = 1_800_000_000.0
PATIENCE_S = 20.0
LARGEST = 2**20


class Wrong(Exception):
    """Something that must hold does not. Its first word is the kind."""


class World:
    """One origin and its requests."""

    def __init__(self, *, part: float | None) -> None:
        self.now = NOW
        settings = Origin(storage=Path("/nowhere"), segment=1.0, part=part, window=600.0, largest=LARGEST)
        self.publisher = Publisher(settings, lambda: self.now)
        self.store = self.publisher.storage.store = MemoryStore()
        self.ingest = Ingest(self.publisher, Retention(self.publisher))
        self.app = ingest_app(self.ingest, None)
        self.statuses: dict[Post, int] = {}

    async def post(self, post: Post, turn: Callable[[], object]) -> None:
        """One request. Its pieces come with a turn of the loop for the others between them."""
        body = post.body()
        pieces = [body[at : at + post.piece] for at in range(0, len(body), post.piece)]
        messages: list[Message] = [{"type": "http.request", "body": one, "more_body": True} for one in pieces[:200]]
        if len(pieces) > 200:  # bytes one by one, then the rest
            messages.append({"type": "http.request", "body": b"".join(pieces[200:]), "more_body": True})
        messages.append({"type": "http.request", "body": b"", "more_body": False} if post.ends else _DISCONNECT)

        async def receive() -> Message:
            await asyncio.sleep(0)
            turn()
            return messages.pop(0) if messages else _DISCONNECT

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[post] = message["status"]

        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "query_string": b"",
            "path": f"/ingest/live/{post.path}", "raw_path": f"/ingest/live/{post.path}".encode(), "root_path": "",
            "headers": [(b"host", b"x"), (b"transfer-encoding", b"chunked")], "client": ("10.0.0.1", post.client),
            "server": ("x", 80), "state": {},
        }  # fmt: skip
        await self.app(scope, receive, send)

    async def run(self, case: Case) -> None:
        def turn() -> None:
            self.now += 0.01

        begun = [asyncio.create_task(self._begin(post, index, turn)) for index, post in enumerate(case)]
        self._tasks = begun
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*begun)
                for _ in range(3):
                    self.now += 30
                    for stream in list(self.publisher.streams.values()):
                        await self.publisher.tick(stream)
                await self.ingest.stop()
        except TimeoutError:
            raise Wrong("hang: a request is not answered") from None
        self.judge(case)

    async def _begin(self, post: Post, index: int, turn: Callable[[], object]) -> None:
        for _ in range(int(post.after * 100)):
            await asyncio.sleep(0)
        if post.after == 1.0:
            await asyncio.gather(*(one for n, one in enumerate(self._tasks) if n < index))
        await self.post(post, turn)

    def judge(self, case: Case) -> None:
        for post in case:
            status = self.statuses.get(post)
            if status is None and post.ends:
                raise Wrong("unanswered: a request that ended properly")
            if status is not None and status >= 500:
                raise Wrong(f"{status}: an answer that blames the origin")
        stream = self.publisher.streams.get("live")
        accounts = stream.accounts if stream is not None else {}
        sure, perhaps = Counter[str](), Counter[str]()
        for post in set(case):
            times, samples, track = case.count(post), _samples(post), post.path.partition(".")[0]
            perhaps[track] += times * samples
            sure[track] += samples if self.statuses.get(post) == 200 and times == 1 else 0
        for track, account in accounts.items():
            told = account.received + account.repeated
            if told < sure[track]:
                raise Wrong(f"silent: {track} got {sure[track]} with 200, its account has {told}")
            if told > perhaps[track]:
                raise Wrong(f"invented: {track} was sent {perhaps[track]}, its account has {told}")
            if account.received != account.published + account.refused:
                raise Wrong(f"unbalanced: {track}: {account}")
        for track in sure:
            if sure[track] and track not in accounts:
                raise Wrong(f"silent: {track} got {sure[track]} with 200, and there is no account")
        if stream is not None:
            for window in stream.windows.values():
                self._judge_segments(window.name, accounts[window.name].published)

    def _judge_segments(self, track: str, published: int) -> None:
        window = self.publisher.streams["live"].windows[track]
        entries, files = list(window.fetchable()), self.store.files
        samples, end = 0, None
        for before, entry in zip([None, *entries], entries, strict=False):
            if before is not None and entry.number <= before.number:
                raise Wrong(f"number: {track} lists {entry.number} after {before.number}")
            if entry.gap:
                end = None
                continue
            reader = FragmentReader(2 * LARGEST)
            data = files[f"live/{track}/init-{entry.init}.mp4"] + files[f"live/{track}/{entry.name}"]
            found = [one for one in reader.feed(data) if isinstance(one, Fragment)]
            reader.finish()
            samples += sum(one.samples for one in found)
            if not found[0].independent:
                raise Wrong(f"dependent: {track} {entry.name} begins without a key frame")
            for one in found:
                smooth = before is None or before.discontinuity == entry.discontinuity
                if end is not None and smooth and abs(one.start - end) > JUMP * SCALE:
                    raise Wrong(f"jump: {track} {entry.name} goes from {end} to {one.start}")
                end, before = one.end, entry
        if samples != published:
            raise Wrong(f"lost: {track} published {published}, its segments have {samples}")


_DISCONNECT: Message = {"type": "http.disconnect"}


def _samples(post: Post) -> int:
    """Of the fragments in a body, as far as it can be read."""
    reader = FragmentReader(LARGEST, _known(post))
    samples = 0
    with suppress(BadMedia):
        for one in reader.feed(post.body()):
            samples += one.samples if isinstance(one, Fragment) else 0
    return samples


def _known(post: Post) -> InitSection:
    (found,) = FragmentReader(LARGEST).feed(header(post.path))
    assert isinstance(found, InitSection)
    return found


def wrong_with(case: Case, *, part: float | None) -> str | None:
    """What does not hold; None: all holds."""
    world = World(part=part)
    try:
        asyncio.run(world.run(case))
    except Wrong as wrong:
        return str(wrong)
    except Exception as error:  # a defect is a finding, too
        return f"{type(error).__name__}: {error}"
    return None


def minimised(case: Case, *, part: float | None) -> Case:
    """The case without what it does not need."""
    kind = (wrong_with(case, part=part) or "").partition(":")[0]

    def still(one: Case) -> bool:
        return (wrong_with(one, part=part) or "").partition(":")[0] == kind

    changed = True
    while changed:
        changed = False
        for smaller in _smaller(case):
            if still(smaller):
                case, changed = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    for at, post in enumerate(case):
        yield (*case[:at], *case[at + 1 :])
        for index in range(len(post.damages)):
            damages = (*post.damages[:index], *post.damages[index + 1 :])
            yield (*case[:at], replace(post, damages=damages), *case[at + 1 :])
        plain = {"piece": 4096, "after": 0.0, "client": 0, "ends": True, "start": 0, "first": 0, "begins": True}
        for name, value in plain.items():
            if getattr(post, name) != value:
                yield (*case[:at], replace(post, **{name: value}), *case[at + 1 :])
