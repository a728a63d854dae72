"""What a machine may have or lack: folders that are not there yet, what an earlier life left, ports that are taken."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cdnkit.serving import PortInUse, bind, url_of
from cdnkit.serving.listener import bind_udp
from edge.log import RecordLog
from edge.purges.file_log import FileLog
from edge.stores.files import BodyFiles
from origin.storage.folder import Folder


def record_log(path: Path) -> None:
    log = RecordLog(path, 80_000)
    assert log.failing == ""
    log.close()


def purge_log(path: Path) -> None:
    asyncio.run(FileLog(path).close())


def origin_storage(path: Path) -> None:
    storage = Folder(path)
    storage.prepare()
    storage.write("live/720p/seg-1-0.m4s", b"x")
    storage.release()


MAKERS: list[Callable[[Path], object]] = [record_log, purge_log, origin_storage, BodyFiles]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_folders_that_are_missing_are_made_and_those_there_are_taken(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "not" / "there" / "yet"
    make(path)
    assert path.exists()
    make(path)  # and once more, where all is there


def test_an_origin_sweeps_up_what_was_half_written_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "live" / "720p"
    folder.mkdir(parents=True)
    for name in ("seg-1-0.m4s", "seg-1-1.m4s.part", "media.m3u8.part"):
        (folder / name).write_bytes(b"x")
    storage = Folder(tmp_path)
    storage.prepare()
    assert [one.name for one in folder.iterdir()] == ["seg-1-0.m4s"]
    assert sorted(one.name for one in tmp_path.iterdir() if not one.name.startswith(".")) == ["live"]
    storage.release()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system has no /proc")
@pytest.mark.parametrize("udp", [False, True], ids=["TCP", "UDP"])
def test_a_port_that_is_taken_is_told_with_its_setting_and_leaves_nothing_open(udp: bool) -> None:
    one = bind_udp if udp else bind
    with one("127.0.0.1:0", "first") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        before = open_files()
        with pytest.raises(PortInUse) as refused:
            one(address, "node fra: listen")
        assert open_files() == before
        assert (refused.value.where, refused.value.why) == ("node fra: listen", "Address already in use")
        assert refused.value.address == (f"{address} (UDP)" if udp else address)
    one(address, "node fra: listen").close()  # free again


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_of_either_family_is_listened_on_as_written(host: str) -> None:
    try:
        with bind(f"{host}:0", "listen") as listener:
            assert url_of(listener) == f"http://{host}:{listener.getsockname()[1]}"
            assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        with bind_udp(f"{host}:0", "listen") as bound:
            assert bound.family is (socket.AF_INET6 if host[0] == "[" else socket.AF_INET)
    except PortInUse:
        if host == "127.0.0.1":
            raise
        pytest.skip("this machine has no IPv6")
