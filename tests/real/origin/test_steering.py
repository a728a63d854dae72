"""Content steering through two edges: a client that follows the manifest moves when the priority changes."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import pytest

from cdnkit.settings.steering import Steering
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit.http import ask
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, basic, request
from tests.kit.node import running_node
from tests.kit.ports import free_port
from tests.real.origin.playlists import read_playlist

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
FRA, NYC = "http://127.0.0.1:8081", "http://127.0.0.1:8082"
CHOSEN = Steering(pathways={"fra": FRA, "nyc": NYC}, ttl=2.0)


def order(origin: Running, method: str, value: Any = None, fields: dict[str, str] | None = None) -> tuple[int, Any]:
    body = None if value is None else json.dumps(value).encode()
    reply = request(f"{origin.ingest}/steering", method, fields, body)
    is_json = reply.headers.get("content-type", "").startswith("application/json")
    return reply.status, json.loads(reply.text) if is_json else reply.text


def publish(origin: Running, encoded: dict[str, bytes]) -> Running:
    for name, data in encoded.items():
        assert origin.post(f"live/{name}", data).status == 200
    return origin


def test_playlists_manifests_and_mpds_offer_the_pathways(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = publish(origins(steering=CHOSEN), encoded)
    text = origin.get("live/multivariant.m3u8").text
    assert '#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="fra"' in text.splitlines()
    assert {line for line in text.splitlines() if line.endswith("180p/media.m3u8")} == {
        f"{one}/live/180p/media.m3u8" for one in (FRA, NYC)
    }
    assert f"{NYC}/live/180p/ts.m3u8" in origin.get("live/multivariant-ts.m3u8").text
    # Strangers': dash.js sent _DASH_throughput in quotes for a while.
    for query in (
        "",
        "?_DASH_throughput=%2210443250%22",
        "?_HLS_pathway=%22fra%22&_HLS_throughput=5140000",
        "?_DASH_pathway=%22fra%22",
    ):
        reply = origin.get(f"live/steering.json{query}")
        assert reply.status == 200
        assert json.loads(reply.text)["PATHWAY-PRIORITY"] == ["fra", "nyc"]
    assert reply.headers["cache-control"] == "public, max-age=1"
    assert reply.headers["surrogate-key"] == "live steering"
    assert reply.headers["content-type"] == "application/json"
    assert origin.get("live/steering.json", If_None_Match=reply.headers["etag"]).status == 304
    assert origin.get("nobody/steering.json").status == 404
    for name in ("manifest.mpd", "manifest-number.mpd"):
        mpd = ElementTree.fromstring(origin.get(f"live/{name}").text)
        bases = [(one.get("serviceLocation"), one.text) for one in mpd.findall(f"{MPD}BaseURL")]
        assert bases == [("fra", f"{FRA}/live/"), ("nyc", f"{NYC}/live/")]
        (steering,) = mpd.findall(f"{MPD}ContentSteering")
        assert (steering.text, steering.get("defaultServiceLocation")) == ("steering.json", "fra")
    before = origin.get("live/manifest.mpd").text
    assert order(origin, "PUT", {"PATHWAY-PRIORITY": ["nyc", "fra"]})[0] == 200
    after = origin.get("live/manifest.mpd").text
    assert after.index(NYC) < after.index(FRA)
    assert published(after) > published(before), "another MPD has another publishTime"
    assert 'PATHWAY-ID="nyc"\n' in origin.get("live/multivariant.m3u8").text


def published(mpd: str) -> str:
    found = re.search(r'publishTime="([^"]*)"', mpd)
    assert found is not None
    return found[1]


def test_without_the_setting_there_is_none(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = publish(origins(), encoded)
    assert "STEERING" not in origin.get("live/multivariant.m3u8").text
    assert origin.get("live/steering.json").status == 404
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        status, text = order(origin, method, body)
        assert status == 404
        assert "[origin.steering]" in text


def test_410_ends_steering_and_a_put_begins_it_again(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    """draft-pantos-content-steering: after a 410 a client does not ask again; playlists must not send it there."""
    origin = publish(origins(steering=CHOSEN, storage=tmp_path / "kept"), encoded)
    assert order(origin, "DELETE")[0] == 204
    gone = origin.get("live/steering.json")
    assert (gone.status, gone.headers["cache-control"]) == (410, "public, max-age=1")
    assert gone.headers["surrogate-key"] == "live"
    assert "STEERING" not in origin.get("live/multivariant.m3u8").text
    assert "ContentSteering" not in origin.get("live/manifest.mpd").text
    origin.stop()
    again = origins(steering=CHOSEN, storage=tmp_path / "kept")
    assert again.get("live/steering.json").status == 410, "after a restart, too"
    assert order(again, "PUT", {})[0] == 200
    assert json.loads(again.get("live/steering.json").text)["PATHWAY-PRIORITY"] == ["fra", "nyc"]


def test_an_order_survives_a_restart_unless_the_settings_no_longer_fit(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    origin = publish(origins(steering=CHOSEN, storage=tmp_path / "kept"), encoded)
    change = {"PATHWAY-PRIORITY": ["ams", "nyc"], "PATHWAYS": {"ams": "http://127.0.0.1:8083"}, "TTL": 4}
    status, made = order(origin, "PUT", change)
    assert status == 200
    assert made["PATHWAYS"] == {"fra": FRA, "nyc": NYC, "ams": "http://127.0.0.1:8083"}
    served = origin.get("live/steering.json").text
    assert json.loads(served)["PATHWAY-CLONES"][0]["ID"] == "ams"
    assert order(origin, "PUT", {"PATHWAY-PRIORITY": ["lon"]})[0] == 400
    assert origin.get("live/steering.json").text == served, "what is refused changes nothing"
    origin.stop()
    again = origins(steering=CHOSEN, storage=tmp_path / "kept")
    assert again.get("live/steering.json").text == served
    assert order(again, "GET") == (200, made)
    again.stop()
    other = origins(steering=Steering(pathways={"ams": FRA}), storage=tmp_path / "kept")
    assert json.loads(other.get("live/steering.json").text)["PATHWAY-PRIORITY"] == ["ams"]


def test_only_who_may_publish_everything_steers(origins: Callable[..., Running]) -> None:
    encoders = {"studio": {"password": "of-studio"}, "news": {"password": "of-news-too", "streams": ("news",)}}
    origin = origins(encoders=encoders, steering=CHOSEN)
    for fields, status in (({}, 401), (basic("news", "of-news-too"), 403), (basic("studio", "of-studio"), 200)):
        assert order(origin, "PUT", {}, fields)[0] == status
        assert order(origin, "GET", None, fields)[0] == status
    assert request(f"{origin.ingest}/steering", "POST", basic("studio", "of-studio")).status == 405


class Follower:
    """A client as the drafts describe it: it plays one pathway, and asks where to go each TTL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.manifest_url = ""
        self.pathway = ""
        self.variants: dict[str, str] = {}
        self.asked: list[str] = []

    async def begin(self) -> None:
        text = (await get(self.url)).decode()
        steering = re.search(r'#EXT-X-CONTENT-STEERING:SERVER-URI="([^"]*)",PATHWAY-ID="([^"]*)"', text)
        assert steering is not None
        self.manifest_url, self.pathway = urljoin(self.url, steering[1]), steering[2]
        for pathway, uri in re.findall(r'#EXT-X-STREAM-INF:.*PATHWAY-ID="([^"]*)"\n(.*)', text):
            self.variants.setdefault(pathway, urljoin(self.url, uri))

    async def steer(self) -> None:
        self.asked.append(self.manifest_url)
        where = f"{self.manifest_url}?_HLS_pathway=%22{self.pathway}%22&_HLS_throughput={5_000_000 + len(self.asked)}"
        manifest = json.loads(await get(where))
        assert manifest["VERSION"] == 1
        self.manifest_url = urljoin(self.manifest_url, manifest.get("RELOAD-URI", self.manifest_url))
        for clone in manifest.get("PATHWAY-CLONES", ()):
            like = urlsplit(self.variants[clone["BASE-ID"]])
            host = clone["URI-REPLACEMENT"]["HOST"]
            self.variants.setdefault(clone["ID"], like._replace(netloc=host).geturl())
        self.pathway = next(one for one in manifest["PATHWAY-PRIORITY"] if one in self.variants)

    async def segment(self) -> str:
        """Plays the last segment of its pathway; the host that it came from."""
        playlist = read_playlist((await get(self.variants[self.pathway])).decode())
        url = urljoin(self.variants[self.pathway], playlist.segments[-1].uri)
        assert await get(url)
        return urlsplit(url).netloc


async def get(url: str) -> bytes:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    reply = await ask(f"{parts.scheme}://{parts.netloc}", target)
    assert reply.status == 200, (url, reply.status)
    return reply.body


def test_a_player_moves_to_the_other_edge_and_to_one_that_is_new(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    """An edge is drained, then gone: its players ask the one that they were sent to."""
    fra, nyc, ams = (f"127.0.0.1:{port}" for port in (free_port(), free_port(), free_port()))
    steering = Steering(pathways={"fra": f"http://{fra}", "nyc": f"http://{nyc}"}, ttl=1.0)
    origin = publish(origins(steering=steering), encoded)

    async def run() -> None:
        put = lambda value: asyncio.to_thread(order, origin, "PUT", value)  # noqa: E731
        async with (
            running_node(origin.url, *MEDIA_BEHAVIORS, name="shield") as shield,
            running_node(shield.url, *MEDIA_BEHAVIORS, name="nyc", listen=nyc) as kept,
            running_node(shield.url, *MEDIA_BEHAVIORS, name="ams", listen=ams),
        ):
            async with running_node(shield.url, *MEDIA_BEHAVIORS, name="fra", listen=fra):
                player = Follower(f"{kept.url}/live/multivariant.m3u8")
                await player.begin()
                assert await player.segment() == fra, "the preferred one, whichever it came through"
                await player.steer()
                assert await player.segment() == fra
                assert (await put({"PATHWAY-PRIORITY": ["nyc"]}))[0] == 200
                await asyncio.wait_for(moves(player, "nyc"), GUARD_S)
                assert await player.segment() == nyc
            # fra is switched off
            assert (await put({"PATHWAYS": {"ams": f"http://{ams}"}, "PATHWAY-PRIORITY": ["ams"]}))[0] == 200
            await asyncio.wait_for(moves(player, "ams"), GUARD_S)
            assert await player.segment() == ams
            assert {urlsplit(one).netloc for one in player.asked} == {nyc, fra} | {urlsplit(kept.url).netloc}
            once = len({await get(f"{kept.url}/live/steering.json?_HLS_throughput={n}") for n in range(5)})
            assert once == 1

    asyncio.run(run())


async def moves(player: Follower, pathway: str) -> None:
    """The player has asked as often as it takes for caches to forget: half a TTL."""
    while player.pathway != pathway:
        await player.steer()
        await asyncio.sleep(0.05)
