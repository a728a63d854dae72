"""Interstitials: date ranges that schedule other media, such as an ad break (HLS draft -22, appendix D). Pure.

`X-ASSET-LIST` may be the list itself, `{"ASSETS": [{"URI": ..., "DURATION": ...}]}`: the origin then serves it, beside
the multivariant playlist.
"""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from origin.errors import Refused, printable
from origin.hls.attributes import Attributes, Form, one_of, quoted, refused, seconds, signed, some_of, whole

INTERSTITIAL = "com.apple.hls.interstitial"
ID_PARAMETER = "_HLS_interstitial_id"

MOST_ASSETS = 64
"""In a list. Breaks have fewer than ten; real decision servers send some twenty."""
LONGEST_URI = 2_048

_LABEL = re.compile(r"[A-Za-z_-]+")
_URI = re.compile(r"[!#-;=?-\[\]_a-z~]+")
"""What a URI may be written with (RFC 3986), no quotes among it."""


@dataclass(frozen=True, slots=True)
class OwnList:
    """An asset list that the origin serves."""

    attribute: str
    """The value of X-ASSET-LIST."""
    body: str
    """JSON."""
    duration: float
    """Of all its assets, seconds."""


def list_name(id: str) -> str:
    """The file name of an asset list, beside the multivariant playlist."""
    return f"asset-list-{id}.json"


def own_list(id: str, value: object) -> OwnList | None:
    """The list that a request has; None: it has a URI, or nothing. `Refused`: it is none."""
    if isinstance(value, list):
        value = {"ASSETS": value}
    if not isinstance(value, dict):
        return None
    unknown = value.keys() - {"ASSETS", "SKIP-CONTROL"}
    assets = value.get("ASSETS")
    if unknown or not isinstance(assets, list):
        wanted = '{"ASSETS": [{"URI": "https://...", "DURATION": 15}]}, and "SKIP-CONTROL" if need be'
        raise refused("X-ASSET-LIST", value, wanted)
    if len(assets) > MOST_ASSETS:
        raise Refused(413, f"X-ASSET-LIST: found {len(assets)} assets, wanted at most {MOST_ASSETS}.")
    made: dict[str, Any] = {"ASSETS": [_asset(f"ASSETS[{at}]", one) for at, one in enumerate(assets)]}
    if "SKIP-CONTROL" in value:
        made["SKIP-CONTROL"] = _skip_control(value["SKIP-CONTROL"])
    duration = sum(float(one["DURATION"]) for one in made["ASSETS"])
    # Relative, so that it is asked of the cache that the playlist came from; the same from every media playlist.
    uri = f"../{list_name(id)}?{ID_PARAMETER}={quote(id, safe='')}"
    return OwnList(f'"{uri}"', json.dumps(made, separators=(",", ":")), duration)


def _asset(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != {"URI", "DURATION"}:
        raise refused(where, value, '{"URI": "https://...", "DURATION": 15}')
    seconds(f"{where}.DURATION", value["DURATION"])
    return {"URI": _absolute(f"{where}.URI", value["URI"]), "DURATION": value["DURATION"]}


def _skip_control(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= {"OFFSET", "DURATION", "LABEL-ID"}:
        raise refused("SKIP-CONTROL", value, "OFFSET, DURATION and LABEL-ID, or some of them (HLS draft D.3)")
    for name, one in value.items():
        (_label if name == "LABEL-ID" else whole)(f"SKIP-CONTROL.{name}", one)
    return value


def check_interstitial(attributes: Attributes) -> None:
    """`Refused`: "either the X-ASSET-URI attribute or the X-ASSET-LIST attribute" (D.2)."""
    found = [name for name in ("X-ASSET-URI", "X-ASSET-LIST") if name in attributes]
    if len(found) != 1:
        raise Refused(
            400, f"found {' and '.join(found) or 'neither'}, wanted X-ASSET-URI or X-ASSET-LIST, one of them."
        )


def interstitial_form(name: str, id: str) -> Form | None:
    """The form of an attribute that this class defines; None: it does not."""
    if name in ("X-ASSET-URI", "X-ASSET-LIST"):
        check = _absolute if name == "X-ASSET-URI" else _uri
        return lambda name, value: f'"{_with_id(check(name, value), id)}"'
    return _FORMS.get(name)


def _uri(name: str, value: object) -> str:
    if not isinstance(value, str) or not _URI.fullmatch(value) or len(value) > LONGEST_URI:
        raise refused(name, value, f"a URI of at most {LONGEST_URI} characters")
    return value


def _absolute(name: str, value: object) -> str:
    wanted = "an absolute URI such as https://ads.example.com/1/multivariant.m3u8 (HLS draft D.2)"
    uri = _uri(name, value)
    try:
        parts = urlsplit(uri)
        is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_absolute = False
    if not is_absolute:
        raise Refused(400, f"{name}: found {printable(uri, 120)!r}, wanted {wanted}.")
    return uri


def _with_id(uri: str, id: str) -> str:
    """With the query parameter by which a decision server knows the date range (D.4)."""
    front, mark, fragment = uri.partition("#")
    if re.search(rf"[?&]{ID_PARAMETER}=", front):
        return uri
    return f"{front}{'&' if '?' in front else '?'}{ID_PARAMETER}={quote(id, safe='')}{mark}{fragment}"


def _label(name: str, value: object) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise refused(name, value, "letters, - and _")
    return quoted(name, value)


_FORMS: dict[str, Form] = {
    "X-RESUME-OFFSET": signed,
    "X-PLAYOUT-LIMIT": seconds,
    "X-SNAP": some_of("OUT", "IN"),
    "X-RESTRICT": some_of("SKIP", "JUMP"),
    "X-CONTENT-MAY-VARY": one_of("YES", "NO"),
    "X-TIMELINE-OCCUPIES": one_of("POINT", "RANGE"),
    "X-TIMELINE-STYLE": one_of("HIGHLIGHT", "PRIMARY"),
    "X-SKIP-CONTROL-OFFSET": whole,
    "X-SKIP-CONTROL-DURATION": whole,
    "X-SKIP-CONTROL-LABEL-ID": _label,
}
