"""A thousand real connections at one instant on one new object: through one node, and through an edge and a shield.

Of each case: how often the origin was asked, that every viewer was answered, with the bytes that are his, and that
nobody waited for more than three of the origin's delays. The delay is measured on this machine: four times what such a
burst takes when the origin answers at once, so that the law's waiting can be told from the machine's; and a bound that
was missed is judged again with a longer one (`tests/kit/late.py`). All else is strict at once, unless the machine did
nothing at all for half a delay.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior
from tests.kit.burst import Got, burst, connect, wire
from tests.kit.late import Late, judged
from tests.kit.loops import uvloop_alone  # noqa: F401
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, response, running_origin

pytestmark = pytest.mark.long

LEAST_DELAY = 0.3
MOST_DELAYS = 3.0
TIERS = [("fra",), ("shield", "fra")]
SIZES = [pytest.param(60, id="60"), pytest.param(1000, id="1000", marks=pytest.mark.slow)]
BODY = bytes(range(256)) * 100
LANGUAGES = ("de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "zh")


@dataclass
class Lab:
    """An origin, the nodes before it from the origin outwards, and a number of viewers."""

    origin: Origin
    nodes: list[Running]
    viewers: int
    delay: float
    """Seconds the origin takes to answer."""
    skipped: float = 0.0
    """Seconds by which the nodes' clocks are ahead of the wall."""
    served: int = 0
    """Bodies the origin has made, where each is another."""
    late: list[str] = field(default_factory=list)
    """The bounds on waiting that were missed."""

    @property
    def edge(self) -> Running:
        return self.nodes[-1]

    def clock(self) -> float:
        return time.time() + self.skipped

    def later(
        self, path: str, answer: Callable[[Asked], bytes], *, end: Callable[[Asked], bytes] | None = None
    ) -> None:
        """The origin answers `path` after its delay; what `end` gives follows after another."""

        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(self.delay)
            writer.write(answer(asked))
            if end is not None:
                await writer.drain()
                await asyncio.sleep(self.delay)
                writer.write(end(asked))

        self.origin.does(path, script)

    async def asked(self, path: str) -> None:
        """Until the origin has been asked for `path`."""
        while not self.origin.count[path]:  # noqa: ASYNC110  # the origin keeps a list, not an event
            await asyncio.sleep(0.001)

    async def all_ask(self, path: str, method: str = "GET", **fields: str) -> list[Got]:
        return await self.burst([wire(path, method, **fields)] * self.viewers)

    async def burst(self, requests: list[bytes]) -> list[Got]:
        """All at once; every one of them is answered, and should be in time."""
        all_got = await burst(self.edge.url, requests, within=MOST_DELAYS * self.delay + 30)
        longest = max(got.waited for got in all_got)
        self.in_time(
            longest <= MOST_DELAYS * self.delay, f"the longest waited {longest / self.delay:.1f} origin delays"
        )
        return all_got

    def in_time(self, kept: bool, otherwise: str) -> None:
        """A bound in the origin's delays; of one that was not kept the test tells when it has asserted all else."""
        if not kept:
            self.late.append(otherwise)

    def fetches(self, path: str) -> dict[str, int]:
        """How often each node asked its parent for `path`; once it has stopped."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            assert node.records_path is not None
            lines = [json.loads(line) for line in node.records_path.read_text().splitlines()]
            counts[node.records_path.stem] = sum(line["kind"] == "fetch" and line["url"] == path for line in lines)
        return counts


@contextlib.asynccontextmanager
async def lab_of(tiers: tuple[str, ...], viewers: int, delay: float, folder: Path) -> AsyncIterator[Lab]:
    async with contextlib.AsyncExitStack() as stack:
        origin = await stack.enter_async_context(running_origin())
        lab = Lab(origin, [], viewers, delay)
        for name in tiers:
            parent = lab.nodes[-1].url if lab.nodes else origin.url
            node = running_node(
                parent, Behavior(path="*"), name=name, records=folder / f"{name}.jsonl",
                clock=lab.clock, profile=RFC9111, timeouts={"connect": 30, "first_byte": 60, "between_bytes": 60},
            )  # fmt: skip
            lab.nodes.append(await stack.enter_async_context(node))
        yield lab


class Away:
    """How long the loop did not turn: who comes a delay after the others comes too late to wait with them."""

    longest = 0.0

    async def watch(self) -> None:
        time_of = asyncio.get_running_loop().time
        before = time_of()
        while True:
            await asyncio.sleep(0.01)
            before, last = time_of(), before
            self.longest = max(self.longest, before - last)


_COSTS: dict[tuple[tuple[str, ...], int, str], float] = {}


async def cost_of(tiers: tuple[str, ...], viewers: int, control: str, folder: Path) -> float:
    """Seconds that a burst on an answer with this Cache-Control takes this machine by itself."""
    if (tiers, viewers, control) not in _COSTS:
        async with lab_of(tiers, viewers, 0.0, folder) as lab:
            lab.later("/", lambda asked: response(BODY, cache_control=control))
            got = await burst(lab.edge.url, [wire("/")] * viewers)
            _COSTS[tiers, viewers, control] = max(one.took for one in got)
    return _COSTS[tiers, viewers, control]


# ---- the cases ---------------------------------------------------------------------------------------------------------


async def cacheable(lab: Lab) -> Callable[[], None]:
    """One fetch a tier; the bytes reach all as they come, and not when they have all come."""
    half = len(BODY) // 2
    whole = response(BODY, cache_control="max-age=60")
    head = whole[: len(whole) - half]
    lab.later("/new", lambda asked: head, end=lambda asked: BODY[half:])
    got = await lab.all_ask("/new")
    assert all(one.status == 200 and one.whole and one.body == BODY for one in got)
    early = min(one.took - one.waited for one in got)
    lab.in_time(early > 0.5 * lab.delay, "heads were held back until the body was whole")
    return lambda: asked_once(lab, "/new")


async def uncacheable(lab: Lab, control: str = "no-store") -> Callable[[], None]:
    """All are let go at once and together: the leader's answer is his alone, everyone else asks for himself."""

    def own(asked: Asked) -> bytes:
        lab.served += 1
        return response(b"for you alone: %d" % lab.served, cache_control=control)

    lab.later("/own", own)
    got = await lab.all_ask("/own")
    assert all(one.status == 200 and one.whole for one in got)
    assert len({one.body for one in got}) == lab.viewers, "two viewers were given one viewer's answer"
    assert lab.origin.count["/own"] == lab.viewers
    return lambda: None


async def private(lab: Lab) -> Callable[[], None]:
    return await uncacheable(lab, "private, max-age=60")


async def dies_half_way(lab: Lab) -> Callable[[], None]:
    """All see what came and that it is not the whole; it was asked for once, and the next viewer gets it anew."""
    half = len(BODY) // 2
    whole = response(BODY, cache_control="max-age=60")

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(lab.delay)
        writer.write(whole[: len(whole) - half])
        await writer.drain()
        await asyncio.sleep(lab.delay)
        writer.transport.abort()

    lab.origin.does("/dying", script)
    got = await lab.all_ask("/dying")
    assert all(one.status == 200 and not one.whole for one in got)
    assert all(one.body == BODY[:half] for one in got)
    assert lab.origin.count["/dying"] == 1
    lab.origin.says("/dying", BODY, cache_control="max-age=60")
    assert (await lab.edge.get("/dying")).body == BODY
    return lambda: None


async def dies_before_its_head(lab: Lab) -> Callable[[], None]:
    """One clear error for all, and no second question."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(lab.delay)
        writer.transport.abort()

    lab.origin.does("/dead", script)
    got = await lab.all_ask("/dead")
    assert all(one.status == 502 and one.whole for one in got)
    return lambda: asked_once(lab, "/dead")


async def leader_leaves(lab: Lab) -> Callable[[], None]:
    """The fill belongs to the node: who asked first may go, while it is asked for or while it comes."""
    half = len(BODY) // 2
    whole = response(BODY, cache_control="max-age=60")
    lab.later("/left", lambda asked: whole[: len(whole) - half], end=lambda asked: BODY[half:])
    early, late = await connect(lab.edge.url, 2)
    early.ask(wire("/left"))
    await lab.asked("/left")
    late.ask(wire("/left"))
    asyncio.get_running_loop().call_later(0.5 * lab.delay, early.leave)
    asyncio.get_running_loop().call_later(1.5 * lab.delay, late.leave)
    got = await lab.all_ask("/left")
    assert all(one.status == 200 and one.whole and one.body == BODY for one in got)
    assert not (await early.done).whole
    lab.in_time(not (await late.done).whole, "who left half-way had it all")
    return lambda: asked_once(lab, "/left")


async def variants(lab: Lab) -> Callable[[], None]:
    """One fetch a variant. The first answer tells what it varies on; from then on they are asked for side by side."""

    def in_language(asked: Asked) -> bytes:
        language = asked.headers.first("accept-language") or ""
        return response(language.encode() * 50, cache_control="max-age=60", vary="accept-language")

    lab.later("/said", in_language)
    asks = [LANGUAGES[i % len(LANGUAGES)] for i in range(lab.viewers)]
    got = await lab.burst([wire("/said", accept_language=language) for language in asks])
    assert [one.body for one in got] == [language.encode() * 50 for language in asks]
    assert lab.origin.count["/said"] == len(LANGUAGES)
    return lambda: None


async def variants_of_an_error(lab: Lab) -> Callable[[], None]:
    """An error that varies is shared with those it is meant for, and the rest do not queue behind one another."""

    def in_language(asked: Asked) -> bytes:
        return response((asked.headers.first("accept-language") or "").encode(), 503, vary="accept-language")

    lab.later("/sorry", in_language)
    asks = [LANGUAGES[i % len(LANGUAGES)] for i in range(lab.viewers)]
    got = await lab.burst([wire("/sorry", accept_language=language) for language in asks])
    assert [(one.status, one.body) for one in got] == [(503, language.encode()) for language in asks]
    assert lab.origin.count["/sorry"] == len(LANGUAGES)
    return lambda: None


async def head_and_get(lab: Lab) -> Callable[[], None]:
    """A HEAD that comes while a GET is under way is answered from what that brings."""
    lab.later("/both", lambda asked: response(BODY, 200, asked.method, cache_control="max-age=60"))
    first = asyncio.create_task(lab.edge.get("/both"))
    await lab.asked("/both")
    got = await lab.burst([wire("/both", "HEAD" if i % 2 else "GET") for i in range(lab.viewers)])
    assert (await first).body == BODY
    assert all(one.status == 200 and one.whole for one in got)
    assert all(one.fields["content-length"] == str(len(BODY)) for one in got)
    assert all(one.body == (b"" if i % 2 else BODY) for i, one in enumerate(got))
    return lambda: asked_once(lab, "/both")


async def ranges(lab: Lab) -> Callable[[], None]:
    """Each range is asked for once, beside the whole: a part can be had sooner than all of it."""

    def part(asked: Asked) -> bytes:
        wanted = asked.headers.first("range")
        if wanted is None:
            return response(BODY, cache_control="max-age=60", etag='"1"')
        first, last = (int(end) for end in wanted.removeprefix("bytes=").split("-"))
        said = {"content_range": f"bytes {first}-{last}/{len(BODY)}", "etag": '"1"', "cache_control": "max-age=60"}
        return response(BODY[first : last + 1], 206, **said)

    lab.later("/long", part)
    spans = [None, (0, 999), (1000, 1999), (20_000, 25_599)]
    asks = [spans[i % len(spans)] for i in range(lab.viewers)]
    requests = [wire("/long") if ask is None else wire("/long", range=f"bytes={ask[0]}-{ask[1]}") for ask in asks]
    got = await lab.burst(requests)
    for ask, one in zip(asks, got, strict=True):
        wanted = (200, BODY) if ask is None else (206, BODY[ask[0] : ask[1] + 1])
        assert (one.status, one.body) == wanted and one.whole
    assert lab.origin.count["/long"] == len(spans)
    return lambda: None


async def beyond_the_end(lab: Lab) -> Callable[[], None]:
    """A range that is not there is each asker's own 416; it does not keep those who come for the object apart."""
    lab.later("/short", lambda asked: response(b"", 416, content_range=f"bytes */{len(BODY)}"))
    got = await lab.all_ask("/short", range="bytes=900000-")
    assert all(one.status == 416 and one.whole for one in got)
    before = lab.origin.count["/short"]
    lab.later("/short", lambda asked: response(BODY, cache_control="max-age=60"))
    got = await lab.all_ask("/short")
    assert all(one.status == 200 and one.body == BODY for one in got)
    assert lab.origin.count["/short"] == before + 1
    return lambda: None


async def not_found(lab: Lab) -> Callable[[], None]:
    """What is not there is asked for once, too."""
    lab.later("/none", lambda asked: response(b"none", 404, cache_control="max-age=60"))
    got = await lab.all_ask("/none")
    assert all(one.status == 404 and one.whole and one.body == b"none" for one in got)
    return lambda: asked_once(lab, "/none")


async def failing(lab: Lab) -> Callable[[], None]:
    """A 503 is one clear error for all who waited: an origin in trouble is not asked once more for each of them."""
    lab.later("/busy", lambda asked: response(b"busy", 503))
    got = await lab.all_ask("/busy")
    assert all(one.status == 503 and one.whole and one.body == b"busy" for one in got)
    return lambda: asked_once(lab, "/busy")


async def failing_for_one(lab: Lab) -> Callable[[], None]:
    """So is one that may be used for nobody else; but the others are told in the node's own words."""
    lab.later("/busy", lambda asked: response(b"busy, and who are you?", 503, cache_control="no-store"))
    got = await lab.all_ask("/busy")
    assert all(one.status == 503 and one.whole for one in got)
    assert sum(one.body == b"busy, and who are you?" for one in got) == 1
    return lambda: asked_once(lab, "/busy")


async def failing_with_a_stale_copy(lab: Lab) -> Callable[[], None]:
    """All get the stale copy. An edge whose shield vouches for a stale answer asks it for the others, too: no queue."""
    lab.origin.says("/old", BODY, cache_control="max-age=60, stale-if-error=600", etag='"1"')
    assert (await lab.edge.get("/old")).body == BODY
    lab.skipped += 100
    lab.later("/old", lambda asked: response(b"busy", 503))
    got = await lab.all_ask("/old")
    assert all(one.status == 200 and one.whole and one.body == BODY for one in got)
    assert all(int(one.fields["age"]) >= 100 for one in got)
    assert lab.origin.count["/old"] - 1 <= len(lab.nodes)
    return lambda: None


async def always_validated(lab: Lab) -> Callable[[], None]:
    """What must be validated for every viewer is validated for all at once, also long after it was first seen."""
    lab.origin.says("/careful", BODY, cache_control="no-cache", etag='"1"')
    assert (await lab.edge.get("/careful")).body == BODY
    lab.skipped += 1000
    lab.later("/careful", lambda asked: response(b"", 304, cache_control="no-cache", etag='"1"'))
    got = await lab.all_ask("/careful")
    assert all(one.status == 200 and one.whole and one.body == BODY for one in got)
    assert lab.origin.count["/careful"] == 1 + lab.viewers, "everybody's own question"
    return lambda: None


async def conditional(lab: Lab) -> Callable[[], None]:
    """Viewers come back to an empty node with copies of their own. The first one's condition is passed on, and its 304
    is his; for the others the object itself is asked for, once."""

    def said(asked: Asked) -> bytes:
        same = asked.headers.first("if-none-match") == '"1"'
        return response(BODY, 304 if same else 200, cache_control="max-age=60", etag='"1"')

    lab.later("/known", said)
    got = await lab.all_ask("/known", if_none_match='"1"')
    assert all(one.status == 304 and one.whole for one in got)
    assert lab.origin.count["/known"] <= 2
    return lambda: None


async def blocking_playlists(lab: Lab) -> Callable[[], None]:
    """LL-HLS: who waits for the same moment waits together, and nobody is given another moment (RFC 8216bis §6.2.5.2)."""

    def blocked(asked: Asked) -> bytes:
        return response(f"#EXTM3U {asked.target}".encode(), cache_control="max-age=60")

    lab.later("/live/media.m3u8", blocked)
    moments = [f"/live/media.m3u8?_HLS_msn={7 + i // 3}&_HLS_part={i % 3}" for i in range(9)]
    asks = [moments[i % len(moments)] for i in range(lab.viewers)]
    got = await lab.burst([wire(target) for target in asks])
    assert [one.body for one in got] == [f"#EXTM3U {target}".encode() for target in asks]
    assert lab.origin.count == Counter(moments)
    return lambda: None


def asked_once(lab: Lab, path: str) -> None:
    assert lab.fetches(path) == {node.records_path.stem: 1 for node in lab.nodes if node.records_path is not None}


EACH_ALONE = (uncacheable, private, beyond_the_end, failing_with_a_stale_copy, always_validated)
"""Cases in which a node asks its parent once for every viewer."""

CASES: list[Callable[[Lab], Awaitable[Callable[[], None]]]] = [
    cacheable, uncacheable, private, dies_half_way, dies_before_its_head, leader_leaves, variants, variants_of_an_error,
    head_and_get, ranges, beyond_the_end, not_found, failing, failing_for_one, failing_with_a_stale_copy, always_validated, conditional,
    blocking_playlists,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("tiers", TIERS, ids="-".join)
@pytest.mark.parametrize("viewers", SIZES)
def test_burst(
    case: Callable[[Lab], Awaitable[Callable[[], None]]], tiers: tuple[str, ...], viewers: int, tmp_path: Path
) -> None:
    (tmp_path / "cost").mkdir()
    control = "no-store" if case in EACH_ALONE else "max-age=60"

    async def run(delay: float) -> None:
        folder = tmp_path / f"{delay:.1f}s"
        folder.mkdir()
        away = Away()
        watching = asyncio.create_task(away.watch())
        try:
            async with lab_of(tiers, viewers, delay, folder) as lab:
                judge = await case(lab)
            judge()  # by the nodes' records, which are whole once they have stopped
        except AssertionError as error:
            if away.longest < 0.5 * delay:
                raise
            raise Late(
                f"nothing ran for {away.longest:.1f} s of a delay of {delay:.1f} s, and then: {error}"
            ) from error
        finally:
            watching.cancel()
        if lab.late:
            raise Late(f"{'; '.join(lab.late)} of {delay:.1f} s")

    cost = asyncio.run(cost_of(tiers, viewers, control, tmp_path / "cost"))
    judged(lambda delay: asyncio.run(run(delay)), max(LEAST_DELAY, 4 * cost))
