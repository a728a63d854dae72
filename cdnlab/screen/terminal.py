"""Consoles that print texts as they are: brackets are not markup, `:key:` is not an emoji, and ESC controls nothing.

The texts hold paths, settings and input from outside. For colour pass a `style` or a `rich.text.Text`.
"""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cdnkit.units import visible


class _Console(Console):
    """Only rich's own control sequences reach the terminal; those in a text are escaped (`cdnkit.units.visible`)."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(visible, text.split("\n"))), style)


def console(*, stderr: bool = False) -> Console:
    """A console that prints texts as they are."""
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
