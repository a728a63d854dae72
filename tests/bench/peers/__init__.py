"""`make bench-peers`: our edge beside nginx, Varnish and Traffic Server, in one run on this machine.

    rows        what is asked: the rows of the table, and what each is to reach beside which peer
    servers     the peers and our edges: their settings, and how they are started
    processes   a child on one core, its CPU time, and its end
    load        one slice of requests, by wrk or h2load; the working set and its popularity
    table       medians and ratios, and the part of docs/performance.md that holds them

Every server has core 0 and is asked by one client on core 1. Slices of a second go round over all servers, so that a
neighbour's load meets all alike. What counts is CPU time per request, of the server's whole process tree: on a machine
with neighbours, requests per second say more about these.
"""
