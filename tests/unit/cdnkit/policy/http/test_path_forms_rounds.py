"""How often an origin may decode a path: rows on the limit, and beside it."""

import pytest

from cdnkit.policy.http.path_forms import path_forms

ROUNDS = [  # a path             what an origin that decodes so often makes of it
    ("/%61", 1, True),
    ("/%2561", 2, True),
    ("/%252561", 3, True),  # the last round that is looked at
    ("/%25252561", 4, False),  # four times is nobody
]


@pytest.mark.parametrize(("path", "rounds", "seen"), ROUNDS)
def test_exactly_three_rounds_of_decoding(path: str, rounds: int, seen: bool) -> None:
    spelling = path_forms(path)
    assert ("/a" in (spelling.normal, *spelling.lenient)) is seen
    assert path.count("25") + 1 == rounds


CLIMBS = [  # dot segments behind that many rounds
    ("/a/%2e%2e/b", True),
    ("/a/%252e%252e/b", True),
    ("/a/%25252e%25252e/b", True),
    ("/a/%2525252e%2525252e/b", False),
]


@pytest.mark.parametrize(("path", "climbs"), CLIMBS)
def test_dot_segments_behind_exactly_three_rounds(path: str, climbs: bool) -> None:
    assert path_forms(path).has_dot_segments is climbs
