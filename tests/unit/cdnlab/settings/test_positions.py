"""Where keys stand: against TOML's corners one by one, and against tomllib on texts nobody thought of."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnlab.settings.positions import Path, Position, Positions

PLACES = [  # given                                              where is                       then
    ("a = 1", ("a",), (1, 1)),
    ("  a = 1\nb = 2", ("b",), (2, 1)),
    ("[t]\n\tkey = 1", ("t", "key"), (2, 2)),
    ("[t]\n", ("t",), (1, 1)),
    ("[[t]]\n[[t]]\nx = 1", ("t", 1, "x"), (3, 1)),
    ("[[t]]\n[[t]]\nx = 1", ("t", 1), (2, 1)),
    ("[[t]]\n[t.sub]\ny = 1\n[[t]]\n[t.sub]\ny = 2", ("t", 1, "sub", "y"), (6, 1)),
    ("[[t]]\n[[t.u]]\n[[t.u]]\nz = 1", ("t", 0, "u", 1, "z"), (4, 1)),
    ("a.b.c = 1", ("a", "b", "c"), (1, 5)),
    ("a . b = 1", ("a", "b"), (1, 5)),
    ('"a.b" = 1', ("a.b",), (1, 1)),
    (r'"a\u0062" = 1', ("ab",), (1, 1)),
    ("'a]b' = 1", ("a]b",), (1, 1)),
    ('["x]y".z]\nq = 1', ("x]y", "z", "q"), (2, 1)),
    ("a = { b = 1, c = { d = 2 } }", ("a", "c", "d"), (1, 20)),
    ("a = [1, [2, 3]]", ("a", 1, 1), (1, 13)),
    ("a = [\n  1, # one, [\n  2,\n]\nb = 1", ("a", 1), (3, 3)),
    ("a = [\n  1, # one, [\n  2,\n]\nb = 1", ("b",), (5, 1)),
    ("a = [{ x = 1 }, { x = 2 }]", ("a", 1, "x"), (1, 19)),
    ('a = "# [no] = table"\nb = 1', ("b",), (2, 1)),
    ('a = """\n[no]\nb = 0\n"""\nb = 1', ("b",), (5, 1)),
    ('a = """x\\""" y"""\nb = 1', ("b",), (2, 1)),
    ('a = """two quotes: """""\nb = 1', ("b",), (2, 1)),
    ("a = '''\\'''\nb = 1", ("b",), (2, 1)),
    ("a = 1979-05-27 07:32:00Z # when\nb = 1", ("b",), (2, 1)),
    ("a = 1\r\nb = 2\r\n", ("b",), (2, 1)),
    ("# only a comment\n\n[t] # a table\n# more\nk = 1", ("t", "k"), (5, 1)),
]


@pytest.mark.parametrize(("text", "path", "place"), PLACES)
def test_place(text: str, path: Path, place: tuple[int, int]) -> None:
    tomllib.loads(text)  # given only what TOML allows
    assert Positions(text).of(path) == Position(*place)


def test_what_is_not_written_stands_at_its_table() -> None:
    assert Positions("\n[t]\n").of(("t", "default", "of", "this")) == Position(2, 1)


def leaves(value: Any, path: Path = ()) -> set[Path]:
    """The path of every key and array element of parsed TOML."""
    steps: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    return {(*path, step) for step, _ in steps}.union(*(leaves(inner, (*path, step)) for step, inner in steps))


# All that means something to TOML, and a little that does not.
TEXT = st.text("ab1.\"'\\#[]{}=, \n\t\x7f\u00e9", max_size=6)
KEYS = TEXT
SCALARS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def quoted(text: str) -> str:
    # JSON's strings are TOML's but for DEL, which TOML wants escaped, and lone surrogates, which it has not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(key)} = {written(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[\n" + "".join(f"  {written(inner)}, # and\n" for inner in value) + "]" if value else "[]"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else repr(value)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Plain keys, tables, and arrays of tables with tables below them."""
    text = "".join(f"{quoted(key)} = {written(value)}\n" for key, value in draw(st.dictionaries(KEYS, VALUES)).items())
    for index, table in enumerate(draw(st.lists(st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))):
        head = draw(st.sampled_from([f"[table-{index}]", f"[[array]]\n[array.below{index}]", f'[a{index}."b.c"]']))
        text += f"\n{head}  # [not] = this\n" + "".join(f"\t{quoted(k)} = {written(v)}\n" for k, v in table.items())
    return text


@given(documents())
def test_knows_every_key_that_tomllib_reads_and_no_other(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # two tables of one name: rare, and not our business
    assert Positions(text).paths() - {()} == leaves(data)
