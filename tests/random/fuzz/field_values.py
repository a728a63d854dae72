"""Field values nobody would send, through every parser: no exception, no long wait, no impossible value."""

import itertools
import time
from collections.abc import Callable
from random import Random

from cdnkit.policy import Headers, RequestHead, ResponseHead
from cdnkit.policy.freshness.directives import parse_targeted
from cdnkit.policy.freshness.storable import content_length
from cdnkit.policy.freshness.surrogate import parse_surrogate
from cdnkit.policy.http import cache_control, dates, etags, ranges
from cdnkit.policy.http.hops import visited
from cdnkit.policy.http.negotiation import normalised, preferred_language
from cdnkit.policy.store.index import surrogate_keys_of, vary_names
from cdnkit.policy.upstream.invalidation import related_targets

NOW = 1_795_000_000.0
LONGEST_BYTES = 16_384
"""The longest value tried. Servers take heads of 8 to 64 KiB: nginx 8, h11 16 (hypercorn's), Varnish 32."""
SLOW_SECONDS = 0.25
"""A parser that takes longer for one value can be used to stop a node. All take under 10 ms where they are linear."""

SEEDS = (
    "max-age=60, s-maxage=10", 'private="set-cookie, x-a", no-cache', 'max-age="60", ext="a\\"b, c=d"', "no-store",
    "stale-while-revalidate=30, stale-if-error=99999999999999999999", '"a", W/"b,c", "d"', "*", '"\x80\xff"',
    "bytes=0-1,5-,-3", "bytes=-", "bytes 0-9/10", "0-9/*", "Wed, 18 Nov 2026 11:06:45 GMT", "Wednesday, 18-Nov-26 11:06:45 GMT",
    "Wed Nov 18 11:06:45 2026", "Mon, 31 Feb 0000 24:61:61 GMT", "de-DE, de;q=0.8, *;q=0.1", "en;q=nan, fr;q=1e9",
    "Accept-Encoding, *", "1.1 fra, HTTP/1.0 x (comment)", "max-age=6.0, no-store=?0", 'a=("x" "y";q=1);b, c=:aGk=:',
    "http://h/b?x#y", "//[::1", "http://[x]/", "10, 10", "-1", "0x10",
)  # fmt: skip
PIECES = (
    '"',
    "\\",
    '\\"',
    ",",
    ", ",
    "=",
    ";",
    "a",
    "max-age",
    "=1",
    " ",
    "\t",
    "(",
    ")",
    "*",
    "W/",
    "-",
    "\x00",
    "\xff",
    "é",
)


def _head(name: str, value: str) -> Headers:
    return Headers([(name, value)])


def _request(name: str, value: str) -> RequestHead:
    return RequestHead("POST", "http", "h", "/a", None, _head(name, value))


def _bounded_spans(text: str) -> None:
    for length in (0, 1, 10):
        found = ranges.spans(text, length) or ()
        assert all(0 <= span.start < span.stop <= length for span in found), f"{found} of {length}"
        assert all(one.stop < other.start for one, other in itertools.pairwise(found)), f"{found} overlap"
        inside = ranges.within(text, ranges.Span(2, 8), length)
        assert inside is None or 2 <= inside.start < inside.stop <= 8, f"{inside} is not inside"


def _sane_content_range(text: str) -> None:
    for value in (text, "bytes " + text):
        read = ranges.content_range(value)
        if read is not None:
            assert 0 <= read.span.start < read.span.stop
            assert read.total is None or read.span.stop <= read.total


def _dates_there_and_back(text: str) -> None:
    moment = dates.parse_date(text, NOW)
    if moment is not None and moment >= 0:
        assert dates.parse_date(dates.format_date(moment), NOW) == moment


def _sane_control(text: str) -> None:
    read = cache_control.parse(text)
    for value in (read.max_age, read.s_maxage, read.stale_while_revalidate, read.stale_if_error, read.min_fresh):
        assert value is None or 0 <= value <= cache_control.LONGEST


PARSERS: dict[str, Callable[[str], object]] = {
    "cache-control": _sane_control,
    "cdn-cache-control": parse_targeted,
    "surrogate-control": parse_surrogate,
    "etag list": etags.tag_list,
    "etag": lambda text: (etags.is_strong(text), etags.weakly_equal(text, '"a"'), etags.strongly_equal(text, text)),
    "date": _dates_there_and_back,
    "range": _bounded_spans,
    "content-range": _sane_content_range,
    "vary": lambda text: vary_names(_head("vary", text)),
    "surrogate-key": lambda text: surrogate_keys_of(_head("surrogate-key", text)),
    "content-length": lambda text: content_length(_head("content-length", text)),
    "via": lambda text: visited(_request("via", text), "fra"),
    "accept-language": lambda text: (normalised("accept-language", text), preferred_language(text)),
    "x-any": lambda text: normalised("x-any", text),
    "location": lambda text: related_targets(_request("a", "b"), ResponseHead(200, _head("location", text))),
}


def some_value(chance: Random) -> str:
    """A known value bent a little, a random one, or one piece said very often."""
    kind = chance.random()
    if kind < 0.6:
        text = chance.choice(SEEDS)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(text) + 1)
            match chance.randrange(4):
                case 0:
                    text = text[:at] + chance.choice(PIECES) + text[at:]
                case 1:
                    text = text[:at] + text[at + 1 :]
                case 2:
                    text = text[:at] + chr(chance.randrange(256)) + text[at + 1 :]
                case 3:
                    text = text[:at] + chance.choice(SEEDS) + text[at:]
        return text
    if kind < 0.95:
        return "".join(chance.choice(PIECES) for _ in range(chance.randrange(40)))
    start, again, end = (
        "".join(chance.choice(PIECES) for _ in range(chance.randrange(least, 4))) for least in (0, 1, 0)
    )
    return (start + again * (LONGEST_BYTES // len(again)))[:LONGEST_BYTES] + end


def wrong_with(name: str, text: str) -> str | None:
    """What is wrong with this parser's reading of `text`: "raised ...", "took ..."; None when nothing is."""
    parser = PARSERS[name]
    spent = SLOW_SECONDS
    for _ in range(3):  # the least of three: a busy machine makes one slow
        began = time.process_time()
        try:
            parser(text)
        except Exception as crash:
            return f"raised {crash!r}"
        spent = time.process_time() - began
        if spent <= SLOW_SECONDS:
            break
    return f"took {spent:.2f} s for {len(text)} characters" if spent > SLOW_SECONDS else None
