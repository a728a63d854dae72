"""A token in the references of an HLS playlist (RFC 8216, draft-pantos-hls-rfc8216bis).

References are URI lines and the attributes that hold a URI: `URI` of any tag (EXT-X-KEY, EXT-X-MAP, EXT-X-MEDIA,
EXT-X-PART, EXT-X-PRELOAD-HINT, EXT-X-RENDITION-REPORT, EXT-X-I-FRAME-STREAM-INF, EXT-X-SESSION-DATA, ...), and those
of content steering and interstitials. Only references to the same origin get the token: no other origin may see it.
"""

import re
from collections.abc import Callable
from urllib.parse import quote, urljoin, urlsplit

from cdnkit.policy.token.scheme import split_off

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_URI_ATTRIBUTES = frozenset({"URI", "SERVER-URI", "X-ASSET-URI", "X-ASSET-LIST"})
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def rewritten(playlist: bytes, base: str, parameters_for: Callable[[str], str]) -> bytes:
    """The playlist, each reference with the parameters that `parameters_for` gives for its path.

    The rest does not change. `base`: the playlist's own URL.
    """
    lines = playlist.decode("latin-1").split("\n")
    return "\n".join(_line(line, base, parameters_for) for line in lines).encode("latin-1")


def _line(line: str, base: str, parameters_for: Callable[[str], str]) -> str:
    text = line.rstrip("\r \t")
    if not text or text.startswith("#"):
        if text.startswith("#EXT-X-") and ('URI="' in text or 'X-ASSET-LIST="' in text):
            tag, colon, attributes = line.partition(":")

            def attribute(match: re.Match[str]) -> str:
                name, value = match[1], match[2]
                if name not in _URI_ATTRIBUTES or not value.startswith('"'):
                    return match[0]
                return f'{name}="{with_token(value[1:-1], base, parameters_for)}"'

            return f"{tag}{colon}{_ATTRIBUTE.sub(attribute, attributes)}"
        return line
    return with_token(text, base, parameters_for) + line[len(text) :]


def with_token(reference: str, base: str, parameters_for: Callable[[str], str]) -> str:
    """The reference with a token in its query, if it points to the same origin; a token in it is replaced."""
    try:
        target, own = urlsplit(urljoin(base, reference)), urlsplit(base)
    except ValueError:
        return reference
    if (target.scheme, target.netloc.lower()) != (own.scheme, own.netloc.lower()):
        return reference
    added = parameters_for(quote(target.path.encode("latin-1"), safe=_ASCII) or "/")
    if not added:
        return reference
    front, hash_mark, fragment = reference.partition("#")
    front, _, query = front.partition("?")
    if query:
        names = frozenset(part.partition("=")[0] for part in added.split("&"))
        query = split_off(query, names)[1] or ""
    return f"{front}?{f'{query}&{added}' if query else added}{hash_mark}{fragment}"
