"""The ledger of heads as a file: what it is for others, and for itself when it is opened again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.stores.ledger import Head, Ledger

HEADS = [Head(number, {"key": f"/{number}"}, 10 * number, bytes([number]) * 32) for number in (1, 2, 3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(Ledger(tmp_path / "heads.sqlite3")) as ledger:
        assert ledger.belongs_to("rules") == ""
        ledger.write(HEADS, [(2, {"key": "/changed"})], [3], mark="m 1")
    return tmp_path / "heads.sqlite3"


def test_it_is_written_to_a_log_beside_it(path: Path) -> None:
    """A write is one append and no sync of the whole file; and a reader of a copy finds it whole."""
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_nobody_else_opens_it_meanwhile(path: Path) -> None:
    with closing(Ledger(path)), closing(sqlite3.connect(path, timeout=0.0)) as other, pytest.raises(sqlite3.Error):
        other.execute("SELECT * FROM heads")


def test_what_was_written_is_there_again(path: Path) -> None:
    with closing(Ledger(path)) as ledger:
        assert ledger.belongs_to("rules") == ""
        assert list(ledger.heads()) == [HEADS[0], HEADS[1]._replace(values={"key": "/changed"})]
        assert ledger.mark() == "m 1"


def test_of_other_rules_it_says_so_and_begins_anew(path: Path) -> None:
    with closing(Ledger(path)) as ledger:
        assert "under other settings" in ledger.belongs_to("others")
        ledger.start_over("others")
        assert (ledger.belongs_to("others"), list(ledger.heads()), ledger.mark()) == ("", [], None)


def test_of_another_format_it_says_which(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        (version,) = opened.execute("PRAGMA user_version").fetchone()
        opened.execute(f"PRAGMA user_version = {version + 1}")
    with closing(Ledger(path)) as ledger:
        assert ledger.belongs_to("rules") == f"it has format {version + 1}, wanted {version}"


def test_heads_of_before_go_a_few_at_a_time(path: Path) -> None:
    with closing(Ledger(path)) as ledger:
        ledger.write(HEADS, [], [], emptied=True)
        assert [head.id for head in ledger.heads() if isinstance(head, Head)] == [1, 2, 3]
        assert [ledger.let_go(1) for _ in range(4)] == [True, True, True, False]  # two, and the table they were in
