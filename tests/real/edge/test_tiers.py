"""Three tiers over real sockets: what `Age` and `Cache-Status` say, what the order of a purge does, and whole scripts.

The scripts are those of `tests/random/tiers`, which `tests/random/properties/test_three_tiers.py` runs in virtual time by the thousand.
"""

import asyncio
from pathlib import Path
from random import Random

import pytest

from edge.purges.log import open_log
from edge.purges.progress import carried
from tests.kit.late import Late, judged
from tests.kit.loops import uvloop_alone  # noqa: F401
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from tests.random.tiers.script import Ask, Change, Leave, Link, Purge, Restart, Say, Says, Step, Wait, some_script
from tests.random.tiers.virtual import Lab
from tests.random.tiers.wire import wire_lab


def test_age_adds_up_and_every_tier_has_its_word() -> None:
    async def run() -> None:
        async with wire_lab() as lab:
            await lab.take(Say("/a", Says("max-age=100", delay=0.0)))
            await lab.take(Ask("fra"))
            await lab.answered()
            await lab.take(Wait(30))
            await lab.take(Ask("nyc"))  # from the shield's copy
            await lab.answered()
            await lab.take(Wait(40))
            await lab.take(Ask("nyc"))
            await lab.answered()
            await lab.take(Wait(40))
            await lab.take(Ask("nyc"))  # nyc has had it for 80 s, and it is 110 s old
            await lab.answered()
            await lab.finish()
            lab.judge()
            told = [seen.fields.get("cache-status", "") for seen in lab.viewers]
            assert told[0] == ", ".join(
                f"{name}; fwd=uri-miss; ttl=100; stored" for name in ("parent", "shield", "fra")
            )
            assert [int(seen.fields.get("age", 0)) // 5 for seen in lab.viewers] == [0, 6, 14, 0]
            assert told[1].startswith("parent; fwd=uri-miss; ttl=100; stored, shield; hit; ttl=")
            assert told[2].endswith(f"nyc; hit; ttl={100 - int(lab.viewers[2].fields['age'])}")
            assert told[3].split(", ")[2].startswith("nyc; fwd=stale; fwd-status=304")
            assert lab.contents.served == 2

    asyncio.run(run())


ALL = ((),)
SAFE = [  # orders, delays by which purges reach the shield and the edge, whether the edge has the new version afterwards
    (ALL, 0.0, 0.0, True),
    (ALL, 1.0, 0.0, True),  # the edge goes once the shield has done it
    (ALL, 0.0, 1.0, True),
    ((("fra",), ("shield",)), 1.0, 0.0, False),  # one by one, in the wrong order
    ((("shield",), ("fra",)), 0.0, 1.0, True),
]


@pytest.mark.parametrize(("orders", "shield_delay", "edge_delay", "new"), SAFE)
def test_a_purge_that_reaches_an_edge_before_its_shield_brings_the_old_copy_back(
    orders: tuple[tuple[str, ...], ...], shield_delay: float, edge_delay: float, new: bool, tmp_path: Path
) -> None:
    async def run(delay: float) -> None:
        where = str(tmp_path / f"{delay}.sqlite3")
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", purge_delay=shield_delay * delay, purge_log=where) as shield,
            running_node(shield.url, name="fra", purge_delay=edge_delay * delay, purge_log=where) as edge,
        ):
            origin.says("/a", b"old", cache_control="max-age=600", surrogate_key="a")
            assert (await edge.get("/a")).body == b"old"
            origin.says("/a", b"new", cache_control="max-age=600", surrogate_key="a")
            log = open_log(where)

            async def purge() -> list[str]:
                gone: list[str] = []
                for only in orders:
                    told = [standing async for standing in carried(log, [{"surrogate_key": "a"}], only=only)]
                    gone += told[-1]
                return gone

            purging = asyncio.create_task(purge())
            while not purging.done():  # a viewer who asks all the while
                await edge.get("/a")
                await asyncio.sleep(0.02)
            assert sorted(purging.result()) == ["fra", "shield"]
            await log.close()
            if (await edge.get("/a")).body != (b"new" if new else b"old"):
                raise Late("the purges did not come in that order, or nobody asked between them")

    judged(lambda delay: asyncio.run(run(delay)), 0.4)


SCRIPTS: dict[str, list[Step]] = {
    "a fill outlives its leader and its origin's death": [
        Say("/a", Says(delay=1.0)), Ask("fra"), Ask("fra"), Ask("nyc"), Leave(0), Wait(0.5), Say("/a", Says(dies="body")),
        Wait(2.0), Ask("nyc"), Wait(11.0), Ask("fra"), Ask("nyc"), Wait(2.0), Say("/a", Says()), Ask("fra"), Wait(1.0),
    ],
    "a wire breaks under a fill, and stale copies stand in": [
        Say("/a", Says("max-age=3, stale-if-error=20")), Ask("fra"), Ask("nyc"), Wait(5.0), Say("/a", Says(delay=1.0)),
        Ask("fra"), Ask("fra"), Wait(0.3), Link("shield", up=False), Wait(0.5), Ask("nyc"), Wait(1.0),
        Link("shield", up=True), Change("/a"), Wait(30.0), Ask("fra"), Ask("nyc"), Wait(3.0),
    ],
    "the shield dies and comes back empty, with another clock": [
        Ask("fra"), Wait(1.0), Restart("shield", ahead=20.0), Ask("nyc"), Wait(1.0), Ask("nyc"), Wait(8.0), Ask("fra"),
        Restart("parent", ahead=-20.0), Wait(11.0), Ask("fra"), Ask("nyc"), Wait(1.0),
    ],
    "purges, hard and soft, while things are under way": [
        Say("/a", Says("max-age=10", delay=1.0)), Ask("fra"), Ask("nyc"), Wait(0.5), Change("/a"), Purge(value="/a"),
        Ask("fra"), Wait(3.0), Change("/a"), Purge(value="/a", soft=True), Wait(0.5), Ask("nyc"), Ask("fra"), Wait(3.0),
        Ask("nyc"), Wait(1.0),
    ],
    "variants, parts and copies of the viewers' own": [
        Say("/a", Says(varies=True)), Ask("fra", language="de"), Ask("fra", language="fr"), Ask("fra", range=(0, 99)),
        Ask("nyc", known=1), Ask("nyc", method="HEAD", language="de"), Wait(1.0), Ask("nyc", language="de", known=1),
        Ask("fra", language="fr", range=(100, 199)), Change("/a"), Wait(12.0), Ask("fra", language="de", known=1), Wait(1.0),
    ],
}  # fmt: skip
RANDOM = [pytest.param(seed, id=f"seed {seed}") for seed in range(4)]
RANDOM += [pytest.param(seed, id=f"seed {seed}", marks=pytest.mark.slow) for seed in range(4, 40)]


def lived(script: list[Step]) -> None:
    """The script in virtual time, then over sockets: the judge is content with both."""
    virtual = Lab(purge_delays={"shield": 0.3, "fra": 0.3})
    for step in script:
        virtual.take(step)
    virtual.finish()

    async def run() -> None:
        async with wire_lab({"shield": 0.3, "fra": 0.3}) as lab:
            for step in script:
                await lab.take(step)
            await lab.finish()
            lab.judge()
            assert len(lab.viewers) == len(virtual.viewers)

    asyncio.run(run())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_over_sockets_as_in_virtual_time(name: str) -> None:
    lived(SCRIPTS[name])


@pytest.mark.long
@pytest.mark.parametrize("seed", RANDOM)
def test_random_scripts_over_sockets(seed: int) -> None:
    lived(some_script(Random(seed), 25))
