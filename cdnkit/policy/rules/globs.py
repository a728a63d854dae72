"""Globs: in them `*` stands for any characters, "/" too, and `?` for exactly one.

Operators write them, and any viewer may send what they are compared with, so the time must not grow with each star.
What stands between two stars is taken at its first place and never looked for again (an atomic group): if the rest fits
behind a later place, it fits behind the first one, too.
"""

import re


def glob(*globs: str, one: str = ".") -> re.Pattern[str]:
    """What `match`es a whole text that one of them covers; `one`: the expression that a `?` stands for."""
    return re.compile("|".join(_expression(text, one) for text in globs), re.DOTALL)


def _expression(text: str, one: str) -> str:
    first, *others = ("".join(one if c == "?" else re.escape(c) for c in part) for part in re.split(r"\*+", text))
    if not others:
        return rf"{first}\Z"
    *between, last = others
    return first + "".join(f"(?>.*?{part})" for part in between) + rf".*{last}\Z"
