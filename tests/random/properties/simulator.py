"""libcachesim's misses, counted in a process of its own: its bindings complain on standard error when Python ends.

Standard input: JSON, {"slots": int, "trace": [int, ...], "policies": [class name, ...]}; standard output: the misses.
"""

import json
import sys

import libcachesim


def misses(policy: str, trace: list[int], slots: int) -> int:
    cache = getattr(libcachesim, policy)(cache_size=slots, hashpower=16)
    missed = 0
    for clock, name in enumerate(trace):
        request = libcachesim.Request()
        request.obj_id, request.obj_size, request.clock_time = name, 1, clock
        missed += not cache.get(request)
    return missed


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump([misses(policy, asked["trace"], asked["slots"]) for policy in asked["policies"]], sys.stdout)
