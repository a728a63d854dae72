"""`python -m tests.bench.peers`: runs the comparison and prints the table."""

import argparse
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.peers.load import OBJECTS, Load
from tests.bench.peers.rows import EDGE, HYPERCORN, NGINX_FULL, ROWS, SIZES, Channel, Row
from tests.bench.peers.servers import Server, Servers, path_of
from tests.bench.peers.table import Measured, markdown, written_into

PAGE = Path(__file__).parents[3] / "docs/performance.md"
QUICK = ("hit", "304", "206", "refusal")
"""The rows of the quick mode."""
QUICK_OBJECTS = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--rounds", type=int, help="slices of each server in each row; 5, or 3 if it is quick")
    parser.add_argument("--seconds", type=int, default=1, help="of a slice")
    parser.add_argument("--objects", type=int, help=f"in the working set; {OBJECTS}, or {QUICK_OBJECTS} if it is quick")
    parser.add_argument("--only", help=f"rows, with commas between: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--servers", help="who is asked, with commas between; all by default")
    parser.add_argument("--over", choices=("hot", "set"), help="only one hot object, or only the working set")
    parser.add_argument("--quick", action="store_true", help="a minute: few rows, nothing is written")
    parser.add_argument("--json", type=Path, help="write all that was measured into this file")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else QUICK if options.quick else [row.name for row in ROWS]
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    for program in ("nginx", "wrk", "h2load", "openssl", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is needed: it is the origin, or makes the load")
    rounds = options.rounds or (3 if options.quick else 5)
    objects = options.objects or (QUICK_OBJECTS if options.quick else OBJECTS)
    names = options.servers.split(",") if options.servers else None
    if options.quick and names is None:
        names = [NGINX_FULL, "nginx", "varnish", EDGE]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="peers-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    servers = Servers(folder)
    try:
        servers.start()
        asked = [one for one in servers.all if names is None or one.name in names]
        load = Load(folder, objects, options.seconds)
        measured = []
        for over in ("hot", "set") if options.over is None else (options.over,):
            if over == "set":
                _fill(load, asked, {row.size for row in ROWS if row.name in wanted and not row.fresh})
            for row in ROWS:
                if row.name in wanted and not (row.fresh and over == "set" and "hot" in (options.over or "hot")):
                    measured.append(_measure(load, asked, row, over, rounds))
                    print(f"{row.label}, {measured[-1].over}: " + _line(measured[-1]), flush=True)
        table = markdown(measured, [one.name for one in asked], servers.missing, rounds)
        print("\n" + table)
        if options.json is not None:
            options.json.write_text(json.dumps([one.as_json() for one in measured], indent=1))
        if not options.quick and options.only is None and options.servers is None and options.over is None:
            written_into(PAGE, table)
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(load: Load, asked: list[Server], sizes: set[str]) -> None:
    """Every server stores the working set; those that share a cache once."""
    done = set()
    for server in asked:
        if server.child not in done:
            done.add(server.child)
            for size in sorted(sizes):
                load.fill(server, size)


def _measure(load: Load, asked: list[Server], row: Row, over: str, rounds: int) -> Measured:
    number = load.numbers(row.size)
    found = Measured(row, "new objects" if row.fresh else "one object" if over == "hot" else f"{number:,} objects")
    ready = []
    for server in asked:
        if row.channel in server.urls and (not row.servers or server.name in row.servers):
            etag, fault = _first(server, row)
            if fault:
                found.skipped[server.name] = fault
            else:
                ready.append((server, etag))
    for turn in range(rounds):
        numbers = load.drawn(row, turn, hot=over == "hot")
        for server, etag in ready:
            if server.name == HYPERCORN and row.channel is Channel.TLS:
                continue
            own = load.drawn(row, turn, hot=False) if row.fresh else numbers
            try:
                found.slices.setdefault(server.name, []).append(load.slice(server, row, own, etag))
            except (OSError, RuntimeError) as error:
                found.skipped[server.name] = repr(error)
    return found


def _first(server: Server, row: Row) -> tuple[str, str]:
    """(the object's entity tag, what is wrong with the server's response; "" if nothing is)."""
    path = path_of(row.size, 0)
    signed, etag = path + server.signed(path), ""
    if row.channel is Channel.H2:
        return "", "" if _speaks_h2(server.urls[row.channel] + signed) else "no response over HTTP/2"
    host = server.urls[row.channel].partition("://")[2]
    client = http.client.HTTPConnection(host, timeout=10)
    if row.channel is Channel.TLS:
        client = http.client.HTTPSConnection(host, timeout=10, context=ssl._create_unverified_context())
    try:
        for _ in range(2):
            client.request("GET", signed)
            answer = client.getresponse()
            answer.read()
            etag = answer.getheader("etag") or ""
        fields = {name: value.replace("{etag}", etag) for name, value in row.fields}
        client.request(row.method, signed if row.token else path, headers=fields)
        answer = client.getresponse()
        length = len(answer.read())
    except (OSError, http.client.HTTPException) as error:
        return etag, repr(error)
    finally:
        client.close()
    wanted = SIZES[row.size] if row.length is None else row.length
    if answer.status != row.status or (row.status < 400 and length != wanted):
        return etag, f"{answer.status} with {length} bytes"
    return etag, ""


def _speaks_h2(url: str) -> bool:
    out = subprocess.run(["h2load", "-n1", "-c1", url], capture_output=True, text=True, timeout=20).stdout
    return "1 succeeded" in out


def _line(one: Measured) -> str:
    return ", ".join(f"{name} {one.cpu_us(name):.1f}" for name in one.slices)


if __name__ == "__main__":
    main()
