"""docs/attacks.md says what the tables say."""

from pathlib import Path

from tests.real.attacks.document import SECTIONS, page


def test_the_page_is_written_from_the_tables() -> None:
    assert (Path(__file__).parents[3] / "docs" / "attacks.md").read_text() == page(), "make docs writes it anew"


def test_no_attack_is_told_twice() -> None:
    names = [(title, row.name) for title, _, rows in SECTIONS for row in rows]
    assert len(set(names)) == len(names)
