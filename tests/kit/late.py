"""No test fails because the machine is slow.

A bound on waiting is a statement about the code; what a busy machine adds to it is absolute.

So such a bound is stated in delays that the test chose, and one that was missed is judged again with longer delays, beside
which the machine's noise is small: whoever waits for his turn in a queue misses it at any delay.
"""

from collections.abc import Callable

GUARD_S = 30.0
"""How long tests wait for what must happen: it is only reached where it does not."""

PROMPT_S = 10.0
"""What waits for nobody has done by then, on any machine; what waits for somebody who never comes has not."""

LONGER = (1, 3, 9)
"""The delays' factors, one after the other."""


TRIES = 3


class Late(AssertionError):
    """A bound on waiting was missed: by the code, or because the machine was busy."""


def judged(attempt: Callable[[float], None], delay: float) -> None:
    """Makes `attempt(delay)`; where it is `Late`, again with a longer delay. All other errors are final."""
    for factor in LONGER:
        try:
            attempt(factor * delay)
        except Late:
            if factor == LONGER[-1]:
                raise
        else:
            return


def again(attempt: Callable[[], None]) -> None:
    """The same for a bound in seconds that the product promises: missed by the code, it is missed each time."""
    for left in reversed(range(TRIES)):
        try:
            attempt()
        except Late:
            if not left:
                raise
        else:
            return
