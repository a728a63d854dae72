"""The init section of an encrypted track: `encv` or `enca` with `sinf` (ISO/IEC 23001-7 8.2, 23000-19 8.2.3).

Each key has an init section of its own, whose `tenc` names it. The other way, `seig` sample groups in the fragments, is
played by few: ffmpeg, hls.js and Shaka Player find the key's id in the init section, or in the playlist and the MPD.
"""

from dataclasses import replace

from origin.encryption.ciphers import CRYPT, SKIP
from origin.encryption.slice_headers import ParameterSets
from origin.errors import BadMedia, NotSupported
from origin.media.boxes import Fields, children
from origin.media.samples import box
from origin.media.tracks import InitSection, Kind

COMMON_SYSTEM = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")
"""Of the `pssh` box that only lists keys (W3C, "cenc" initialization data format)."""
_FIXED = {Kind.VIDEO: 78, Kind.AUDIO: 28}
"""Bytes of a sample entry before its boxes (ISO/IEC 14496-12 12.1.3, 12.2.3)."""
_PATH = ("trak", "mdia", "minf", "stbl", "stsd")


def check(init: InitSection, where: str) -> None:
    """`NotSupported`: the samples of such a track cannot be encrypted here. `BadMedia`: nor can those of this one."""
    if init.track.kind is not Kind.VIDEO:
        return
    if not init.track.codec.startswith("avc"):
        wanted = 'H.264, or method = "AES-128"'
        raise NotSupported(where, f"{init.track.codec} in a stream that is encrypted with SAMPLE-AES", wanted)
    parameter_sets(init)


def protected(init: InitSection, id: bytes, iv: bytes) -> InitSection:
    """The same with its samples said to be encrypted with the key of this id (16 bytes), and this constant IV."""
    made = b""
    for kind, payload in children(memoryview(init.data), "init section"):
        data = bytes(payload)
        if kind == "moov":
            data = _changed(payload, _PATH, init.track.kind, id, iv)
            data += box(b"pssh", b"\1\0\0\0" + COMMON_SYSTEM + (1).to_bytes(4, "big") + id + bytes(4))
        made += box(kind.encode("latin-1"), data)
    return InitSection(made, replace(init.track, default_kid=id.hex()))


def parameter_sets(init: InitSection) -> ParameterSets:
    """Those of an H.264 track's init section: in its `avcC` (ISO/IEC 14496-15 5.3.3.1)."""
    sets = ParameterSets()
    moov = next(payload for kind, payload in children(memoryview(init.data), "init section") if kind == "moov")
    for step in _PATH:
        moov = next(payload for kind, payload in children(moov, "moov") if kind == step)
    _, entry = next(children(moov[8:], "stsd"))
    for kind, payload in _inner(entry, _FIXED[Kind.VIDEO])[0]:
        if kind == "avcC":
            fields = Fields(payload, "avcC")
            fields.take(5)
            for mask in (0x1F, 0xFF):
                for _ in range(fields.uint(1) & mask):
                    sets.take(bytes(fields.take(fields.uint(2))))
    return sets


def _changed(payload: memoryview, path: tuple[str, ...], kind: Kind, id: bytes, iv: bytes) -> bytes:
    made = b""
    for one, data in children(payload, path[0]):
        if one != path[0]:
            inner = bytes(data)
        elif len(path) > 1:
            inner = _changed(data, path[1:], kind, id, iv)
        else:
            inner = bytes(data[:8]) + b"".join(_entry(*entry, kind, id, iv) for entry in children(data[8:], "stsd"))
        made += box(one.encode("latin-1"), inner)
    return made


def _entry(name: str, entry: memoryview, kind: Kind, id: bytes, iv: bytes) -> bytes:
    """The sample entry as `encv` or `enca`, with what it was in `frma`."""
    video = kind is Kind.VIDEO
    pattern = CRYPT << 4 | SKIP if video else 0
    # Version 0 has no pattern. IV size 0: the constant one counts.
    tenc = bytes([1 if video else 0, 0, 0, 0, 0, pattern, 1, 0]) + id + bytes([len(iv)]) + iv
    schm = bytes(4) + b"cbcs" + (0x10000).to_bytes(4, "big")
    sinf = box(b"frma", name.encode("latin-1")) + box(b"schm", schm) + box(b"schi", box(b"tenc", tenc))
    _, end = _inner(entry, _FIXED[kind])
    return box(b"encv" if video else b"enca", bytes(entry[:end]) + box(b"sinf", sinf))


def _inner(entry: memoryview, fixed: int) -> tuple[list[tuple[str, memoryview]], int]:
    """(the boxes of a sample entry, where the last one ends): QuickTime puts four bytes of zero behind it."""
    found: list[tuple[str, memoryview]] = []
    end = fixed
    try:
        for kind, payload in children(entry[fixed:], "sample entry"):
            found.append((kind, payload))
            end += 8 + len(payload)
    except BadMedia:
        pass
    return found, end
