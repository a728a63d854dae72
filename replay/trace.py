"""Records of a node as the events its machine was told, in their order."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from policy.record import FetchRecord, PurgeRecord, Record, RequestRecord, Unreadable, from_json


class BadTrace(Exception):
    """A record file that cannot be replayed: says where and why."""


@dataclass(slots=True)
class Requested:
    """A request arrived."""

    seq: int
    at: float
    record: RequestRecord


@dataclass(slots=True)
class Landed:
    """A fetch's head came, or it failed without one."""

    seq: int
    at: float
    record: FetchRecord


@dataclass(slots=True)
class Ended:
    """A landed fetch's body came to its end, good or bad."""

    seq: int
    at: float
    record: FetchRecord


@dataclass(slots=True)
class Ordered:
    """A purge order was carried out."""

    seq: int
    at: float
    record: PurgeRecord


Event = Requested | Landed | Ended | Ordered


def read_trace(path: Path) -> list[Event]:
    """All events of one node's file, in order. BadTrace names the line.

    A last line without its newline was being written when the node was killed: it is left out.
    """
    records: list[Record] = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise BadTrace(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(from_json(json.loads(line), number))
        except json.JSONDecodeError as error:
            raise BadTrace(f"{path}: line {number}: not JSON: {error.msg}") from error
        except Unreadable as error:
            raise BadTrace(f"{path}: {error}") from error
    return events_of(records)


def events_of(records: Iterable[Record]) -> list[Event]:
    """A fetch is two events; everything is ordered by the number the live machine gave it."""
    events: list[Event] = []
    for record in records:
        if isinstance(record, RequestRecord):
            events.append(Requested(record.seq, record.at, record))
        elif isinstance(record, PurgeRecord):
            events.append(Ordered(record.seq, record.at, record))
        else:
            events.append(Landed(record.landed_seq, record.landed_at, record))
            if record.ended_seq:
                events.append(Ended(record.ended_seq, record.ended_at, record))
    events.sort(key=lambda event: event.seq)
    return events
