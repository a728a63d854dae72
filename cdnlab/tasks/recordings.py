"""`cdnlab recordings`: orders to an origin about its recordings, and its answers as a table or as JSON."""

import json
import re
from base64 import b64encode
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.table import Table

from cdnkit.settings.parent_url import parent_url
from cdnkit.units.quantities import write_bytes, write_seconds
from cdnlab.client.viewer import Response, ask
from cdnlab.errors import BadUsage, Failed
from cdnlab.lab.run_folder import find_running
from cdnlab.screen import terminal

ACTIONS = ("list", "trim", "delete")
PATIENCE_S = 120.0
"""Of a trim: an S3 server copies object by object."""


def run(
    action: str,
    name: str | None,
    new: str | None,
    *,
    begin: str | None,
    end: str | None,
    ingest: str | None,
    user: str | None,
    token: Path | None,
    runs: Path,
    as_json: bool,
) -> int:
    """Carries one action out. `BadUsage`: what the command line says; `Failed`: the origin refuses, or is not there."""
    _check(action, name, new, begin, end)
    url, headers = f"{_ingest(ingest, runs)}/recordings", _credentials(user, token)
    target = url if name is None else f"{url}/{quote(name, safe='')}"
    if action == "delete":
        _asked(target, "DELETE", headers)
        print(json.dumps({"deleted": name}) if as_json else f"{name}: deleted")
        return 0
    if action == "trim":
        wanted = {"from": _instant("--from", begin), "to": _instant("--to", end)}
        values = {"name": new} | {key: value for key, value in wanted.items() if value is not None}
        found = [_asked(target, "POST", headers, values)]
    elif name is not None:
        found = [_asked(target, "GET", headers)]
    else:
        found = _asked(target, "GET", headers)["recordings"]
    if as_json:
        print(json.dumps(found if action == "list" and name is None else found[0], indent=2))
    elif found:
        terminal.console().print(_table(found))
    else:
        print("no recordings")
    return 0


def _check(action: str, name: str | None, new: str | None, begin: str | None, end: str | None) -> None:
    if action not in ACTIONS:
        raise BadUsage(f"ACTION: found {action!r}, wanted {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}")
    if action != "list" and name is None:
        raise BadUsage(f"{action}: wanted the name of a stream, as `cdnlab recordings` lists it")
    if action == "trim" and new is None:
        raise BadUsage(f"trim: wanted a name for the VOD: cdnlab recordings trim {name} NEW")
    if action != "trim" and (new is not None or begin is not None or end is not None):
        raise BadUsage(f"{action}: found what only trim has: a second name, --from or --to")


def _ingest(given: str | None, runs: Path) -> str:
    if given is None:
        given = str(find_running(runs).cluster()["origin"]["ingest"])
    elif parent_url(given) is None:
        raise BadUsage(f"--ingest: found {given!r}, wanted the URL of a listener, such as http://127.0.0.1:9001")
    return given.rstrip("/")


def _credentials(user: str | None, token: Path | None) -> dict[str, str]:
    """From files alone: every user of a machine can read the arguments of its processes."""
    if user is None and token is None:
        return {}
    if user is not None and token is not None:
        raise BadUsage("found --user and --token-file, wanted one of them")
    if token is not None:
        return {"Authorization": f"Bearer {_secret('--token-file', token)}"}
    name, equals, file = str(user).partition("=")
    if not (name and equals and file):
        raise BadUsage(f"--user: found {user!r}, wanted NAME=FILE, the file with its password")
    pair = f"{name}:{_secret('--user', Path(file))}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _secret(option: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"{option}: {file}: {error}") from None


_OFFSET = re.compile(r"(-?)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def _instant(option: str, text: str | None) -> str | float | None:
    """As the API has it."""
    if text is None:
        return None
    if text and (match := _OFFSET.fullmatch(text)) is not None and any(match.groups()[1:]):
        hours, minutes, seconds = (float(one or 0) for one in match.groups()[1:])
        return (-1 if match[1] else 1) * (3600 * hours + 60 * minutes + seconds)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadUsage(
            f'{option}: found {text!r}, wanted a date-time with its zone, "2026-11-29T17:00:00Z", or "1m30s"'
        )
    return at.isoformat()


def _asked(url: str, method: str, headers: dict[str, str], values: object = None) -> Any:
    body = None if values is None else json.dumps(values).encode()
    reply: Response = ask(url, method=method, headers=headers, body=body, timeout=PATIENCE_S)
    if reply.status >= 300:
        raise Failed(f"{url}: {reply.status}: {reply.text().strip()}")
    return reply.json() if reply.body else None


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("recording", "state", "begins", "lasts", "size", "tracks"):
        table.add_column(title, justify="right" if title in ("lasts", "size") else "left")
    for one in found:
        state = "live" if one["live"] else "ended" if one["ended"] else "interrupted"
        kind = {"EVENT": "", "VOD": ", VOD", "window": ", window"}.get(one["type"], "")
        table.add_row(
            one["name"], state + kind, one["begins"], write_seconds(round(one["duration"])), write_bytes(one["bytes"]),
            ", ".join(one["tracks"]),
        )  # fmt: skip
    return table
