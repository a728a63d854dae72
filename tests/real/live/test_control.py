"""The control API of a whole `cdnlab up`: where its users find it, and that its orders reach every process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from cdnlab.client.viewer import ask
from tests.real.live.lab import NO_STREAM, Up, until

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
    until(lambda: status() == "Completed", up.said)
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
    until(lambda: ask(url).text() == "second", up.said)
    assert up.stop() == 130


def test_a_distribution_takes_effect_in_the_running_nodes_and_gives_way_again(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    page = tmp_path / "vod" / "page.txt"
    page.parent.mkdir()
    page.write_text("first")
    up = start(NO_STREAM + 'vod = "vod"\n')
    up.wait_for("Ctrl-C ends it")
    url = f"{up.node('fra')['url']}/vod/page.txt"
    assert ask(url, method="POST").status != 403
    boto = boto3.client(
        "cloudfront", endpoint_url=up.cluster["control"], region_name="us-east-1",
        aws_access_key_id="cdnlab", aws_secret_access_key="cdnlab",
    )  # fmt: skip
    port = int(up.cluster["origin"]["url"].rpartition(":")[2])
    behavior = {
        "TargetOriginId": "lab",
        "ViewerProtocolPolicy": "allow-all",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",  # CachingDisabled
    }
    custom = {"HTTPPort": port, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"}
    verify = {"HeaderName": "X-Origin-Verify", "HeaderValue": "s3cret-of-the-origin"}
    lab = {
        "Id": "lab", "DomainName": "127.0.0.1", "CustomOriginConfig": custom,
        "CustomHeaders": {"Quantity": 1, "Items": [verify]},
    }  # fmt: skip
    config = {
        "CallerReference": "1",
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [lab]},
        "DefaultCacheBehavior": behavior,
    }
    made = boto.create_distribution(DistributionConfig=config)
    id = made["Distribution"]["Id"]
    assert made["Distribution"]["Status"] == "InProgress"
    assert f"http://{made['Distribution']['DomainName']}/vod/page.txt" == url
    assert boto.create_distribution(DistributionConfig=config)["Distribution"]["Id"] == id
    waiter = boto.get_waiter("distribution_deployed")
    waiter.wait(Id=id, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200})
    assert "control: a distribution is in force in place of the settings file" in up.said()
    # CloudFront's now: methods that are not allowed, and nothing kept.
    assert ask(url, method="POST").status == 403
    assert ask(url).headers["x-cache"] == "Miss from cloudfront"
    page.write_text("second")
    assert ask(url).text() == "second"
    (listed,) = boto.list_distributions()["DistributionList"]["Items"]
    assert (listed["Id"], listed["Status"], listed["Enabled"]) == (id, "Deployed", True)

    got = boto.get_distribution_config(Id=id)
    behavior["CachePolicyId"] = "658327ea-f89d-4fab-a63d-7e88639e58f6"  # CachingOptimized
    with pytest.raises(boto.exceptions.PreconditionFailed):
        boto.update_distribution(Id=id, DistributionConfig=config, IfMatch="E0")
    with pytest.raises(boto.exceptions.InvalidArgument, match="DefaultRootObject"):
        boto.update_distribution(Id=id, DistributionConfig=config | {"DefaultRootObject": "a"}, IfMatch=got["ETag"])
    with pytest.raises(boto.exceptions.TooManyDistributions):
        boto.create_distribution(DistributionConfig=config | {"CallerReference": "2"})
    etag = boto.update_distribution(Id=id, DistributionConfig=config, IfMatch=got["ETag"])["ETag"]
    waiter.wait(Id=id, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200})
    assert [ask(url).headers["x-cache"] for _ in range(2)] == ["Miss from cloudfront", "Hit from cloudfront"]
    with pytest.raises(boto.exceptions.DistributionNotDisabled):
        boto.delete_distribution(Id=id, IfMatch=etag)
    etag = boto.update_distribution(Id=id, DistributionConfig=config | {"Enabled": False}, IfMatch=etag)["ETag"]
    waiter.wait(Id=id, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200})
    boto.delete_distribution(Id=id, IfMatch=etag)
    with pytest.raises(boto.exceptions.NoSuchDistribution):
        boto.get_distribution(Id=id)
    left = [file for file in up.run.rglob("*") if file.is_file()]
    assert any("services" in file.parts for file in left)
    assert [file for file in left if b"s3cret-of-the-origin" in file.read_bytes()] == []
    # As the settings file has it.
    assert "cloudfront" not in ask(url).headers["x-cache"]
    assert up.stop() == 130
    assert "Traceback" not in up.said()
    # And each life of each node replays by the rules it had.
    replayed = subprocess.run(
        [sys.executable, "-m", "cdnlab", "replay", str(up.run), "--json"], capture_output=True, text=True, check=False
    )
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert {"fra", "fra.2", "fra.3", "fra.4"} <= json.loads(replayed.stdout).keys()
