"""The forms of a path: its normal form (RFC 3986 §6.2.2), and what lenient origins may read it as.

A behavior is chosen by the path's normal form; key and parent get the path as it came, as in CloudFront ("Cache
behavior settings", Path normalization). An origin may be more lenient than the standard: decode "%2F" to "/", decode
twice, take "\\" for "/", cut at ";" or NUL. A path that such an origin could read as one under a guarded behavior is
refused (`Matcher.ambiguity`); otherwise a viewer could pass a gate by the form of a path.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PLAIN = re.compile(r"(?:/(?!/|\.\.?(?:/|$))[^%;\\/]*)+")
"""Paths with one form: the usual ones."""
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_LENIENT = re.compile(r"%u([0-9A-Fa-f]{4})|%([cC][01])%([89abAB][0-9A-Fa-f])|%[eE]0%80%([89abAB][0-9A-Fa-f])")
"""What some decoders take besides: %uXXXX, and characters of one octet written as two or three (RFC 3629 §3)."""
_RUN = re.compile(r"/{2,}")
_ROUNDS = 3
"""How often an origin may decode: once is right, twice is common, a third time is somebody's proxy in between."""


@dataclass(frozen=True, slots=True)
class PathForms:
    """The forms of one path."""

    normal: str
    """Its normal form: unreserved characters decoded, dot segments gone, runs of "/" one."""
    lenient: tuple[str, ...] = ()
    """Other forms that lenient origins may read."""
    has_dot_segments: bool = False
    """One of the forms has dot segments."""


def has_one_form(path: str) -> bool:
    """Whether it is in its normal form, and nobody reads anything else in it; most are."""
    return _PLAIN.fullmatch(path) is not None


def path_forms(path: str) -> PathForms:
    if has_one_form(path):
        return PathForms(path)
    normal, climbs = _without_dot_segments(decoded(path))
    lenient: dict[str, None] = {}
    for reading in _lenient_forms(path):
        resolved, up = _without_dot_segments(reading)
        lenient[resolved] = None
        climbs = climbs or up
    lenient.pop(normal, None)
    return PathForms(normal, tuple(lenient), climbs)


def decoded(path: str) -> str:
    """With unreserved characters as themselves, and the hex digits of others in upper case (RFC 3986 §6.2.2)."""
    return _ENCODED.sub(_unreserved, path)


def _unreserved(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character.isascii() and (character.isalnum() or character in "-._~") else found[0].upper()


def _lenient_forms(path: str) -> Iterator[str]:
    """After each round of decoding, of both kinds: as it stands, and with all liberties taken."""
    for _ in range(_ROUNDS):
        path = _ENCODED.sub(lambda found: chr(int(found[1], 16)), _LENIENT.sub(_overlong, path))
        yield path
        cut = re.split(r"[\0?#]", path, maxsplit=1)[0].replace("\\", "/")
        yield cut
        yield re.sub(r";[^/]*", "", cut)


def _overlong(found: re.Match[str]) -> str:
    if found[1] is not None:
        return chr(int(found[1], 16) & 0xFF)
    if found[2] is not None:
        return chr((int(found[2], 16) & 1) << 6 | int(found[3], 16) & 0x3F)
    return chr(int(found[4], 16) & 0x3F)


def _without_dot_segments(path: str) -> tuple[str, bool]:
    """(without dot segments and empty ones, whether there were dot segments). Source: RFC 3986 §5.2.4."""
    out: list[str] = []
    climbs = False
    segments = _RUN.sub("/", path).split("/")[1:]
    for place, segment in enumerate(segments):
        if segment in (".", ".."):
            climbs = True
            if segment == ".." and out:
                out.pop()
            if place == len(segments) - 1:
                out.append("")
        else:
            out.append(segment)
    return "/" + "/".join(out), climbs
