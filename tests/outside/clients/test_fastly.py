"""`fastly service purge` as people type it. `make clients` installs the CLI, from npm."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.kit.control import Lab, lab

CLI = Path(__file__).parent / "node_modules" / ".bin" / "fastly"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLI.exists(), reason="no Fastly CLI; `make clients` installs it"),
]


async def purge(one: Lab, home: Path, *arguments: str, token: str = "cdnlab") -> "subprocess.CompletedProcess[str]":
    environ = os.environ | {
        "FASTLY_API_TOKEN": token,
        "FASTLY_API_ENDPOINT": one.control,
        "FASTLY_ACCOUNT_ENDPOINT": one.control,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
    }
    command = [str(CLI), "service", "purge", "--service-id", "cdnlab", "--non-interactive", *arguments]
    return await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, text=True, check=False)


CALLS = [  # arguments, how often a (live) and b (vod) are fetched then
    (["--key", "live"], [2, 1]),
    (["--key", "live", "--soft"], [2, 1]),
    (["--file", "KEYS"], [2, 2]),
    (["--all"], [2, 2]),
    (["--url", "http://www.example.com/b"], [1, 2]),
]


@pytest.mark.parametrize(("arguments", "then"), CALLS, ids=[" ".join(row[0]) for row in CALLS])
def test_what_is_purged_is_fetched_again(arguments: list[str], then: list[int], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("live\nvod\n")

    async def test(one: Lab) -> None:
        for name, key in (("a", "live"), ("b", "vod")):
            one.origin.says(f"/{name}", b"v1", cache_control="max-age=600", surrogate_key=key)
            assert await one.fetched(f"/{name}") == 1
        typed = [str(tmp_path / "keys") if part == "KEYS" else part for part in arguments]
        done = await purge(one, tmp_path, *typed)
        assert done.returncode == 0, done.stderr
        assert ("KEY " if "--file" in arguments else "SUCCESS") in done.stdout
        assert [await one.fetched("/a"), await one.fetched("/b")] == then

    lab(test)


def test_a_wrong_token(tmp_path: Path) -> None:
    async def test(one: Lab) -> None:
        done = await purge(one, tmp_path, "--all", token="wrong")
        assert done.returncode != 0
        assert "401" in done.stderr

    lab(test)
