"""The terminal: texts go out as they are. Brackets are no markup, `:key:` is no picture, and ESC steers nothing.

What is shown holds paths, settings and what others said; whoever wants colour passes a `style` or a `rich.text.Text`.
"""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cdnkit.units import visible


class _Console(Console):
    """What controls a terminal comes from rich alone: in a text it is written out (`cdnkit.units.visible`)."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(visible, text.split("\n"))), style)


def console(*, stderr: bool = False) -> Console:
    """A console that takes no text for more than it is."""
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
