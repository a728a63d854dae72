"""Large bodies in shared memory: who may map them, what happens when there is no room, and what is left behind."""

import asyncio
import gc
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.store.entry import Entry
from edge.stores import Place
from edge.workers import shared_bodies
from edge.workers.asides import SMALL_BYTES
from edge.workers.replica import MAPPED_FILES, mapped
from edge.workers.shared_bodies import LOCK, PREFIX, BodyFolder, SharedMemoryStore, most_mapped

LARGE = bytes(range(256)) * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[BodyFolder]:
    made = BodyFolder(tmp_path)
    yield made
    made.close()


def entry(number: int, body: bytes) -> Entry:
    life = Lifetime(0.0, 9.0, 9.0, 9.0, 9.0, 9.0, "max-age")
    return Entry(number, f"/{number}", 200, Headers(), life, size_bytes=len(body), length=len(body), complete=True)


def keep(store: SharedMemoryStore, one: Entry, body: bytes) -> None:
    coming = store.begin(one)
    coming.write(body)
    coming.finish()
    store.keep(one)


SIZES = [(0, False), (SMALL_BYTES, False), (SMALL_BYTES + 1, True), (len(LARGE), True)]


@pytest.mark.parametrize(("size", "shared"), SIZES)
def test_large_bodies_lie_in_a_file_and_nowhere_else(folder: BodyFolder, size: int, shared: bool) -> None:
    async def run() -> None:
        store, body = SharedMemoryStore(folder, ""), LARGE[:size]
        one = entry(7, body)
        keep(store, one, body)
        whole, place = store.whole(one), store.place(one)
        assert whole is not None
        assert bytes(whole) == body
        assert isinstance(whole, bytes) is not shared
        assert (place is not None) is shared
        assert store.memory_bytes == size
        reader = store.look(one)
        assert reader is not None
        assert bytes(reader.piece_at(0, 10)) == body[:10]
        del reader
        if place is not None:
            theirs = mapped(place)
            store.drop([7])
            assert theirs is not None
            assert bytes(theirs) == bytes(whole) == body, "who has it mapped has it still"
            assert mapped(place) is None, "and nobody else finds it"
        await store.close()
        assert [name for name in os.listdir(folder.path) if name != LOCK] == []  # noqa: PTH208

    asyncio.run(run())


def test_a_purge_of_everything_leaves_no_file(folder: BodyFolder) -> None:
    async def run() -> None:
        store = SharedMemoryStore(folder, "")
        for number in range(5):
            keep(store, entry(number, LARGE), LARGE)
        assert len(list(folder.path.iterdir())) == 6
        store.empty()
        assert [path.name for path in folder.path.iterdir()] == [LOCK]
        await store.close()

    asyncio.run(run())


def test_a_full_tmpfs_costs_the_sharing_and_says_so(
    folder: BodyFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        store = SharedMemoryStore(folder, "")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        import signal

        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            for number in (1, 2):
                one = entry(number, LARGE)
                keep(store, one, LARGE)
                assert store.whole(one) == LARGE
                assert store.place(one) is None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert folder.failing != ""
        assert [line.message for line in caplog.records if "not shared" in line.message] == [
            f"{folder.path}: large bodies are not shared by the workers: File too large"
        ], "once"
        assert [path.name for path in folder.path.iterdir()] == [LOCK], "nor is a part of one left"
        keep(store, entry(3, LARGE), LARGE)
        assert store.place(entry(3, LARGE)) is not None
        assert folder.failing == ""
        await store.close()

    asyncio.run(run())


def test_no_more_files_are_mapped_than_a_process_may_have(folder: BodyFolder) -> None:
    async def run() -> None:
        store = SharedMemoryStore(folder, "", most=2)
        for number in range(3):
            keep(store, entry(number, LARGE), LARGE)
        assert [store.place(entry(number, LARGE)) is not None for number in range(3)] == [True, True, False]
        store.drop([0])
        keep(store, entry(4, LARGE), LARGE)
        assert store.place(entry(4, LARGE)) is not None
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("hard", "most"), [(1024, 256), (65_536, MAPPED_FILES), (resource.RLIM_INFINITY, MAPPED_FILES)]
)
def test_a_quarter_of_the_descriptors_is_for_bodies(hard: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_bodies.resource, "getrlimit", lambda _: (256, hard))
    assert most_mapped() == most


def test_a_mapping_ends_with_its_last_reader(folder: BodyFolder) -> None:
    place = folder.put("a", LARGE)
    assert place is not None
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(50):
        whole = mapped(place)
        assert whole is not None
        piece = whole[5:9]
        del whole
        assert bytes(piece) == LARGE[5:9]
    del piece
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_file_that_is_not_what_it_should_be_is_not_taken(folder: BodyFolder) -> None:
    place = folder.put("a", LARGE)
    assert place is not None
    assert mapped(Place(place.path, len(LARGE) - 1, b"")) is None
    assert mapped(Place(place.path, len(LARGE), b"0" * 32)) is None
    assert mapped(Place(f"{place.path}x", len(LARGE), b"")) is None
    (folder.path / "empty").write_bytes(b"")
    assert mapped(Place(str(folder.path / "empty"), 0, b"")) is None


def test_what_a_killed_node_left_goes_when_another_starts_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        from edge.workers.shared_bodies import BodyFolder
        folder = BodyFolder(Path({str(tmp_path)!r}))
        folder.put("a", b"x" * 100_000)
        print(folder.path, flush=True)
        sys.stdin.read()
    """)
    node = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    left = Path(node.stdout.readline().strip())
    (tmp_path / f"{PREFIX}being-made").mkdir()
    BodyFolder(tmp_path).close()
    assert (left / "a").exists(), "its node lives"
    node.kill()
    node.wait()
    node.stdout.close()
    assert node.stdin is not None
    node.stdin.close()
    BodyFolder(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}being-made"]
