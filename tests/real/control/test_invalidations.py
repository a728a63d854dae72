"""`create-invalidation` and its kin by boto3, unmodified, over a shield and an edge that really hold something."""

import asyncio
import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdnkit.policy.plan import Purged, PurgeOrder
from cdnkit.policy.rules.service import Behavior, Key
from cdnlab.control.cloudfront import FILE
from cdnlab.control.invalidations import MOST_PATHS, orders_of
from edge.services import Services
from tests.kit.control import Lab, lab, running_lab
from tests.kit.late import GUARD_S

_references = itertools.count()


def batch(*paths: str, reference: str | None = None) -> dict[str, Any]:
    reference = reference or f"r{next(_references)}"
    return {"Paths": {"Quantity": len(paths), "Items": list(paths)}, "CallerReference": reference}


async def create(one: Lab, *paths: str, reference: str | None = None, distribution: str = FILE) -> dict[str, Any]:
    boto = one.boto()
    return await asyncio.to_thread(
        boto.create_invalidation, DistributionId=distribution, InvalidationBatch=batch(*paths, reference=reference)
    )


async def completed(one: Lab, id: str) -> None:
    """boto3's own waiter, in less than its 20 s between two looks."""
    waiter = one.boto().get_waiter("invalidation_completed")
    config = {"Delay": 0.05, "MaxAttempts": 100}
    await asyncio.to_thread(waiter.wait, DistributionId=FILE, Id=id, WaiterConfig=config)


async def refused(call: Any, **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        await asyncio.to_thread(call, **arguments)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("asked", "invalidated"),
    [
        ("/live/a.m3u8", "/live/a.m3u8"),
        ("/live/a.m3u8", "/live/*"),
        ("/live/a.m3u8", "/*"),
        ("/live/a.m3u8?b=2", "/live/a*"),
        ("/live/a%20b&c.m3u8", "/live/a b*"),
        ("/live/a%20b&c.m3u8", "/live/a b&c.m3u8"),  # as typed
        ("/live/a%20b&c.m3u8", "/live/a%20b&c.m3u8"),
        ("/live/%C3%A4.m3u8", "/live/ä.m3u8"),
        ("/live/a.m3u8?b=2", "/live/a.m3u8?b=2"),
    ],
)  # fmt: skip
def test_what_is_invalidated_is_fetched_again_through_edge_and_shield(asked: str, invalidated: str) -> None:
    async def test(one: Lab) -> None:
        one.origin.says(asked.partition("?")[0], b"v1", cache_control="max-age=600")
        assert [await one.fetched(asked), await one.fetched(asked)] == [1, 1]
        made = await create(one, invalidated)
        assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
        assert made["Location"].endswith(f"/2020-05-31/distribution/{FILE}/invalidation/{made['Invalidation']['Id']}")
        assert made["Invalidation"]["InvalidationBatch"]["Paths"] == {"Quantity": 1, "Items": [invalidated]}
        await completed(one, made["Invalidation"]["Id"])
        assert await one.fetched(asked) == 2

    lab(test)


def test_another_path_and_a_sibling_stay() -> None:
    async def test(one: Lab) -> None:
        for path in ("/a", "/ab"):
            one.origin.says(path, b"v1", cache_control="max-age=600")
            await one.fetched(path)
        await completed(one, (await create(one, "/a"))["Invalidation"]["Id"])
        assert [await one.fetched("/a"), await one.fetched("/ab")] == [2, 1]
        await completed(one, (await create(one, "/ab*"))["Invalidation"]["Id"])
        assert [await one.fetched("/a"), await one.fetched("/ab")] == [2, 2]

    lab(test)


def test_a_cache_tag() -> None:
    """ "Invalidate files by cache tag": an item that begins with #."""

    async def test(one: Lab) -> None:
        one.origin.says("/a", b"v1", cache_control="max-age=600", surrogate_key="live segment")
        one.origin.says("/b", b"v1", cache_control="max-age=600", surrogate_key="live")
        await one.fetched("/a")
        await one.fetched("/b")
        await completed(one, (await create(one, "#segment"))["Invalidation"]["Id"])
        assert [await one.fetched("/a"), await one.fetched("/b")] == [2, 1]

    lab(test)


def test_variants_by_header_go_with_their_path() -> None:
    async def test(one: Lab) -> None:
        one.origin.says("/a", b"v1", cache_control="max-age=600")
        for origin in ("x", "y", "x", "y"):
            await one.edge.get("/a", origin=origin)
        assert one.origin.count["/a"] == 2
        await completed(one, (await create(one, "/a"))["Invalidation"]["Id"])
        for origin in ("x", "y"):
            await one.edge.get("/a", origin=origin)
        assert one.origin.count["/a"] == 4

    async def run() -> None:
        async with running_lab(Behavior(path="*", key=Key(headers=("origin",)))) as one:
            await test(one)

    asyncio.run(run())


def test_it_is_in_progress_until_every_node_has_acknowledged() -> None:
    async def test(one: Lab) -> None:
        await one.edge.stop()
        id = (await create(one, "/a"))["Invalidation"]["Id"]
        async with asyncio.timeout(GUARD_S):
            while (await one.log.followers())["shield"].done < 1:  # noqa: ASYNC110  # in another task
                await asyncio.sleep(0.01)
        boto = one.boto()
        told = await asyncio.to_thread(boto.get_invalidation, DistributionId=FILE, Id=id)
        assert told["Invalidation"]["Status"] == "InProgress"

    lab(test)


def test_it_is_in_progress_for_ever_where_a_node_could_not_read_it_and_the_log_names_that(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a node of an earlier version might; here every node trips over it."""
    purge_all = Services.purge_all

    async def faulty(self: Services, orders: list[PurgeOrder], mark: str | None = None) -> list[Purged]:
        if any(one.value == "/trips" for one in orders):
            raise RuntimeError("a fault of ours")
        return await purge_all(self, orders, mark)

    async def test(one: Lab) -> None:
        id = (await create(one, "/trips"))["Invalidation"]["Id"]
        await completed(one, (await create(one, "/behind"))["Invalidation"]["Id"])
        wanted = "shield, fra could not read an order and purged everything: the order is not completed"
        async with asyncio.timeout(GUARD_S):
            while wanted not in [record.getMessage() for record in caplog.records]:  # noqa: ASYNC110  # another task
                await asyncio.sleep(0.01)
        told = await asyncio.to_thread(one.boto().get_invalidation, DistributionId=FILE, Id=id)
        assert told["Invalidation"]["Status"] == "InProgress"

    monkeypatch.setattr(Services, "purge_all", faulty)
    lab(test)


def test_the_same_reference_is_the_same_invalidation() -> None:
    async def test(one: Lab) -> None:
        first = await create(one, "/a", "/b", reference="once")
        again = await create(one, "/a", "/b", reference="once")
        assert again["Invalidation"]["Id"] == first["Invalidation"]["Id"]
        other = await refused(
            one.boto().create_invalidation, DistributionId=FILE, InvalidationBatch=batch("/c", reference="once")
        )
        assert other == ("InvalidationBatchAlreadyExists", 400)

    lab(test)


def test_pages_newest_first() -> None:
    async def test(one: Lab) -> None:
        ids = [(await create(one, f"/{number}"))["Invalidation"]["Id"] for number in range(5)]
        paginator = one.boto().get_paginator("list_invalidations")

        def read() -> list[list[str]]:
            pages = paginator.paginate(DistributionId=FILE, PaginationConfig={"PageSize": 2})
            return [[item["Id"] for item in page["InvalidationList"]["Items"]] for page in pages]

        assert await asyncio.to_thread(read) == [ids[:2:-1], ids[2:0:-1], [ids[0]]]
        listing = one.boto().list_invalidations
        last = await asyncio.to_thread(listing, DistributionId=FILE, Marker=ids[1], MaxItems="2")
        assert last["InvalidationList"]["IsTruncated"] is False
        assert await refused(listing, DistributionId=FILE, Marker="I0") == ("InvalidArgument", 400)
        assert await refused(listing, DistributionId=FILE, MaxItems="0") == ("InvalidArgument", 400)

    lab(test)


TOO_MANY = [f"/{number}" for number in range(MOST_PATHS + 1)]

WRONG = [  # paths                              then
    (["live/a"],                                ("InvalidArgument", 400)),
    (["/a*b"],                                  ("InvalidArgument", 400)),
    (["/" + "a" * 4000],                        ("InvalidArgument", 400)),
    (["#a,b"],                                  ("InvalidArgument", 400)),
    (["#"],                                     ("InvalidArgument", 400)),
    (["#tag*"],                                 ("InvalidArgument", 400)),
    ([],                                        ("InvalidArgument", 400)),
    (TOO_MANY,                                  ("BatchTooLarge", 413)),
    ([f"/{letter}/*" for letter in "abcdefghijklmnop"], ("TooManyInvalidationsInProgress", 400)),  # 16 wildcards
]  # fmt: skip


@pytest.mark.parametrize(("paths", "then"), WRONG, ids=[str(row[0])[:20] for row in WRONG])
def test_what_is_wrong_is_refused_as_the_api_does(paths: list[str], then: tuple[str, int]) -> None:
    async def test(one: Lab) -> None:
        create = one.boto().create_invalidation
        assert await refused(create, DistributionId=FILE, InvalidationBatch=batch(*paths)) == then

    lab(test)


def test_quantities_and_names_that_are_not_there() -> None:
    async def test(one: Lab) -> None:
        boto = one.boto()
        wrong = {"Paths": {"Quantity": 2, "Items": ["/a"]}, "CallerReference": "r"}
        assert await refused(boto.create_invalidation, DistributionId=FILE, InvalidationBatch=wrong) == (
            "InconsistentQuantities", 400,
        )  # fmt: skip
        nowhere = await refused(boto.create_invalidation, DistributionId="EOTHER", InvalidationBatch=batch("/a"))
        assert nowhere == ("NoSuchDistribution", 404)
        assert await refused(boto.get_invalidation, DistributionId=FILE, Id="I0") == ("NoSuchInvalidation", 404)
        assert await refused(boto.list_cache_policies) == ("UnsupportedOperation", 400)

    lab(test)


@pytest.mark.parametrize(
    ("changed", "then"),
    [
        ({"aws_secret_access_key": "wrong"}, ("SignatureDoesNotMatch", 403)),
        ({"aws_access_key_id": "AKIDOTHER"}, ("InvalidClientTokenId", 403)),
    ],
)
def test_who_does_not_hold_the_secret_is_refused(changed: dict[str, str], then: tuple[str, int]) -> None:
    async def test(one: Lab) -> None:
        one.origin.says("/a", b"v1", cache_control="max-age=600")
        await one.fetched("/a")
        create = one.boto(**changed).create_invalidation
        assert await refused(create, DistributionId=FILE, InvalidationBatch=batch("/a")) == then
        assert await one.fetched("/a") == 1

    lab(test)


def test_what_is_typed_in_one_spelling_is_told_in_both() -> None:
    assert orders_of("/a b") == [{"url": "/a b"}, {"url": "/a%20b"}]
    assert orders_of("/a%20b") == [{"url": "/a%20b"}]
    assert orders_of("/a#b") == [{"url": "/a%23b"}]
    assert orders_of("/a?b=%20 c") == [{"url": "/a?b=%20 c"}]


def test_the_tags_of_a_batch_are_one_order() -> None:
    assert orders_of("#live", "/a", "#vod", "#live", "/b*") == [
        {"surrogate_keys": ["live", "vod"]}, {"url": "/a"}, {"prefix": "/b"},
    ]  # fmt: skip
