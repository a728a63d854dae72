"""An origin that stores at a real S3 server, which is stopped, slow, full, or refuses."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from origin.errors import StorageFailed
from origin.storage.s3 import S3Store
from tests.kit.live_origin import Feeder, Running, pieces, until
from tests.kit.s3_server import BUCKET, BUSY, CREDENTIALS, DENIED, FULL, S3Server, s3_server
from tests.real.origin.playlists import read_playlist

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # connections that the door closed
]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as one:
        yield one


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> Iterator[None]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    yield
    server.shut, server.wait_s, server.says = False, 0.0, None


def store(server: S3Server, prefix: str) -> S3Store:
    return S3Store(f"s3://{BUCKET}/{prefix}", server.settings)


def in_store(server: S3Server, prefix: str, test: Callable[[S3Store], object]) -> None:
    async def run() -> None:
        one = store(server, prefix)
        await one.prepare()
        await test(one)  # type: ignore[misc]
        await one.release()

    asyncio.run(run())


def test_files_are_objects_below_the_prefix(server: S3Server) -> None:
    async def test(one: S3Store) -> None:
        await one.write("live/v/seg-1-0.m4s", b"0123456789")
        await one.write("live/v/state.json", b"{}")
        await one.write("live2/v/state.json", b"{}")
        assert await one.list("live/") == {"live/v/seg-1-0.m4s": 10, "live/v/state.json": 2}
        assert await one.read("live/v/seg-1-0.m4s") == b"0123456789"
        assert await one.read("live/v/seg-1-0.m4s", 2, 5) == b"234"
        assert await one.read("live/v/seg-1-0.m4s", 8) == b"89"
        assert await one.read("live/v/seg-1-0.m4s", 10, 12) == b""
        assert await one.read("live/v/none") is None
        await one.copy({"live/v/seg-1-0.m4s": "clip/v/seg-1-0.m4s"})
        await one.delete(["live/v/seg-1-0.m4s", "live/v/none"])
        assert await one.read("clip/v/seg-1-0.m4s") == b"0123456789"
        assert await one.list("live/") == {"live/v/state.json": 2}

    in_store(server, "one/two", test)
    assert set(server.objects("one/two/")) == {
        "one/two/live/v/state.json", "one/two/live2/v/state.json", "one/two/clip/v/seg-1-0.m4s",
    }  # fmt: skip


def test_servers_of_others_are_asked_nothing_that_only_amazon_knows(server: S3Server) -> None:
    """Backblaze, OVH and others refuse the checksums of newer clients, and want the digest of a request to delete."""
    before = len(server.fields)

    async def test(one: S3Store) -> None:
        await one.write("live/v/seg-1-0.m4s", b"0123456789")
        await one.delete(["live/v/seg-1-0.m4s"])

    in_store(server, "plain", test)
    asked = list(zip(server.requests[before:], server.fields[before:], strict=True))
    puts = [fields for line, fields in asked if line.startswith("PUT")]
    assert puts and not any(name.startswith(("x-amz-sdk-checksum", "x-amz-checksum")) for one in puts for name in one)
    assert all("chunked" not in one.get("content-encoding", "") for one in puts)
    deletes = [fields for line, fields in asked if line.startswith("POST")]
    assert deletes and all("content-md5" in one for one in deletes)


def test_thousands_are_deleted_in_batches(server: S3Server) -> None:
    async def test(one: S3Store) -> None:
        await asyncio.gather(*(one.write(f"live/v/{n}", b"") for n in range(1100)))
        assert len(await one.list("")) == 1100, "more than a page"
        before = len(server.requests)
        await one.delete([f"live/v/{n}" for n in range(1100)])
        assert len(server.requests) - before == 2
        assert await one.list("") == {}

    in_store(server, "many", test)


@pytest.mark.parametrize(
    ("url", "says", "told"),
    [
        ("s3://no-such-bucket", None, r"s3://no-such-bucket/: 404.*wanted a bucket that exists"),
        (f"s3://{BUCKET}/x", DENIED, rf"s3://{BUCKET}/x/writable: 403 AccessDenied: Access Denied, wanted credentials"),
        (f"s3://{BUCKET}", FULL, rf"s3://{BUCKET}/writable: 507 XMinioStorageFull"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_at_the_start(
    server: S3Server, url: str, says: tuple[int, str, str] | None, told: str
) -> None:
    async def run() -> None:
        server.says = says
        one = S3Store(url, server.settings)
        with pytest.raises(StorageFailed, match=told):
            await one.prepare()
        await one.release()

    asyncio.run(run())


def test_a_stream_is_stored_cleaned_up_and_taken_up_again(
    server: S3Server, origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    place = {"storage": f"s3://{BUCKET}/whole", "s3": server.settings, "window": 3.0, "linger": 0.0}
    origin = origins(**place)
    assert origin.post("live/180p.cmfv", encoded["180p.cmfv"]).status == 200
    listed = read_playlist(origin.get("live/180p/media.m3u8").text).segments
    bodies = {one.uri: origin.get(f"live/180p/{one.uri}").body for one in listed}
    assert len(bodies) == 3
    until(lambda: sum("/seg-" in name for name in server.objects("whole/")) == 3)
    stored = server.objects("whole/live/180p/")
    assert {uri: stored[f"whole/live/180p/{uri}"] for uri in bodies} == bodies
    origin.stop()
    again = origins(**place, memory=0)
    assert read_playlist(again.get("live/180p/media.m3u8").text).segments == listed
    for uri, body in bodies.items():
        assert again.get(f"live/180p/{uri}").body == body
        part = again.get(f"live/180p/{uri}", Range="bytes=10-19")
        assert (part.status, part.body) == (206, body[10:20])
    assert again.post("files/live.m3u8", b"#EXTM3U\n", "PUT").status == 403, "objects need a folder"


def spoilt(server: S3Server, how: str) -> None:
    match how:
        case "shut":
            server.shut = True
        case "stopped":
            server.stop()
        case "slow":
            server.wait_s = 3.0
        case "full":
            server.says = FULL
        case "denied":
            server.says = DENIED
        case "busy":
            server.says = BUSY


@pytest.mark.parametrize("how", ["shut", "stopped", "slow", "full", "denied", "busy"])
def test_while_the_server_fails_a_stream_goes_on_from_memory(
    server: S3Server, origins: Callable[..., Running], encoded: dict[str, bytes], how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.WARNING)
    origin = origins(storage=f"s3://{BUCKET}/{how}", s3=server.settings)
    video = pieces(encoded["180p.cmfv"])
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in video[:4]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").status == 200)
    spoilt(server, how)
    try:
        for piece in video[4:8]:
            feeder.send(piece)
        until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") == 3)
        for one in read_playlist(origin.get("live/180p/media.m3u8").text).segments:
            assert not one.gap and origin.get(f"live/180p/{one.uri}").status == 200
        until(lambda: origin.get("healthz").status == 503)
        told = [one for one in caplog.messages if "go on from memory" in one]
        assert len(told) == 1 and f"s3://{BUCKET}/{how}/live/180p/" in told[0]
        sender = Feeder(origin, "other/180p.cmfv")
        sender.send(encoded["180p.cmfv"])
        refused = sender.end()
        assert (refused.status, refused.headers.get("retry-after")) == (503, "1"), "nothing is acknowledged meanwhile"
    finally:
        server.go_on()
        server.shut, server.wait_s, server.says = False, 0.0, None
    for piece in video[8:]:
        feeder.send(piece)
    until(lambda: origin.get("healthz").status == 200)
    assert feeder.end().status == 200
    assert [one for one in caplog.messages if "all is stored again" in one]
    stored = server.objects(f"{how}/live/180p/")
    listed = read_playlist(origin.get("live/180p/media.m3u8").text).segments
    assert len(listed) == 5 and not any(one.gap for one in listed)
    for one in listed:
        assert stored[f"{how}/live/180p/{one.uri}"] == origin.get(f"live/180p/{one.uri}").body


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    import sys

    from cdnlab.errors import missing_extra

    for name in [name for name in sys.modules if name.startswith("aiobotocore")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        asyncio.run(store(server, "x").prepare())
    assert "pip install 'cdnlab[s3]'" in str(missing_extra(caught.value))


def test_a_path_is_a_folder_and_a_url_a_bucket(tmp_path: Path) -> None:
    from cdnkit.settings.origin import Origin

    assert Origin(storage="media").storage == Path("media")
    assert Origin(storage="s3://bucket/live").storage == "s3://bucket/live"
    assert Origin.model_validate_json('{"storage": "s3://bucket"}').storage == "s3://bucket"
