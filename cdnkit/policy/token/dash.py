"""A token in the references of a DASH manifest (ISO/IEC 23009-1).

A query is not inherited by what is relative to a BaseURL (RFC 3986 §5.3), so it goes where a URL ends: `media`,
`initialization`, `index` and `bitstreamSwitching` of SegmentTemplate, the URLs of SegmentList and SegmentBase, a
UTCTiming whose value is one URL, and a BaseURL that names a file, not a folder. The text is changed in place, by the
byte positions that expat tells; a manifest that is no well-formed XML, or that has a DOCTYPE, stays as it is. A token
that is for one path only cannot go into a template: whoever uses one propagates it in HLS.
"""

import re
from collections.abc import Iterator
from xml.parsers import expat

from cdnkit.policy.token.hls import with_token

_REFERENCES = {
    "SegmentTemplate": ("media", "initialization", "index", "bitstreamSwitching"),
    "SegmentURL": ("media", "index"),
    "Initialization": ("sourceURL",),
    "RepresentationIndex": ("sourceURL",),
    "BitstreamSwitching": ("sourceURL",),
    "UTCTiming": ("value",),
}
_CLOCK = re.compile(r"urn:mpeg:dash:utc:http-\w+:20\d\d")
"""Schemes of UTCTiming whose value is a URL; others have a time there, or names of NTP servers."""


def is_manifest(text: bytes) -> bool:
    return b"<MPD" in text[:4096]


class _Doctype(Exception):
    """It has one: entities are not for a cache to expand."""


def rewritten(manifest: bytes, base: str, query: str) -> bytes:
    """The manifest with `query` in each reference to the same origin; all else stays byte for byte."""
    try:
        edits = list(_edits(manifest, base, query))
    except (expat.ExpatError, _Doctype):
        return manifest
    pieces, at = [], 0
    for start, stop, text in sorted(edits):
        pieces += [manifest[at:start], text]
        at = stop
    return b"".join([*pieces, manifest[at:]])


def _edits(manifest: bytes, base: str, query: str) -> Iterator[tuple[int, int, bytes]]:
    """Pieces to be replaced: first byte, the byte behind the last, what comes instead."""
    starts: list[tuple[str, int]] = []
    addresses: list[tuple[int, int]] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if local == "UTCTiming" and not (
            _CLOCK.fullmatch(attributes.get("schemeIdUri", "")) and len(attributes.get("value", "").split()) == 1
        ):
            return
        if local in _REFERENCES:
            starts.append((local, parser.CurrentByteIndex))
        elif local == "BaseURL":
            addresses.append((parser.CurrentByteIndex, 0))

    def end(name: str) -> None:
        if name.rpartition(" ")[2] == "BaseURL":
            addresses[-1] = (addresses[-1][0], parser.CurrentByteIndex)

    def doctype(*_: object) -> None:
        raise _Doctype

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(manifest, True)
    for element, at in starts:
        stop = _tag_end(manifest, at)
        for name in _REFERENCES[element]:
            match = re.search(rb"""\s%b\s*=\s*("[^"]*"|'[^']*')""" % name.encode(), manifest[at:stop])
            if match is not None:
                yield at + match.start(1) + 1, at + match.end(1) - 1, _with_token(match[1][1:-1], base, query)
    for at, stop in addresses:
        first = _tag_end(manifest, at)
        text = manifest[first:stop]
        if first < stop and b"<" not in text and text.strip() and not text.strip().endswith(b"/"):
            yield first, stop, _with_token(text.strip(), base, query)


def _tag_end(manifest: bytes, at: int) -> int:
    """The byte behind the `>` that ends the tag at `at`: one inside an attribute's quotes does not."""
    match = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""").match(manifest, at)
    return match.end() if match is not None else at


def _with_token(reference: bytes, base: str, query: str) -> bytes:
    """In XML's spelling; a `$` would begin an identifier of the template (§5.3.9.4.4)."""
    plain = reference.decode("latin-1").replace("&amp;", "&")
    made = with_token(plain, base, lambda _: query.replace("$", "%24"))
    return made.replace("&", "&amp;").encode("latin-1") if made != plain else reference
