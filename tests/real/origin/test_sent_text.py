"""Text as it is sent: gzip, its validators, and what other sites may read; alone and behind an edge."""

import asyncio
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdnkit.vendors import PROFILES
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit.http import ask
from tests.kit.live_origin import Feeder, Reply, Running, pieces, request, until
from tests.kit.ll_player import read
from tests.kit.node import running_node

LISTS = ("multivariant.m3u8", "180p/media.m3u8", "manifest.mpd", "multivariant-ts.m3u8", "180p/ts.m3u8")


@pytest.fixture
def live(origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path) -> Iterator[Running]:
    """A stream of three tracks that has not ended, with parts; and a folder of VOD."""
    (tmp_path / "vod").mkdir()
    (tmp_path / "vod" / "media.m3u8").write_text("#EXTM3U\n" + "#EXTINF:4.000000,\nseg.m4s\n" * 40)
    origin = origins(part=0.5, vod=tmp_path / "vod")
    feeders = [Feeder(origin, f"live/{name}") for name in encoded]
    for feeder, data in zip(feeders, encoded.values(), strict=True):
        for piece in pieces(data)[:8]:
            feeder.send(piece)
    until(lambda: origin.get("live/manifest.mpd").status == 200)
    tracks = [name.partition(".")[0] for name in encoded]

    def came() -> set[tuple[int, int]]:
        texts = [origin.get(f"live/{track}/media.m3u8") for track in tracks]
        return {read(one.text).next_part if one.status == 200 else (0, 0) for one in texts}

    until(lambda: came() == {(3, 1)})  # all that was sent: nothing changes any more
    yield origin
    for feeder in feeders:
        feeder.break_off()


@pytest.mark.parametrize("path", [*(f"live/{name}" for name in LISTS), "vod/media.m3u8"])
def test_gzip_is_a_representation_of_its_own(live: Running, path: str) -> None:
    plain = live.get(path, Accept_Encoding="identity")
    coded = live.get(path, Accept_Encoding="gzip")
    assert (plain.status, coded.status) == (200, 200)
    assert gzip.decompress(coded.body) == plain.body
    assert coded.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert coded.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(coded.headers["content-length"]) == len(coded.body) < len(plain.body)
    assert coded.headers["etag"] != plain.headers["etag"]
    assert "W/" not in coded.headers["etag"]
    same = ("content-type", "cache-control", "surrogate-key", "access-control-allow-origin", "priority")
    assert [coded.headers.get(name) for name in same] == [plain.headers.get(name) for name in same]
    head = request(f"{live.url}/{path}", "HEAD", {"Accept-Encoding": "gzip"})
    assert head.headers | {"date": ""} == coded.headers | {"date": ""}
    for one, accepted in ((plain, "identity"), (coded, "gzip")):
        tag = one.headers["etag"]
        again = live.get(path, Accept_Encoding=accepted, If_None_Match=tag)
        assert (again.status, again.headers["etag"], again.headers["vary"]) == (304, tag, "Accept-Encoding")
        other = live.get(path, Accept_Encoding="gzip" if accepted == "identity" else "identity", If_None_Match=tag)
        assert other.status == 200, "the other representation is not the one that the client has"
    part = live.get(path, Accept_Encoding="gzip", Range="bytes=0-6")
    assert (part.status, part.body) == (206, plain.body[:7])
    assert part.headers["etag"] == plain.headers["etag"], "a range is of the bytes as they are"
    assert live.get(path, Accept_Encoding="gzip", Range="bytes=0-6", If_Range=coded.headers["etag"]).status == 200


def test_media_is_never_compressed(live: Running) -> None:
    text = live.get("live/180p/media.m3u8").text
    names = [line for line in text.splitlines() if not line.startswith("#")]
    names.append(text.partition('#EXT-X-MAP:URI="')[2].partition('"')[0])
    names.append(read(text).parts[-1].uri)
    for name in names:
        got = live.get(f"live/180p/{name}", Accept_Encoding="gzip")
        assert got.status == 200 and "content-encoding" not in got.headers and "vary" not in got.headers
        assert got.headers["priority"] == "u=3"


def test_blocking_reloads_and_delta_updates_are_compressed(live: Running) -> None:
    msn, index = read(live.get("live/180p/media.m3u8").text).parts[-1].msn, 0
    for query in (f"_HLS_msn={msn - 1}", f"_HLS_msn={msn}&_HLS_part={index}&_HLS_skip=YES", "_HLS_skip=YES"):
        plain = live.get(f"live/180p/media.m3u8?{query}", Accept_Encoding="identity")
        coded = live.get(f"live/180p/media.m3u8?{query}", Accept_Encoding="gzip")
        assert gzip.decompress(coded.body) == plain.body
        assert coded.headers["cache-control"] == plain.headers["cache-control"]


BROWSERS = ("gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate", "br, gzip", "identity", "gzip;q=0")


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_an_edge_stores_both_and_gives_each_client_what_it_can_read(live: Running, profile: str) -> None:
    plain = live.get("live/180p/media.m3u8").body

    async def run() -> None:
        async with running_node(live.url, *MEDIA_BEHAVIORS, profile=PROFILES[profile]) as edge:
            fills = 0
            for accepted in (*BROWSERS, *BROWSERS):
                reply = await ask(edge.url, "/live/180p/media.m3u8", accept_encoding=accepted)
                body = gzip.decompress(reply.body) if reply["content-encoding"] == "gzip" else reply.body
                assert body == plain, accepted
                assert reply["content-encoding"] in (None, "gzip")
                if reply["content-encoding"]:
                    assert "gzip" in accepted and "q=0" not in accepted
                fills += "fwd=" in str(reply["cache-status"])
            without = await ask(edge.url, "/live/180p/media.m3u8")
            assert without.body == plain and without["content-encoding"] is None
            assert fills == 3, "one for each set of codings that is in the key: not for each way to write it"
            assert (reply["priority"], reply["vary"]) == ("u=1", "Accept-Encoding")

    asyncio.run(run())


def preflight(origin: Running, path: str) -> Reply:
    asked = {
        "Origin": "https://player.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range, cmcd-request",
    }
    return request(f"{origin.url}/{path}", "OPTIONS", asked)


CROSS_ORIGIN = [  # given path and fields                                          then status
    ("live/multivariant.m3u8", {},                                                        200),
    ("live/180p/media.m3u8", {"If-None-Match": "*"},                                      304),
    ("live/180p/media.m3u8", {"Range": "bytes=0-1"},                                      206),
    ("live/180p/media.m3u8", {"Range": "bytes=999999-"},                                  416),
    ("live/180p/media.m3u8?_HLS_msn=99999", {},                                           400),
    ("live/180p/media.m3u8?_HLS_msn={next}", {},                                          503),
    ("live/180p/part-1-1-1.m4s", {},                                                      404),
    ("live/180p/seg-1-1.m4s", {},                                                         404),
    ("live/720p/media.m3u8", {},                                                          404),
    ("live/time", {},                                                                     200),
    ("nothing/time", {},                                                                  404),
    ("vod/media.m3u8", {},                                                                200),
    ("vod/nothing", {},                                                                   404),
    ("", {},                                                                              200),
    ("healthz", {},                                                                       200),
]  # fmt: skip


def test_scripts_of_other_sites_may_read_every_answer(live: Running) -> None:
    msn = read(live.get("live/180p/media.m3u8").text).next_part[0]
    for path, fields, status in CROSS_ORIGIN:
        target = path.replace("{next}", str(msn + 1))
        got = request(f"{live.url}/{target}", "GET", {"Origin": "https://player.example", **fields})
        assert got.status == status, path
        assert got.headers["access-control-allow-origin"] == "*", path
        exposed = got.headers["access-control-expose-headers"]
        assert {"ETag", "Age", "Date", "Content-Range", "Content-Length"} <= set(exposed.split(", ")), path
        asked = preflight(live, target)
        assert asked.status == 204 and asked.headers["access-control-allow-origin"] == "*", path
        allowed = asked.headers["access-control-allow-headers"].lower().split(", ")
        assert {"*", "range", "if-none-match", "cmcd-request", "cmcd-object", "cmcd-session", "cmcd-status"} <= {
            *allowed
        }
    refused = request(f"{live.url}/live/multivariant.m3u8", "POST", {"Origin": "https://player.example"})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (405, "*")
