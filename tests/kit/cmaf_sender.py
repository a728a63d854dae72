"""An encoder of DASH-IF live media ingest 1.1 (interface 1): a CMAF segment a request, a connection a track.

Its media is what ffmpeg made, cut into segments here; nothing of this is the origin's code.
"""

import http.client
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.kit.late import GUARD_S
from tests.kit.live_origin import Reply, Running


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, the whole box) of each box in a row."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at : at + size]
        at += size


def box(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def styp(*brands: bytes) -> bytes:
    return box(b"styp", brands[0] + bytes(4) + b"".join(brands))


def prft(ntp: int = 0, media_time: int = 0) -> bytes:
    """A producer reference time, version 1 (ISO/IEC 14496-12 8.16.5)."""
    return box(b"prft", struct.pack(">IIQQ", 0x0100_0018, 1, ntp, media_time))


@dataclass
class Cmaf:
    """A track: its header, and its fragments."""

    header: bytes
    fragments: list[bytes]

    @classmethod
    def of(cls, data: bytes, *, later: float = 0.0) -> "Cmaf":
        """What ffmpeg wrote, all decode times `later` seconds later."""
        found = list(boxes(data))
        header = b"".join(whole for kind, whole in found if kind in (b"ftyp", b"moov"))
        at = header.index(b"mdhd") + 4
        (timescale,) = struct.unpack_from(">I", header, at + (20 if header[at] else 12))
        fragments: list[bytes] = []
        for kind, whole in found:
            if kind == b"moof":
                fragments.append(_moved(whole, round(later * timescale)))
            elif kind == b"mdat":
                fragments[-1] += whole
        return cls(header, fragments)

    def segments(self, each: int = 2, *, ends: bool = True) -> list[bytes]:
        """`each` fragments a segment; `ends`: the last one says so."""
        groups = [self.fragments[at : at + each] for at in range(0, len(self.fragments), each)]
        return [
            styp(*((b"msdh", b"lmsg") if ends and group is groups[-1] else (b"msdh", b"msix"))) + b"".join(group)
            for group in groups
        ]

    @property
    def endless(self) -> bytes:
        return self.header + b"".join(self.fragments)


def _moved(moof: bytes, ticks: int) -> bytes:
    at = moof.index(b"tfdt") + 4
    assert moof[at] == 1, "a decode time of 64 bits"
    (time,) = struct.unpack_from(">Q", moof, at + 4)
    return moof[: at + 4] + struct.pack(">Q", time + ticks) + moof[at + 12 :]


@dataclass
class CmafSender:
    """One track's requests, one after the other on one connection."""

    origin: Running
    method: str = "POST"
    chunk: int = 0
    """Bytes of a chunk; 0: the length is told beforehand."""
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.origin.ingest)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=GUARD_S)

    def send(self, path: str, body: bytes) -> Reply:
        cut = [body[at : at + self.chunk] for at in range(0, len(body), self.chunk)] if self.chunk else None
        self.connection.request(
            self.method, f"/ingest/{path}", body=iter(cut) if cut else body, encode_chunked=bool(cut),
            headers={"Transfer-Encoding": "chunked"} if cut else {},
        )  # fmt: skip
        response = self.connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def send_all(self, paths: Sequence[str], bodies: Sequence[bytes]) -> list[int]:
        return [self.send(path, body).status for path, body in zip(paths, bodies, strict=True)]

    def break_off(self, path: str, body: bytes) -> None:
        """Sends part of a segment, and is gone."""
        self.connection.putrequest(self.method, f"/ingest/{path}")
        self.connection.putheader("Transfer-Encoding", "chunked")
        self.connection.endheaders()
        self.connection.send(b"%x\r\n%b\r\n" % (len(body), body))
        self.connection.close()

    def close(self) -> None:
        self.connection.close()
