"""A live stream as a value: who sends it, which fragments are taken, segments and parts in step, each track's window.

Pure: no I/O, and `now` is an argument.
"""
