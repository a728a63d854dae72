"""nginx, Varnish and our edge asked the same: every difference is a row of docs/differences.md, with its reason."""

import pytest

from tests.outside.differential.compare import Rows
from tests.outside.differential.run import TABLE, differing, known, settled
from tests.outside.differential.servers import NGINX, VARNISH
from tests.outside.differential.themes import THEMES, Asks

SEEDS = (1, 2)

pytestmark = pytest.mark.live
needs_both = pytest.mark.skipif(
    not (NGINX and VARNISH),
    reason="nginx and varnishd are not both here (Debian, Ubuntu: apt-get install nginx-light varnish)",
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Rows, Rows, Rows]]:
    return [settled(tmp_path_factory.mktemp("three"), seed) for seed in SEEDS]


@needs_both
def test_every_difference_is_in_the_table(played: list[tuple[Rows, Rows, Rows]]) -> None:
    told = known()
    new = [
        f"| {' | '.join((*place, *cells))} | ? |"
        for rows in played
        for place, cells in differing(*rows).items()
        if place not in told or told[place].seen != cells
    ]
    assert not new, f"not in {TABLE.name}, or there with other cells:\n" + "\n".join(dict.fromkeys(new))


@needs_both
def test_every_row_of_the_table_is_still_seen(played: list[tuple[Rows, Rows, Rows]]) -> None:
    seen = {place for rows in played for place in differing(*rows)}
    assert set(known()) - seen == set()


@needs_both
def test_what_the_standard_leaves_no_choice_in_is_done(played: list[tuple[Rows, Rows, Rows]]) -> None:
    """The table must not explain away what is wrong in ours: these cells are what RFC 9111 demands."""
    for _, _, ours in played:
        for theme in ("no-store", "private", "Vary: *", "nothing said", "Expires: 0", "max-age before s-maxage=0"):
            assert ours[theme, "again"] == "200 asking", theme
        for theme in ("max-age", "s-maxage beside max-age"):
            assert ours[theme, "again"] == "200 from store (old)", theme
        assert ours["POST", "after"] == "200 asking" and ours["POST refused", "after"].startswith("200 from store")
        assert ours["origin dead, must-revalidate", "stale"].startswith("504")
        assert ours["Authorization", "another"] == "200 asking"
        assert ours["at the same instant", "five"] == "200 asking 1 for 5"
        assert ours["at the same instant, private", "five"] == "200 asking 5 for 5"


def test_the_table_gives_a_reason_for_each_and_names_themes_that_exist() -> None:
    from random import Random

    told = known()
    assert len(told) > 20
    for (theme, step), row in told.items():
        assert theme in THEMES, theme
        assert step in {asks.label for asks in THEMES[theme](Random(1)) if isinstance(asks, Asks)}, step
        assert len(row.why) > 20, f"{theme}, {step}: no reason"
        assert "RFC" in row.why or "§" in row.why or "ours" in row.why, f"{theme}, {step}: no source"
