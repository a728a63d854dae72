"""What holds for all tests."""

import ast
import gc
from functools import wraps
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# A busy machine fails no property. `make test` draws the same examples each time: whether a change is taken is no matter of
# luck. `make random` draws others.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile("same")

_constants = providers._get_local_constants


def _constants_of_random() -> providers.Constants:
    """The constants that hypothesis finds in the modules that are loaded, where its examples are to differ.

    Which modules are loaded depends on the tests that ran before, so the same examples come only without them.
    """
    return providers._local_constants if settings.get_current_profile_name() == "same" else _constants()


providers._get_local_constants = _constants_of_random

_parse = ast.parse


@wraps(_parse)
def _without_collection(*arguments: Any, **named: Any) -> Any:
    """`ast.parse`, with no garbage collected meanwhile.

    A collection may end a task whose failure nobody has seen; asyncio logs it with its traceback, and a traceback parses
    source, too. CPython 3.11 takes this for a broken recursion ("AST constructor recursion depth mismatch"): one failed
    test, whose source pytest shows, then ends the whole run.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        return _parse(*arguments, **named)
    finally:
        if enabled:
            gc.enable()


ast.parse = _without_collection
