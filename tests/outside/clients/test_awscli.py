"""`aws cloudfront` as people type it: output and exit code. The CLI pins a botocore of its own, so it is the system's."""

import asyncio
import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from cdnlab.control.cloudfront import FILE
from tests.kit.control import Lab, lab

AWS = os.environ.get("CDNLAB_AWS") or shutil.which("aws")

pytestmark = pytest.mark.skipif(AWS is None, reason="no `aws` on PATH; `make clients` installs one beside the tests")


async def aws(one: Lab, *arguments: str, secret: str = "cdnlab") -> "subprocess.CompletedProcess[str]":
    environ = os.environ | {
        "AWS_ENDPOINT_URL_CLOUDFRONT": one.control,
        "AWS_ACCESS_KEY_ID": "cdnlab",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    command = [str(AWS), "cloudfront", *arguments, "--output", "json"]
    return await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, text=True, check=False)


async def told(one: Lab, *arguments: str) -> Any:
    done = await aws(one, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.long
def test_create_wait_get_list() -> None:
    async def test(one: Lab) -> None:
        one.origin.says("/live/a.m3u8", b"v1", cache_control="max-age=600")
        assert await one.fetched("/live/a.m3u8") == 1
        of = ("--distribution-id", FILE)
        made = await told(one, "create-invalidation", *of, "--paths", "/live/a.m3u8", "/live/b b&c")
        id = made["Invalidation"]["Id"]
        assert await told(one, "wait", "invalidation-completed", *of, "--id", id) is None
        assert await one.fetched("/live/a.m3u8") == 2
        got = await told(one, "get-invalidation", *of, "--id", id)
        assert got["Invalidation"]["Status"] == "Completed"
        assert got["Invalidation"]["InvalidationBatch"]["Paths"]["Items"] == ["/live/a.m3u8", "/live/b b&c"]
        await told(one, "create-invalidation", *of, "--paths", "/c")
        listed = await told(one, "list-invalidations", *of, "--page-size", "1")
        assert len(listed["InvalidationList"]["Items"]) == 2
        assert listed["InvalidationList"]["Items"][1]["Id"] == id

    lab(test)


@pytest.mark.long
def test_errors_have_their_code_and_exit_status() -> None:
    async def test(one: Lab) -> None:
        rows = [
            (("get-invalidation", "--distribution-id", FILE, "--id", "I0"), "NoSuchInvalidation"),
            (("create-invalidation", "--distribution-id", "E0", "--paths", "/a"), "NoSuchDistribution"),
            (("create-invalidation", "--distribution-id", FILE, "--paths", "a"), "InvalidArgument"),
        ]
        for arguments, code in rows:
            done = await aws(one, *arguments)
            assert done.returncode in (254, 255), done.stderr  # version 2 and version 1
            assert f"({code})" in done.stderr
        done = await aws(one, "list-invalidations", "--distribution-id", FILE, secret="wrong")
        assert done.returncode in (254, 255) and "(SignatureDoesNotMatch)" in done.stderr

    lab(test)
