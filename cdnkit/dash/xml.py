"""XML, written an element at a time: every attribute is escaped, and what is opened is closed."""

from xml.sax.saxutils import escape, quoteattr

from cdnkit.units import visible

Attribute = str | int | None
"""None: the element goes without it."""


class Xml:
    """One document."""

    def __init__(self) -> None:
        self._lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._open: list[str] = []

    def open(self, name: str, **attributes: Attribute) -> None:
        """Begin an element that has others inside."""
        self._lines.append(f"{self._tag(name, attributes)}>")
        self._open.append(name)

    def leaf(self, name: str, **attributes: Attribute) -> None:
        """An element with nothing inside."""
        self._lines.append(f"{self._tag(name, attributes)}/>")

    def words(self, name: str, text: str, **attributes: Attribute) -> None:
        """An element with text inside."""
        self._lines.append(f"{self._tag(name, attributes)}>{escape(visible(text))}</{name}>")

    def close(self) -> None:
        """End the element that was opened last."""
        name = self._open.pop()
        self._lines.append(f"{'  ' * len(self._open)}</{name}>")

    def text(self) -> str:
        """The document, once all is closed."""
        assert not self._open, self._open
        return "\n".join(self._lines) + "\n"

    def _tag(self, name: str, attributes: dict[str, Attribute]) -> str:
        written = [f" {key}={quoteattr(str(value))}" for key, value in attributes.items() if value is not None]
        return f"{'  ' * len(self._open)}<{name}{''.join(written)}"
