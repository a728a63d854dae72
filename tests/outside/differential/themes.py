"""What is asked of all three: one theme is one habit of caching, with parameters by chance that must not matter."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from cdnkit.policy.http.dates import format_date


@dataclass(frozen=True)
class Says:
    """From now on the origin answers so; each is a new version of the body."""

    status: int = 200
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dies:
    """From now on the origin hangs up on who asks."""


@dataclass(frozen=True)
class Asks:
    """A request; its label names the row of docs/differences.md."""

    label: str
    fields: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    query: str = ""
    times: int = 1
    """So many at the same instant."""
    settle: float = 0.0
    """So long after the answer the origin's questions are counted: a refresh may begin behind the viewer's back."""
    age: bool = False
    """Whether the answer has an Age counts too."""


@dataclass(frozen=True)
class Pauses:
    """Real time: these servers have no other."""

    seconds: float


Script = list[Says | Dies | Asks | Pauses]

EXPIRY = Pauses(2.2)
"""nginx and Varnish count in whole seconds: a lifetime of one may last for nearly two."""


def _says(control: str | None = None, status: int = 200, **fields: str) -> Says:
    lines = {name.replace("_", "-"): value for name, value in fields.items()}
    return Says(status, ({"cache-control": control} if control is not None else {}) | lines)


def _long(chance: Random) -> int:
    return chance.choice([30, 60, 600, 86_400])


def _twice(control: str | None, status: int = 200, **fields: str) -> Script:
    return [_says(control, status, **fields), Asks("first"), _says(control, status, **fields), Asks("again")]


def _date(chance: Random, offset: int) -> str:
    return format_date(time.time() + offset)


THEMES: dict[str, Callable[[Random], Script]] = {
    "max-age": lambda c: _twice(f"max-age={_long(c)}"),
    "max-age, quoted": lambda c: _twice(f'max-age="{_long(c)}"'),
    "max-age=x": lambda c: _twice("max-age=x", expires=_date(c, _long(c))),
    "max-age=-1": lambda c: _twice("max-age=-1", expires=_date(c, _long(c))),
    "max-age=1.5": lambda c: _twice("max-age=1.5", expires=_date(c, _long(c))),
    "max-age, twice": lambda c: _twice(f"max-age=0, max-age={_long(c)}"),
    "Max-Age, upper case": lambda c: _twice(f"MAX-AGE={_long(c)}"),
    "directive inside a quoted string": lambda c: _twice(f'x="max-age={_long(c)}", max-age=0'),
    "s-maxage beside max-age": lambda c: _twice(f"s-maxage={_long(c)}, max-age=0"),
    "max-age before s-maxage=0": lambda c: _twice(f"max-age={_long(c)}, s-maxage=0"),
    "CDN-Cache-Control": lambda c: _twice("max-age=0", cdn_cache_control=f"max-age={_long(c)}"),
    "Expires": lambda c: _twice(None, expires=_date(c, _long(c)), date=_date(c, 0)),
    "Expires: 0": lambda c: _twice(None, expires="0"),
    "heuristic (Last-Modified only)": lambda c: _twice(None, last_modified=_date(c, -1_000_000)),
    "nothing said": lambda c: _twice(None),
    "Age beyond the lifetime": lambda c: _twice("max-age=60", age=str(c.choice([61, 1000]))),
    "Age": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first", age=True), Pauses(1.1), Asks("again", age=True),
    ],
    "no-store": lambda c: _twice(f"no-store, max-age={_long(c)}"),
    "private": lambda c: _twice(f"private, max-age={_long(c)}"),
    "no-cache": lambda c: _twice(f"no-cache, max-age={_long(c)}", etag='"v"'),
    "private with a field name": lambda c: _twice(f'private="x-a", max-age={_long(c)}', x_a="1"),
    "Set-Cookie": lambda c: _twice(f"max-age={_long(c)}", set_cookie="a=b"),
    "Cookie": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first", {"cookie": "a=1"}), Asks("again", {"cookie": "a=2"}),
    ],
    "Authorization": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first", {"authorization": "Basic YTph"}), Asks("another"), Asks("again"),
    ],
    "Authorization, public": lambda c: [
        _says(f"public, max-age={_long(c)}"), Asks("first", {"authorization": "Basic YTph"}), Asks("another"),
    ],
    "Vary": lambda c: [
        _says(f"max-age={_long(c)}", vary="Accept-Language"), Asks("first", {"accept-language": "de"}),
        Asks("another value", {"accept-language": "fr"}), Asks("first value again", {"accept-language": "de"}),
        Asks("none"), Asks("none again"),
    ],
    "Vary, equivalent values": lambda c: [
        _says(f"max-age={_long(c)}", vary="Accept-Language"), Asks("first", {"accept-language": "de, fr"}),
        Asks("other spacing", {"accept-language": "de,fr"}), Asks("other case", {"accept-language": "DE, fr"}),
    ],
    "Vary: *": lambda c: _twice(f"max-age={_long(c)}", vary="*"),
    "query": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first", query="?a=1"), Asks("other query", query="?a=2"), Asks("same", query="?a=1"),
    ],
    "404": lambda c: _twice(None, 404),
    "404 with a lifetime": lambda c: _twice(f"max-age={_long(c)}", 404),
    "503 with a lifetime": lambda c: _twice(f"max-age={_long(c)}", 503),
    "302 with a lifetime": lambda c: _twice(f"max-age={_long(c)}", 302, location="/x"),
    "307 with a lifetime": lambda c: _twice(f"max-age={_long(c)}", 307, location="/x"),
    "204 with a lifetime": lambda c: _twice(f"max-age={_long(c)}", 204),
    "revalidation": lambda c: [
        _says("max-age=1", etag='"v"'), Asks("first"), EXPIRY, _says(f"max-age={_long(c)}", etag='"v"'), Asks("stale"), Asks("again"),
    ],
    "revalidation, weak": lambda c: [
        _says("max-age=1", etag='W/"v"'), Asks("first"), EXPIRY, _says(f"max-age={_long(c)}", etag='W/"v"'), Asks("stale"), Asks("again"),
    ],
    "revalidation, changed": lambda c: [
        _says("max-age=1", etag='"v"'), Asks("first"), EXPIRY, _says("max-age=60", etag='"w"'), Asks("stale"), Asks("again"),
    ],
    "stale-while-revalidate": lambda c: [
        _says(f"max-age=1, stale-while-revalidate={_long(c)}"), Asks("first"), EXPIRY, _says("max-age=60"),
        Asks("stale", settle=0.3), Pauses(0.5), Asks("again"),
    ],
    "stale-if-error": lambda c: [
        _says(f"max-age=1, stale-if-error={_long(c)}", etag='"v"'), Asks("first"), EXPIRY, Says(503), Asks("503"),
        Dies(), Asks("dead"),
    ],
    "origin dead, nothing said": lambda c: [_says("max-age=1", etag='"v"'), Asks("first"), EXPIRY, Dies(), Asks("stale")],
    "origin 503, nothing said": lambda c: [_says("max-age=1", etag='"v"'), Asks("first"), EXPIRY, Says(503), Asks("stale")],
    "origin dead, must-revalidate": lambda c: [
        _says("max-age=1, must-revalidate", etag='"v"'), Asks("first"), EXPIRY, Dies(), Asks("stale"),
    ],
    "origin dead, nothing stored": lambda c: [Dies(), Asks("first")],
    "POST": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first"), _says(f"max-age={_long(c)}"), Asks("post", {"content-length": "0"}, "POST"),
        Asks("after"),
    ],
    "POST refused": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first"), Says(403), Asks("post", {"content-length": "0"}, "POST"), Asks("after"),
    ],
    "HEAD": lambda c: [_says(f"max-age={_long(c)}"), Asks("first"), Asks("head", method="HEAD")],
    "HEAD first": lambda c: [_says(f"max-age={_long(c)}"), Asks("head", method="HEAD"), Asks("get")],
    "Range": lambda c: [
        _says(f"max-age={_long(c)}", etag='"v"'), Asks("first"), Asks("part", {"range": "bytes=0-1"}), Asks("suffix", {"range": "bytes=-1"}),
        Asks("beyond", {"range": "bytes=999-"}), Asks("other unit", {"range": "lines=0-1"}),
        Asks("If-Range, weak", {"range": "bytes=0-1", "if-range": 'W/"v"'}),
    ],
    "Range first": lambda c: [_says(f"max-age={_long(c)}"), Asks("part", {"range": "bytes=0-1"}), Asks("whole")],
    "If-None-Match": lambda c: [
        _says(f"max-age={_long(c)}", etag='"v"'),
        Asks("first"),
        Asks("same", {"if-none-match": '"v"'}),
        Asks("weak", {"if-none-match": 'W/"v"'}),
        Asks("in a list", {"if-none-match": '"x", "v"'}),
        Asks("another", {"if-none-match": '"x"'}),
        Asks("star", {"if-none-match": "*"}),
    ],
    "If-None-Match first": lambda c: [_says(f"max-age={_long(c)}", etag='"v"'), Asks("same", {"if-none-match": '"v"'}), Asks("get")],
    "If-Modified-Since": lambda c: [
        _says(f"max-age={_long(c)}", last_modified=_date(c, -1000)), Asks("first"),
        Asks("later", {"if-modified-since": _date(c, -10)}), Asks("earlier", {"if-modified-since": _date(c, -100_000)}),
    ],
    "request no-cache": lambda c: [_says(f"max-age={_long(c)}"), Asks("first"), Asks("reload", {"cache-control": "no-cache"})],
    "request max-age": lambda c: [
        _says(f"max-age={_long(c)}"), Asks("first"), EXPIRY, Asks("not older than 1 s", {"cache-control": "max-age=1"}),
    ],
    "only-if-cached": lambda c: [_says("max-age=60"), Asks("cold", {"cache-control": "only-if-cached"})],
    "at the same instant": lambda c: [_says("max-age=60"), Asks("five", times=5), Asks("again")],
    "at the same instant, private": lambda c: [_says("private"), Asks("five", times=5)],
}  # fmt: skip
