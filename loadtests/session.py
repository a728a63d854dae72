"""One load run inside locust: its options, the state that all its viewers share, its status lines and its load.json.

Importing this registers the options and listeners with locust; `locustfile.py` does so.
"""

import json
import random
import re
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from weakref import WeakKeyDictionary

import gevent
import gevent.os
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from pydantic import ValidationError

from cdnkit.settings.load import Load
from loadtests.errors import BadTarget
from loadtests.identity import Target, parse_target
from loadtests.player import Player, State
from loadtests.tally import Tally, hit_share, sentence, summary

STATUS = "cdnlab-load"
"""The key of a status line: {"cdnlab-load": {...}}; other lines on standard output are locust's own."""

# Wall time at start + monotonic since: never steps back, and comparable with PROGRAM-DATE-TIME.
_EPOCH = time.time() - time.monotonic()
# Multiples of an irrational, modulo 1, keep away from one another: ten viewers already show the mix. Two of them,
# so that which rendition a viewer watches says nothing of when it begins.
_MIX_STEP = 0.6180339887498949
_ARRIVAL_STEP = 0.4142135623730951


def spread(turn: int, step: float) -> float:
    """The n-th of a sequence in [0, 1) that is spread evenly however long it is."""
    return (0.5 + turn * step) % 1.0


def clock() -> float:
    return _EPOCH + time.monotonic()


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    defaults = Load()
    parser.add_argument(
        "--stream-url",
        default="/live/multivariant.m3u8",
        help="path of the multivariant (or a media) playlist",
    )
    parser.add_argument(
        "--rendition-mix",
        default=",".join(f"{weight:g}" for weight in defaults.mix),
        help="weights of the renditions, best first",
    )
    parser.add_argument(
        "--edge",
        action="append",
        default=[],
        metavar="NAME=URL[=NETWORK,...]",
        include_in_web_ui=False,
        help="an edge to spread viewers over, and networks its viewers come from; may be repeated",
    )
    parser.add_argument(
        "--token",
        default="",
        env_var="CDNLAB_LOAD_TOKEN",
        is_secret=True,
        help="token for the multivariant playlist, as name=value or its value (parameter `token`)",
    )
    parser.add_argument("--player-buffer", type=float, default=defaults.buffer, help="seconds a player keeps")
    parser.add_argument(
        "--start-behind", type=float, default=defaults.start_behind, help="target durations behind live"
    )
    parser.add_argument("--answer-timeout", type=float, default=defaults.timeout, help="seconds to an answer")
    parser.add_argument(
        "--arrival-spread", type=float, default=1.0, help="seconds over which viewers of one batch begin"
    )
    parser.add_argument("--load-out", default="", include_in_web_ui=False, help="write load.json here")
    parser.add_argument(
        "--status-lines",
        action="store_true",
        include_in_web_ui=False,
        help="one JSON line a second on standard output; leave when standard input closes",
    )


class Session:
    """The state that the viewers of one run share. Raises `BadTarget` for options that cannot be run."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.targets = _targets(options)
        self.load = _load(options)
        self.tally = Tally()
        self.began = clock()
        self.seed = random.getrandbits(48)
        self._count = count()
        self._cpu_began = self._cpu_last = time.process_time()
        self._at_last = self.began
        self._requests_last = 0
        self._cpu_peak = 0.0
        self.finished = False

    def next_viewer(self) -> tuple[int, Target]:
        """A new viewer's turn at its edge (counted from 0), and that edge."""
        index = next(self._count)
        return index // len(self.targets), self.targets[index % len(self.targets)]

    def start_delay(self, turn: int) -> float:
        """Seconds between a viewer's arrival and its first request.

        locust lets viewers in once a second, in a batch; without this delay they would send their requests in step for
        ever.
        """
        return float(self.options.arrival_spread * spread(turn, _ARRIVAL_STEP))

    def new_player(self, turn: int, target: Target) -> Player:
        """The player of a viewer that begins now."""
        player = Player(
            self.stream_url(target),
            began=clock(),
            draw=spread(turn, _MIX_STEP),
            mix=self.load.mix,
            buffer=self.load.buffer,
            start_behind=self.load.start_behind,
        )
        self.tally.viewers.append((target.name, player))
        return player

    def stream_url(self, target: Target) -> str:
        path = "/" + str(self.options.stream_url).lstrip("/")
        token: str = self.options.token
        if token:
            # Akamai's name begins with "__"; the padding of a bare base64 value is no name.
            if re.match(r"[A-Za-z0-9_.-]+=[^=]", token) is None:
                token = "token=" + quote(token, safe="_~-.=*!")
            path += ("&" if "?" in path else "?") + token
        return target.url + path

    def status(self) -> dict[str, Any]:
        """What has happened, and the rates since the last call."""
        now, cpu = clock(), time.process_time()
        total = self.tally.sum()
        elapsed = max(now - self._at_last, 1e-3)
        share = (cpu - self._cpu_last) / elapsed
        if elapsed > 0.5:
            self._cpu_peak = max(self._cpu_peak, share)
        rate = (total.count - self._requests_last) / elapsed
        self._at_last, self._cpu_last, self._requests_last = now, cpu, total.count
        players = [player for _, player in self.tally.viewers]
        return {
            "seconds": round(now - self.began, 1),
            "players": len(players),
            "playing": sum(player.state is State.PLAYING for player in players),
            "requests": total.count,
            "requests_per_second": round(rate, 1),
            "bytes": total.size_bytes,
            "failures": sum(total.failures.values()),
            "stalls": sum(player.seen.stalls for player in players),
            "hit_share": hit_share(total.cache),
            "cpu_share": round(share, 3),
        }

    def finish(self) -> dict[str, Any] | None:
        """load.json's content, once; None the second time."""
        if self.finished:
            return None
        self.finished = True
        now = clock()
        self.status()  # the last second's peak
        return summary(
            self.tally,
            began=self.began,
            now=now,
            stream_url=self.options.stream_url.partition("?")[0],
            cpu_share=(time.process_time() - self._cpu_began) / max(now - self.began, 1e-3),
            cpu_peak=self._cpu_peak,
        )


_sessions: WeakKeyDictionary[Environment, Session] = WeakKeyDictionary()


def session_of(environment: Environment) -> Session:
    """The run under way; a viewer that comes before the event `test_start` begins it."""
    if environment not in _sessions:
        options = environment.parsed_options or Namespace()
        if environment.host:  # typed into locust's web page
            options.host = environment.host
        _sessions[environment] = Session(options)
    return _sessions[environment]


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None:
        return
    if options.load_out and isinstance(environment.runner, MasterRunner | WorkerRunner):
        # Each process counts its own viewers; a file that holds one process's share would mislead.
        print("cdnlab: --load-out: found several locust processes, wanted one", file=sys.stderr)
        sys.exit(2)
    try:
        if options.host or options.edge:
            targets = Session(options).targets
            if not environment.host:
                environment.host = targets[0].url
        else:
            _load(options)  # the host is still to be typed into locust's web page
    except BadTarget as error:
        print(f"cdnlab: {error}", file=sys.stderr)
        sys.exit(2)
    if options.status_lines:
        gevent.spawn(_leave_with_parent, environment)


@events.test_start.add_listener
def _begin(environment: Environment, **_: Any) -> None:
    _sessions.pop(environment, None)
    session = session_of(environment)
    if session.options.status_lines:
        gevent.spawn(_print_status, session)


@events.test_stopping.add_listener
def _end(environment: Environment, **_: Any) -> None:
    session = _sessions.get(environment)
    result = session.finish() if session is not None else None
    if session is None or result is None:
        return
    if not session.options.load_out:
        print(f"cdnlab: {sentence(result)}", flush=True)  # locust's own tables know requests, and no pictures
        return
    out = Path(session.options.load_out)
    # Whole or not at all: a reader must never find half a file.
    partial = out.with_name(out.name + ".partial")
    partial.write_text(json.dumps(result, indent=1) + "\n")
    partial.replace(out)


def _print_status(session: Session) -> None:
    while not session.finished:
        gevent.sleep(1.0)
        print(json.dumps({STATUS: session.status()}), flush=True)


def _leave_with_parent(environment: Environment) -> None:
    """A parent that is killed closes our standard input; then nobody waits for this load any more."""
    gevent.os.make_nonblocking(0)
    while gevent.os.nb_read(0, 4096):
        pass
    if environment.runner is not None:
        environment.runner.quit()


def _targets(options: Namespace) -> list[Target]:
    if options.edge:
        targets = [parse_target(text) for text in options.edge]
        names = [target.name for target in targets]
        if len(set(names)) < len(names):
            raise BadTarget("--edge", ", ".join(names), "a different name for each edge")
        return targets
    host = options.host or ""
    if not host.startswith(("http://", "https://")):
        raise BadTarget("--host", host, "the edge's URL, such as http://127.0.0.1:8081")
    return [Target(urlsplit(host).netloc, host.rstrip("/"))]


def _load(options: Namespace) -> Load:
    """The settings that the options give; `BadTarget` names the first option that is wrong."""
    named = {
        "mix": "rendition_mix",
        "buffer": "player_buffer",
        "start_behind": "start_behind",
        "timeout": "answer_timeout",
    }
    values = {field: getattr(options, name) for field, name in named.items()}
    try:
        return Load.model_validate(values | {"mix": _mix(options.rendition_mix)})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        wanted = first["msg"].removeprefix("Value error, wanted ").replace("Input should be", "a number")
        raise BadTarget("--" + named[field].replace("_", "-"), values[field], wanted) from error


def _mix(text: str) -> tuple[float, ...]:
    number: Callable[[str], float] = float
    try:
        return tuple(number(part) for part in text.split(","))
    except ValueError as error:
        raise BadTarget("--rendition-mix", text, "weights, best rendition first, such as 0.6,0.3,0.1") from error
