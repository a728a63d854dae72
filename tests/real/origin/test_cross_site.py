"""Web pages and the ingest listener: what a page sends ends no stream and breaks nothing."""

from collections.abc import Callable

import pytest

from tests.kit.live_origin import Feeder, Running, pieces, request, until

PAGES: list[tuple[dict[str, str], int]] = [
    ({"Host": "evil.example"}, 421),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Content-Type": "text/plain;charset=UTF-8"}, 415),
]


@pytest.mark.parametrize(("fields", "status"), PAGES, ids=str)
def test_a_page_cannot_end_a_stream(
    origins: Callable[..., Running], encoded: dict[str, bytes], fields: dict[str, str], status: int
) -> None:
    """What takes over from the encoder, and then ends as HTTP has it, would end the stream."""
    origin = origins(faults=True)
    video = pieces(encoded["180p.cmfv"])
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in video[:6]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").status == 200)
    for path, method, body in [
        ("ingest/live/180p.cmfv", "POST", encoded["180p.cmfv"]),
        ("ingest/live/other.mp4", "POST", encoded["180p.cmfv"]),
        ("faults", "PUT", b'{"error_rate": 1}'),
    ]:
        if method == "POST" or status != 415:  # a form cannot PUT
            assert request(f"{origin.ingest}/{path}", method, fields, body).status == status
    for piece in video[6:]:
        feeder.send(piece)
    text = until(lambda: _with(origin, 4))
    assert "EXT-X-ENDLIST" not in text and "EXT-X-DISCONTINUITY\n" not in text
    assert '"name": "other"' not in origin.get("").text
    assert feeder.end().status == 200


def _with(origin: Running, segments: int) -> str:
    text = origin.get("live/180p/media.m3u8").text
    return text if text.count("#EXTINF") >= segments else ""


def test_ingest_is_reached_by_the_names_it_was_told(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(ingest_hosts=("encoders.example.com",))
    url = f"{origin.ingest}/ingest/live/180p.cmfv"
    for host, status in (("encoders.example.com:80", 200), ("localhost", 200), ("other.example.com", 421)):
        assert request(url, "POST", {"Host": host}, encoded["180p.cmfv"]).status == status
