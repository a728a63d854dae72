"""The terminal: texts go out as they are. Brackets are no markup, and `:key:` is no picture.

What is shown holds paths, settings and what others said; whoever wants colour passes a `style` or a `rich.text.Text`.
"""

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that takes no text for more than it is."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)
