"""Globs: `*` matches any characters, "/" too, and `?` exactly one.

Operators write globs, and viewers choose the texts they are matched with, so the time must not grow with each star. The
text between two stars is matched at its first place and never again (an atomic group): if the rest matches behind a
later place, it also matches behind the first.
"""

import re


def glob(*globs: str, one: str = ".") -> re.Pattern[str]:
    """A pattern that matches whole texts that one of the globs covers; `one`: the expression for `?`."""
    return re.compile("|".join(_expression(text, one) for text in globs), re.DOTALL)


def _expression(text: str, one: str) -> str:
    first, *others = ("".join(one if c == "?" else re.escape(c) for c in part) for part in re.split(r"\*+", text))
    if not others:
        return rf"{first}\Z"
    *between, last = others
    return first + "".join(f"(?>.*?{part})" for part in between) + rf".*{last}\Z"
