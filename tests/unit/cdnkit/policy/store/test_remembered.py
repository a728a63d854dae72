"""What is remembered of keys: the latest half for certain, and never more than the bound."""

from cdnkit.policy.store.remembered import Remembered


def test_the_latest_half_is_there_and_never_more_than_all() -> None:
    known: Remembered[int] = Remembered(10)
    for n in range(100):
        known.put(f"/{n}", n)
        assert len(known) <= 10
        assert [known.get(f"/{late}") for late in range(max(0, n - 4), n + 1)] == list(range(max(0, n - 4), n + 1))
    assert known.get("/0") is None


def test_the_last_value_counts_and_a_dropped_key_is_gone_from_both_generations() -> None:
    known: Remembered[str] = Remembered(4)
    for key, value in (("/a", "evicted"), ("/b", "lost"), ("/a", "purged")):
        known.put(key, value)
    assert (known.get("/a"), known.get("/b"), len(known)) == ("purged", "lost", 2)
    assert list(known.items()) == [(hash("/b"), "lost"), (hash("/a"), "purged")]
    known.drop("/a")
    known.drop("/never")
    assert (known.get("/a"), known.get("/b")) == (None, "lost")
