"""What holds for all tests."""

import ast
import gc
from functools import wraps
from typing import Any

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
