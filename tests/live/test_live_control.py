"""The control API of a whole `cdnlab up`: where its users find it, and that its orders reach every process."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from cdnlab.viewer import ask
from tests.live.lab import NO_STREAM, Up, until

pytestmark = pytest.mark.live

SETTINGS = NO_STREAM + 'vod = "vod"\n[control]\nlisten = "127.0.0.1:0"\nsecret_access_key = "${SECRET}"\n'


def test_an_invalidation_reaches_every_node_of_a_cluster(
    start: Callable[..., Up], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    page = tmp_path / "vod" / "page.txt"
    page.parent.mkdir()
    page.write_text("first")
    up = start(SETTINGS)
    up.wait_for("Ctrl-C ends it")
    assert f"control: ready  {up.cluster['control']}" in up.said()

    def seen() -> str:
        return ask(f"{up.node('fra')['url']}/vod/page.txt").text()

    assert seen() == "first"
    page.write_text("second")
    assert seen() == "first"
    boto = boto3.client(
        "cloudfront", endpoint_url=up.cluster["control"], region_name="us-east-1",
        aws_access_key_id="cdnlab", aws_secret_access_key="s3cr3t",
    )  # fmt: skip
    batch = {"Paths": {"Quantity": 1, "Items": ["/vod/page.txt"]}, "CallerReference": "1"}
    # A node that is away when the order comes is told when it is back.
    os.kill(up.node("fra")["pid"], signal.SIGSTOP)
    id = boto.create_invalidation(DistributionId="ECDNLAB", InvalidationBatch=batch)["Invalidation"]["Id"]

    def status() -> str:
        return boto.get_invalidation(DistributionId="ECDNLAB", Id=id)["Invalidation"]["Status"]

    assert status() == "InProgress"
    os.kill(up.node("fra")["pid"], signal.SIGCONT)
    until(lambda: status() == "Completed", 10, up.said)
    assert seen() == "second"
    written = [file for file in up.run.rglob("*") if file.is_file()]
    assert not [file for file in written if b"s3cr3t" in file.read_bytes()]
    assert up.stop() == 130
    assert "Traceback" not in up.said()


def test_a_purge_request_to_an_edge_reaches_its_shield(start: Callable[..., Up], tmp_path: Path) -> None:
    page = tmp_path / "vod" / "page.txt"
    page.parent.mkdir()
    page.write_text("first")
    up = start('profile = "fastly"\n' + NO_STREAM + 'vod = "vod"\n')
    up.wait_for("Ctrl-C ends it")
    url = f"{up.node('fra')['url']}/vod/page.txt"
    assert ask(url).text() == "first"
    page.write_text("second")
    assert ask(url, method="PURGE").json()["status"] == "ok"
    until(lambda: ask(url).text() == "second", 5, up.said)
    assert up.stop() == 130
