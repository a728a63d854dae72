"""Requests and responses in the words of tests/kit/machine.py: `get(...)`, `says(...)`."""

from tests.random.fuzz.steps import Ask


def get_text(ask: Ask, lines: dict[str, str]) -> str:
    method = [] if ask.method == "GET" else [f"method={ask.method!r}"]
    return f"get({', '.join([repr(ask.target), *method, *_keywords(lines)])})"


def says_text(status: int, lines: dict[str, str]) -> str:
    return f"says({', '.join([str(status), *_keywords(lines)])})"


def _keywords(lines: dict[str, str]) -> list[str]:
    return [f"{name.replace('-', '_')}={value!r}" for name, value in lines.items()]
