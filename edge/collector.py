"""The cycle collector of CPython, and what it does not have to walk over.

A full pass of the collector looks at every object that may be part of a cycle, and stops the node meanwhile: 0.3 us an
object, and a stored response of a hundred fields is a dozen of them. But a stored response refers to nothing that
refers back to it, so counting references frees it, and the passes over it are for nothing. It is therefore *untracked*:
the collector no longer knows of it. So are the tables through which it is found; a table is tracked again whenever
something is put into it, so this is repeated before each pass.

Why not `gc.freeze()` after each full pass: it takes in all that is alive, connections too. A connection that ends in a
cycle later (hypercorn's do) would stay for ever, and to find these, all would have to be walked over after all. Here
nothing is hidden but what cannot be in a cycle. What a node is made of, which stays as long as the process, is frozen
once, before it serves.

Source: CPython, "Supporting Cyclic Garbage Collection": `PyObject_GC_UnTrack`, of the stable ABI.
"""

import ctypes
import gc
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cdnkit.policy.http.messages import Headers
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.variants import Variants


def _untrack() -> Callable[[object], object]:
    try:
        function = ctypes.pythonapi.PyObject_GC_UnTrack
    except AttributeError:  # not CPython: its collector is another
        return lambda _: None
    function.argtypes, function.restype = [ctypes.py_object], None
    return function


_UNTRACK = _untrack()


MAY_BE_UNTRACKED = (dict, list, OrderedDict, Entry, Headers, Variants)
"""Types whose objects may be untracked when they are freed: they untrack themselves with a check, as their subclasses
do. A function or a generator does so without one, which ends the process."""


def leave_out(*several: object) -> None:
    """Let the collector walk over none of these, which are in no cycle; objects of other types it keeps."""
    for one in several:
        if gc.is_tracked(one) and isinstance(one, MAY_BE_UNTRACKED):
            _UNTRACK(one)


def leave_out_head(entry: Entry) -> None:
    """The same for the head of a stored response."""
    leave_out(entry, entry.headers, entry.headers.lines, entry.prepared)


@contextmanager
def left_out(tables: Callable[[], Iterable[object]]) -> Iterator[None]:
    """In this context no pass walks over the tables, nor over the tables in them."""

    def before(phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            leave_out(*tables())

    gc.callbacks.append(before)
    try:
        yield
    finally:
        gc.callbacks.remove(before)


def settled(ready: Callable[[dict[str, object]], None]) -> Callable[[dict[str, object]], None]:
    """`ready`, after what the node was made of has left the collector's passes for good."""

    def frozen(urls: dict[str, object]) -> None:
        gc.collect()
        gc.freeze()
        ready(urls)

    return frozen
