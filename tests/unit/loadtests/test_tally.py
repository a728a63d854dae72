"""What is counted, and what Cache-Status is taken to say."""

from collections import Counter

import pytest

from loadtests.tally import Tally, cache_outcome, distribution, hit_share

STATUS = [  # Cache-Status                                    the cache nearest to the client
    ("", ""),
    ("fra; hit; ttl=3", "hit"),
    ("shield; hit, fra; fwd=uri-miss; stored", "fwd=uri-miss"),  # the last member is nearest
    ("shield; fwd=miss, fra; hit", "hit"),
    ("fra; fwd=miss; collapsed", "collapsed"),
    ("fra; fwd=stale; fwd-status=304", "fwd=stale"),
    ('"fra, the edge"; hit; detail="a; b, c"', "hit"),
    ("fra; hit=?0; fwd=bypass", "fwd=bypass"),
    ("fra; ttl=3", "?"),
    (";;;", "?"),
]


@pytest.mark.parametrize(("field", "word"), STATUS)
def test_cache_status(field: str, word: str) -> None:
    assert cache_outcome(field) == word


def test_hit_share_leaves_out_what_is_not_the_cache_s_business() -> None:
    counts = {"hit": 6, "collapsed": 1, "fwd=uri-miss": 1, "fwd=bypass": 5, "fwd=method": 5, "": 9, "?": 9}
    assert hit_share(counts) == 7 / 8
    assert hit_share({"": 3}) is None
    assert hit_share({}) is None


def test_distribution_is_nearest_rank() -> None:
    counts = Counter(dict.fromkeys(range(1, 101), 1))
    assert distribution(counts) == {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    assert distribution(Counter({7: 1}), 0.1) == {"p50": 0.7, "p90": 0.7, "p99": 0.7, "max": 0.7}
    assert distribution(Counter()) is None


def test_sums_over_keys() -> None:
    tally = Tally()
    segment, playlist = ("fra", "720p", "segment"), ("fra", "720p", "media-playlist")
    for _ in range(3):
        tally.record(segment, size_bytes=1000, ttfb_ms=5, cache_status="fra; hit")
    tally.record(segment, size_bytes=0, ttfb_ms=-1, failure="timeout")
    tally.record(playlist, size_bytes=10, ttfb_ms=1, cache_status="fra; fwd=stale", age=2)
    total = tally.sum()
    assert (total.count, total.size_bytes, total.failures) == (5, 3010, {"timeout": 1})
    assert total.cache == {"hit": 3, "": 1, "fwd=stale": 1}
    assert sum(total.ttfb_ms.values()) == 4  # no answer, no time to its first byte
    assert tally.sum([playlist]).age == {2: 1}
