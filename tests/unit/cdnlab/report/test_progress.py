"""How far reading is: shares that grow, and the last of them is 1."""

import duckdb

from cdnlab.report.progress import watched


def test_shares_grow_up_to_one() -> None:
    heard: list[float] = []
    with duckdb.connect(":memory:") as db, watched(db, heard.append):
        db.execute("SELECT count(*) FROM range(100000000) AS n(x) WHERE x % 7 = 3 AND sqrt(x) > 5")
    assert heard[-1] == 1.0
    assert heard == sorted(heard) and heard[0] >= 0.0


def test_a_query_that_fails_is_not_done() -> None:
    heard: list[float] = []
    try:
        with duckdb.connect(":memory:") as db, watched(db, heard.append):
            db.execute("SELECT * FROM nothing")
    except duckdb.CatalogException:
        assert 1.0 not in heard
    else:
        raise AssertionError("no such table")
