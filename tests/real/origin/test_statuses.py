"""The statuses of DASH-IF ingest 1.2, interface 1, a row each; docs/origin.md has them as a table."""

import socket
import struct
import subprocess
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from origin.media.fragments import LARGEST_INIT, LARGEST_MOOF
from origin.media.samples import MOST_SAMPLES
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, encoder_command, pieces, request, until


def box(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def claims(kind: bytes, size: int) -> bytes:
    """The head of a box of this size, and nothing of its content."""
    return struct.pack(">I4s", size, kind)


def moof_of(*samples: int) -> bytes:
    """A fragment of runs with so many samples each, which have no byte."""
    runs = b"".join(box(b"trun", struct.pack(">II", 0, count)) for count in samples)
    tfhd = box(b"tfhd", struct.pack(">IIII", 0x20000 | 0x8 | 0x10, 1, 1, 0))
    return box(b"moof", box(b"traf", tfhd + box(b"tfdt", bytes(8)) + runs)) + box(b"mdat")


MPEG_TS = (b"\x47\x40\x00\x10" + bytes(184)) * 10
MATROSKA = b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\xf7\x81"
FLV = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n"
MPD = b'<?xml version="1.0"?><MPD/>'


def of_media(encoded: dict[str, bytes]) -> dict[str, bytes]:
    """Bodies by what is said of them below."""
    init, *fragments = pieces(encoded["180p.cmfv"])
    prft = box(b"prft", bytes(24))
    return {
        "whole": encoded["180p.cmfv"],
        "no init section": fragments[0],
        "no init section, after a styp": box(b"styp", b"msdh\0\0\0\0msdh") + fragments[0],
        "no init section, after a prft": prft + fragments[0],
        "another's init section": init + _with_track(fragments[0], 2),
        "no video": encoded["audio-64k.cmfa"],
        "VP9": init.replace(b"avc1", b"vp09") + fragments[0],
        "encrypted": init.replace(b"avc1", b"encv") + fragments[0],
        "not fragmented": init.replace(b"mvex", b"free") + fragments[0],
        "MPEG-TS": MPEG_TS,
        "Matroska": MATROSKA,
        "FLV": FLV,
        "a playlist": PLAYLIST,
        "an MPD": MPD,
        "cut off": encoded["180p.cmfv"][:-1],
        "garbage between boxes": init + b"\0\0\0\0\0\0\0\0",
        "ftyp as large as may be": claims(b"ftyp", LARGEST_INIT),
        "ftyp too large": claims(b"ftyp", LARGEST_INIT + 1),
        "moof as large as may be": init + claims(b"moof", LARGEST_MOOF),
        "moof too large": init + claims(b"moof", LARGEST_MOOF + 1),
        "mdat too large": init + fragments[0][: _moof_size(fragments[0])] + claims(b"mdat", 2**23 + 1),
        "as many samples as may be": init + moof_of(MOST_SAMPLES - 1, 1),
        "too many samples": init + moof_of(MOST_SAMPLES - 1, 2),
        "runs that claim too much": init + moof_of(*[MOST_SAMPLES] * 50_000),
    }


def _moof_size(fragment: bytes) -> int:
    return int.from_bytes(fragment[:4], "big")


def _with_track(fragment: bytes, track: int) -> bytes:
    at = fragment.index(b"tfhd") + 8
    return fragment[:at] + track.to_bytes(4, "big") + fragment[at + 4 :]


ROWS = [  # path, body, status, words
    ("ingest/live/180p.cmfv", "whole", 200, ""),
    # 403: wrong path
    ("upload/180p.cmfv", "whole", 403, "wanted POST or PUT to /ingest/STREAM/TRACK.cmfv"),
    ("ingest/live/.180p.cmfv", "whole", 403, "a name that cannot be used"),
    ("ingest/vod/180p.cmfv", "whole", 403, '"vod" is taken'),
    # 404: no such publishing point
    ("ingest/other/180p.cmfv", "whole", 404, "other: found no such stream, wanted one of ingest_streams (live, vod)"),
    # 412: the source is to send its init section
    ("ingest/live/180p.cmfv", "no init section", 412, "wanted an init section (ftyp, moov) before it"),
    ("ingest/live/180p.cmfv", "no init section, after a styp", 412, "wanted an init section (ftyp, moov) before it"),
    ("ingest/live/180p.cmfv", "no init section, after a prft", 412, "wanted an init section (ftyp, moov) before it"),
    ("ingest/live/180p.cmfv", "another's init section", 412, "found track 2, wanted the init section's track 1"),
    # 413: more than is taken
    ("ingest/live/180p.cmfv", "ftyp as large as may be", 400, "wanted all"),
    ("ingest/live/180p.cmfv", "ftyp too large", 413, f"wanted at most {LARGEST_INIT} bytes"),
    ("ingest/live/180p.cmfv", "moof as large as may be", 400, "wanted all"),
    ("ingest/live/180p.cmfv", "moof too large", 413, f"wanted at most {LARGEST_MOOF} bytes"),
    ("ingest/live/180p.cmfv", "mdat too large", 413, f"found size {2**23 + 1}, wanted at most {2**23} bytes"),
    ("ingest/live/180p.cmfv", "too many samples", 413, f"found {MOST_SAMPLES + 1} samples in one fragment"),
    ("ingest/live/180p.cmfv", "runs that claim too much", 413, f"wanted at most {MOST_SAMPLES}"),
    # 415: container, codec
    ("ingest/live/180p.avi", "MPEG-TS", 415, "found .avi, wanted one of .m3u8 .mpd"),
    ("ingest/live/180p.cmfv", "MPEG-TS", 415, "wanted an ISO BMFF box"),
    ("ingest/live/180p.cmfv", "Matroska", 415, "wanted an ISO BMFF box"),
    ("ingest/live/180p.cmfv", "FLV", 415, ""),
    ("ingest/live/180p.cmfv", "a playlist", 415, ""),
    ("ingest/live/180p.cmfv", "an MPD", 415, ""),
    ("ingest/live/180p.cmfv", "VP9", 415, "found sample entry 'vp09'"),
    ("ingest/live/180p.cmfv", "encrypted", 415, "not encrypted"),
    ("ingest/live/180p.cmfv", "not fragmented", 415, "wanted fragmented MP4"),
    # 400: everything else
    ("ingest/live/180p.cmfv", "no video", 400, "found audio, wanted video"),
    ("ingest/live/180p.cmfv", "cut off", 400, "mdat: found the end after"),
    ("ingest/live/180p.cmfv", "garbage between boxes", 400, "wanted an ISO BMFF box"),
]


@pytest.mark.parametrize(("path", "body", "status", "words"), ROWS)
def test_the_status_says_what_the_source_is_to_do(
    origins: Callable[..., Running], encoded: dict[str, bytes], path: str, body: str, status: int, words: str
) -> None:
    origin = origins(ingest_streams=("live", "vod"), largest="8MiB")
    for method in ("POST", "PUT"):
        reply = request(f"{origin.ingest}/{path}", method, body=of_media(encoded)[body])
        assert (reply.status, words in reply.text) == (status, True), reply.text
    published = status == 200 or body == "cut off"
    assert origin.get("live/180p/media.m3u8").status == (200 if published else 404)


@pytest.mark.live
def test_content_without_a_length_is_not_taken_for_an_empty_request(
    origins: Callable[..., Running], ffmpeg: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Media that were answered with 200, and lost: by HTTP such a request has no content (RFC 9112 section 6.3)."""
    origin = origins()
    command = encoder_command(ffmpeg, {"90p": f"{origin.ingest}/ingest/live/90p.cmfv"}, seconds=1)
    subprocess.run([*command[:-1], "-chunked_post", "0", command[-1]], capture_output=True, timeout=60)
    assert "found neither Content-Length nor Transfer-Encoding, wanted chunked content" in until(lambda: caplog.text)
    parts = urlsplit(origin.ingest)
    with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as client:
        client.sendall(b"POST /ingest/live/90p.cmfv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 411"


def test_as_many_samples_as_may_be(encoded: dict[str, bytes]) -> None:
    """Under and at the bound; they are one fragment of no byte, which no segmenter could cut."""
    found = pieces(of_media(encoded)["as many samples as may be"])
    assert len(found) == 2
