"""The one stateful room. Events and their times go into `EdgeMachine`; what the shell has to do comes out.

Its parts are listed in `machine.py`, with the theory. Beside it: `explain.py`, what a request would get and why;
`purge_log.py`, how purge orders reach all nodes; `purge_marks.py`, how they reach a shared tier.
"""
