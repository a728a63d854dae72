"""The folder of a disk store, opened: is it this node's, what in it is whole, and what becomes of the rest."""

import contextlib
import gc
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.eviction import Room
from cdnkit.policy.store.serialise import from_values
from edge.errors import BadStore
from edge.stores.disk import DiskStore
from edge.stores.files import BodyFiles
from edge.stores.ledger import Ledger

logger = logging.getLogger("cdnlab.edge")

LEDGER = "heads.sqlite3"
BODIES = "bodies"

NOT_ITS_FAULT = ("BUSY", "CANTOPEN", "READONLY", "FULL", "IOERR", "PERM", "AUTH", "NOMEM")
"""SQLite errors that do not mean that the file is damaged."""


def rules_of(service: Service, profile: Profile, parent: str, hosted: str = "") -> str:
    """A hash of all settings that a stored response depends on: behaviors, profile, parent, and which of several
    services it belongs to (`hosted`).

    It leaves out the others: names, rooms, secrets, who is let in, what is put on responses as they leave.
    """
    nothing = {"token", "geo", "viewer_protocol", "response_headers_policy", "rate_limit"}
    behaviors = [behavior.model_dump(mode="json", exclude=nothing) for behavior in service.behaviors]
    further = [*([hosted] if hosted else []), *([{"observed": True}] if service.observed else [])]
    text = json.dumps([behaviors, profile.name, parent.rstrip("/"), *further], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def open_disk(folder: Path, *, memory: Room, rules: str, name: str) -> DiskStore:
    """The store in a folder, which is made if it is not there; empty if what is there cannot be used.

    Blocks while it reads, about 15 s for a million responses: call it, and use its result, within `long_lived`.

    BadStore when the folder cannot be used, or another process uses it.
    """
    where = f"node {name}: disk.path"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _opened(folder, memory, rules, name)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname.partition("_")[2].startswith(NOT_ITS_FAULT):
                raise
            _discard(folder, name, str(error))
            return _opened(folder, memory, rules, name)
    except (OSError, sqlite3.Error) as error:
        busy = isinstance(error, sqlite3.Error) and error.sqlite_errorname == "SQLITE_BUSY"
        raise BadStore(where, str(folder), "another process uses it" if busy else str(error)) from error


@contextlib.contextmanager
def long_lived() -> Iterator[None]:
    """Objects that are made in this context stay: the cycle collector looks at them neither now nor later.

    With the collector, 100,000 responses took four times as long to read; and every full collection from then on
    would stop the node while it walks over them all.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _opened(folder: Path, memory: Room, rules: str, name: str) -> DiskStore:
    ledger = Ledger(folder / LEDGER)
    try:
        why_not = ledger.belongs_to(rules)
        if why_not:
            logger.warning("%s: %s: what is stored there is discarded: %s", name, folder, why_not)
            ledger.start_over(rules)
        files = BodyFiles(folder / BODIES)
        there = files.ids()
        mark = ledger.mark()
        found, checksums, stray = [], {}, []
        for head in ledger.heads():
            if isinstance(head, int) or head.id not in there:
                stray.append(head if isinstance(head, int) else head.id)
                continue
            found.append(from_values(head.id, head.values, head.size_bytes))
            checksums[head.id] = head.checksum
    except BaseException:
        ledger.close()
        raise
    stray += there.difference(checksums)
    if found or stray:
        logger.info("%s: %s: %d stored responses, %d swept", name, folder, len(found), len(stray))
    store = DiskStore(ledger, files, memory, name)
    store.begin_with(found, checksums, stray, mark)
    return store


def _discard(folder: Path, name: str, why: str) -> None:
    """Delete a ledger that is no database any more. Its bodies belong to no head, and are swept."""
    logger.warning("%s: %s: what is stored there is discarded: %s", name, folder, why)
    for leftover in ("", "-wal", "-shm", "-journal"):
        (folder / f"{LEDGER}{leftover}").unlink(missing_ok=True)
