"""The line and column of each key of a TOML text, by its path, so that a complaint can point at it.

`tomllib` reads values without their positions. This reader only finds where each value ends, so it must be given text
that `tomllib` has accepted. Source: TOML 1.0.0 (keys, strings, tables, arrays of tables).
"""

import tomllib
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
"""Keys, and indexes into arrays and arrays of tables: ("behavior", 1, "ttl", "min")."""


@dataclass(frozen=True)
class Position:
    line: int
    column: int


class Positions:
    """The position of every key, table header and array element of one text; lines and columns count from 1."""

    def __init__(self, text: str) -> None:
        self._places: dict[Path, Position] = {(): Position(1, 1)}
        _Reader(text, self._places).document()

    def of(self, path: Path) -> Position:
        """The position of `path`, or of its nearest ancestor in the text."""
        while path not in self._places:
            path = path[:-1]
        return self._places[path]

    def paths(self) -> set[Path]:
        return set(self._places)


class _Reader:
    def __init__(self, text: str, places: dict[Path, Position]) -> None:
        # TOML allows CRLF; the columns of a line are the same either way.
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.places = places
        self.counts: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self.skip(" \t\n"):
            if self.text.startswith("[[", self.at):
                table = self.header(brackets=2)
            elif self.peek() == "[":
                table = self.header(brackets=1)
            else:
                self.pair(table)

    def header(self, *, brackets: int) -> Path:
        start = self.at
        self.at += brackets
        keys = self.dotted_key()
        self.skip(" \t")
        self.at += brackets
        path: Path = ()
        for key, _ in keys[:-1]:
            self.add((*path, key), start)
            path = self.enter((*path, key))
        path = (*path, keys[-1][0])
        self.add(path, start)
        if brackets == 2:
            count = self.counts.get(path, -1) + 1
            self.counts[path] = count
            path = (*path, count)
            self.add(path, start)
        else:
            path = self.enter(path)
        return path

    def enter(self, path: Path) -> Path:
        """A table header below an array of tables refers to the array's last element."""
        return (*path, self.counts[path]) if path in self.counts else path

    def pair(self, table: Path) -> None:
        path = table
        for key, start in self.dotted_key():
            path = (*path, key)
            self.add(path, start)
        self.skip(" \t")
        self.at += 1  # the equals sign
        self.value(path)

    def dotted_key(self) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        while True:
            self.skip(" \t")
            start = self.at
            if self.peek() in "\"'":
                keys.append((self.string(), start))
            else:
                while self.peek() not in " \t.=]":
                    self.at += 1
                keys.append((self.text[start : self.at], start))
            self.skip(" \t")
            if self.peek() != ".":
                return keys
            self.at += 1

    def value(self, path: Path) -> None:
        self.skip(" \t")
        match self.peek():
            case '"' | "'":
                self.string()
            case "[":
                self.array(path)
            case "{":
                self.inline_table(path)
            case _:
                while self.peek() not in ",]}#\n":
                    self.at += 1

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self.skip(" \t\n,") and self.peek() != "]":
            self.add((*path, index), self.at)
            self.value((*path, index))
            index += 1
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while self.skip(" \t\n,") and self.peek() != "}":
            self.pair(path)
        self.at += 1

    def string(self) -> str:
        """Skip a string; return its value, which only quoted keys need."""
        quote = self.peek()
        start = self.at
        if self.text.startswith(quote * 3, self.at):
            end = self.at + 3
            while not self.text.startswith(quote * 3, end):
                end += 2 if self.text[end] == "\\" and quote == '"' else 1
            # Up to two more quotes may stand directly before the closing three.
            while self.text.startswith(quote, end + 3):
                end += 1
            self.at = end + 3
        else:
            end = self.at + 1
            while self.text[end] != quote:
                end += 2 if self.text[end] == "\\" and quote == '"' else 1
            self.at = end + 1
        return _unquoted(self.text[start : self.at])

    def skip(self, blanks: str) -> bool:
        """Skip blanks and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#" and "\n" in blanks:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] in blanks:
                self.at += 1
            else:
                return True
        return False

    def peek(self) -> str:
        # A newline stands for the end of the text: it ends every token that the end would.
        return self.text[self.at] if self.at < len(self.text) else "\n"

    def add(self, path: Path, at: int) -> None:
        line_start = self.text.rfind("\n", 0, at) + 1
        # The first place wins: [a.b] also notes nothing for `a`, and [[a]] keeps `a` at its first element.
        self.places.setdefault(path, Position(self.text.count("\n", 0, at) + 1, at - line_start + 1))


def _unquoted(literal: str) -> str:
    value: Any = tomllib.loads(f"value = {literal}")["value"]
    return str(value)
