"""Who is sent gzip, and how much of it is kept."""

import asyncio
import gzip
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from origin.publishing import codings
from origin.publishing.codings import Gzipped, accepts_gzip
from origin.publishing.responses import Resource

ACCEPTED = [  # given Accept-Encoding                    then gzip
    (None,                                                False),
    ("",                                                  False),
    ("gzip",                                              True),
    ("GZIP",                                              True),
    ("x-gzip",                                            True),  # RFC 9110 8.4.1.3: the same
    ("gzip, deflate, br, zstd",                           True),
    ("br, deflate",                                       False),
    ("*",                                                 True),
    ("*;q=0",                                             False),
    ("gzip;q=0, *",                                       False),
    ("gzip;q=0.000",                                      False),
    ("gzip;q=0.001",                                      True),
    ("gzip; q=0.5, identity; q=1",                        False),  # it likes the other better
    ("gzip;q=0.5, identity;q=0.5",                        True),
    ("identity",                                          False),
    ("identity;q=0, gzip",                                True),
    ("identity;q=0",                                      False),  # neither: it gets what there is
    ("identity;q=0, *;q=0.5",                             True),
    ("deflate;q=1, *;q=0.1",                              True),
    ("gzip;q=high",                                       False),
    ("gzip;q=nan",                                        False),
    ("gzip;q=7",                                          False),
    (",, gzip ,",                                         True),
    ("gzip;level=9;q=0",                                  False),
]  # fmt: skip


@pytest.mark.parametrize(("accepted", "then"), ACCEPTED)
def test_accept_encoding(accepted: str | None, then: bool) -> None:
    assert accepts_gzip(accepted) is then


TEXT = b"#EXTM3U\n" + b"#EXTINF:4.000000,\nseg-1-1.m4s\n" * 40
GZIP = {"accept-encoding": "gzip"}


def text(body: bytes = TEXT, etag: str = '"a"', media_type: str = "application/vnd.apple.mpegurl") -> Resource:
    return Resource(media_type, len(body), etag, 0.0, 1.0, body=body)


def chosen(gzipped: Gzipped, resource: Resource, fields: Mapping[str, str] = GZIP) -> tuple[Resource, bytes | None]:
    return asyncio.run(gzipped.chosen("live/720p/media.m3u8", resource, resource.body, fields))


def test_gzip_is_a_representation_with_a_strong_tag_of_its_own() -> None:
    resource, body = chosen(Gzipped(), text())
    assert body is not None and gzip.decompress(body) == TEXT
    assert (resource.coding, resource.size) == ("gzip", len(body))
    assert resource.etag != '"a"' and resource.etag.startswith('"')
    assert chosen(Gzipped(), text())[0] == resource, "the same bytes, made again"


def test_what_is_sent_as_it_is() -> None:
    gzipped = Gzipped()
    for resource, fields in [
        (text(), {}),
        (text(), GZIP | {"range": "bytes=0-9"}),
        (text(media_type="video/mp4"), GZIP),
        (text(TEXT[: codings.SMALLEST - 1]), GZIP),
        (text(b"x" * (codings.LARGEST + 1)), GZIP),
        (text(bytes(range(256))), GZIP),  # gzip would be larger
    ]:
        assert chosen(gzipped, resource, fields) == (resource, resource.body)


def test_a_thousand_requests_for_a_playlist_cost_one_compression(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    compress = codings._compress
    monkeypatch.setattr(codings, "_compress", lambda body: made.append(len(body)) or compress(body))

    async def many(resource: Resource) -> None:
        gzipped = Gzipped()
        await asyncio.gather(*(gzipped.chosen("a", resource, resource.body, GZIP) for _ in range(1000)))

    for body in (TEXT, TEXT * 100):  # the second one is compressed in a thread
        made.clear()
        asyncio.run(many(text(body)))
        assert made == [len(body)]


def test_all_that_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "ROOM", 2000)
    gzipped = Gzipped()
    for number in range(100):
        chosen(gzipped, text(etag=f'"{number}"'))
        assert gzipped._made.currsize <= 2000
    assert len(gzipped._made) > 1
    noise = random.Random(7).randbytes(1000)
    for number in range(100):
        chosen(gzipped, text(noise, etag=f'"{number}"'))
    assert 1 < len(gzipped._made) < 8, "that gzip is of no use is remembered, too, and takes room"


def test_a_file_is_read_and_one_that_has_changed_since_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "media.m3u8"
    path.write_bytes(TEXT)
    resource = text()
    resource.body, resource.path = None, path
    sent, body = chosen(Gzipped(), resource)
    assert sent.coding == "gzip" and body is not None and gzip.decompress(body) == TEXT
    path.write_bytes(TEXT * 2)
    assert chosen(Gzipped(), resource) == (resource, None)
