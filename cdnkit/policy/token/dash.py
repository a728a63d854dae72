"""A token in the references of a DASH manifest (ISO/IEC 23009-1).

A relative reference does not inherit the query of its base (RFC 3986 §5.3), so the token is added where URLs end:
`media`, `initialization`, `index` and `bitstreamSwitching` of SegmentTemplate, the URLs of SegmentList and SegmentBase,
a UTCTiming whose value is one URL, a ContentSteering, and a BaseURL that names a file, not a folder. The text is
changed in place, at the byte positions that expat reports. A manifest that is not well-formed XML, or that has a
DOCTYPE, stays as it is. A token for one path cannot be added to a template, so such tokens work with HLS only.
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
_ADDRESSES = ("BaseURL", "ContentSteering")
"""Elements whose text is a URL."""
_CLOCK = re.compile(r"urn:mpeg:dash:utc:http-\w+:20\d\d")
"""Schemes of UTCTiming whose value is a URL; others have a time there, or names of NTP servers."""


def is_manifest(text: bytes) -> bool:
    return b"<MPD" in text[:4096]


class _Doctype(Exception):
    """The manifest has a DOCTYPE: a cache must not expand entities."""


def rewritten(manifest: bytes, base: str, query: str) -> bytes:
    """The manifest with `query` in each reference to the same origin; the rest does not change."""
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
    """The changes: first byte, the byte after the last, the new text."""
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
        elif local in _ADDRESSES:
            addresses.append((parser.CurrentByteIndex, 0))

    def end(name: str) -> None:
        if name.rpartition(" ")[2] in _ADDRESSES:
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
    """The byte after the `>` that ends the tag at `at`, not counting a `>` inside an attribute's quotes."""
    match = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""").match(manifest, at)
    return match.end() if match is not None else at


def _with_token(reference: bytes, base: str, query: str) -> bytes:
    """The reference, escaped for XML. A `$` would begin an identifier of the template (§5.3.9.4.4)."""
    plain = reference.decode("latin-1").replace("&amp;", "&")
    made = with_token(plain, base, lambda _: query.replace("$", "%24"))
    return made.replace("&", "&amp;").encode("latin-1") if made != plain else reference
