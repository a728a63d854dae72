"""`cdnlab explain` on a terminal: the facts of `cdnkit/policy/machine/explain.py` in tables."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from cdnlab.report.words import size
from cdnlab.screen import terminal

Rows = Iterator[tuple[str, str]]


def show(facts: dict[str, Any], request: str) -> None:
    """Prints a node's explanation of a request ("GET http://127.0.0.1:8081/a")."""
    console = terminal.console()
    service = f", service {facts['service']}" if "service" in facts else ""
    console.print(Text(f"{facts['node']} ({facts['profile']}{service}), asked for {request}"), soft_wrap=True)
    console.print(_table([("next", facts["next"]), *_rules(facts), *_key(facts)]))
    for entry in facts["stored"]:
        name = "stored" if entry["selected"] else "stored, but not what this request selects"
        console.print(Text(f"\n{name}: {_what(entry)}"), soft_wrap=True)
        console.print(_table([*_life(entry, facts["room"]), *_validators(entry)], indent=2))
        console.print(_words(entry["read"]))
    if not facts["stored"]:
        console.print(_table([("stored", "nothing")]))
    state = list(_state(facts))
    if state:
        console.print()
        console.print(_table(state))


def _table(rows: list[tuple[str, str]], indent: int = 0) -> Table:
    table = Table.grid(padding=(0, 2, 0, indent))
    table.add_column(style="dim", no_wrap=True, min_width=11)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value, style="bold" if name == "next" else ""))
    return table


def _rules(facts: dict[str, Any]) -> Rows:
    gate, behavior = facts["gate"], facts["behavior"]
    rest = ", ".join(f"{name} {_plain(value)}" for name, value in behavior.items() if name != "path")
    yield "behavior", f"{behavior['path']}  {rest}".rstrip()
    result = f"refused: {gate['refused']} {gate['reason']}" if gate["refused"] else "open"
    asks = f"asks for token {gate['token']}, " if gate["token"] else ""
    yield "gate", f"{result} ({asks.removesuffix(', ')})" if asks else result
    if gate.get("check"):
        yield "token", _checked(gate)
    for rate in gate["rates"]:
        yield "rate", f"{rate['left']} of {rate['limit']} left to {rate['client'] or 'a client without an address'}"
    yield "viewer", _placed(facts["viewer"])
    if facts["pages"]:
        yield "error pages", ", ".join(f"{p['status']}: {p['page']} as {p['response_status']}" for p in facts["pages"])


def _placed(viewer: dict[str, Any]) -> str:
    """ "198.51.100.9: country KP ([geo] countries 198.51.100.0/24); KP is denied"."""
    facts = [
        f"{fact} {viewer[fact]}" if viewer[fact] is not True else fact
        for fact in ("country", "region", "asn", "anonymous", "hosting")
        if viewer[fact]
    ]
    sources = dict.fromkeys(viewer["told_by"].values())
    text = ", ".join(facts) + f" ({', '.join(sources)})" if facts else "place unknown"
    return f"{viewer['client_ip']}: {text}" + (f"; {viewer['geo']}" if viewer["geo"] else "")


def _key(facts: dict[str, Any]) -> Rows:
    for index, (name, value) in enumerate(facts["key_parts"]):
        yield "" if index else "cache key", f"{name} {value}" if value else f"{name}, which the request does not have"
    if facts["not_in_key"]:
        yield "", f"not in it: {', '.join(facts['not_in_key'])}"


def _what(entry: dict[str, Any]) -> str:
    length = "of a length not known yet" if entry["bytes"] is None else size(entry["bytes"])
    part = "" if entry["part"] is None else f", bytes {entry['part'][0]} to {entry['part'][1] - 1} of the whole"
    state = "" if entry["complete"] else ", still filling"
    vary = "".join(f", {name}: {value}" for name, value in entry["vary"].items())
    return f"{entry['status']}, {length}{part}{state}, age {duration(entry['age'])}, {entry['hits']} hits{vary}"


def _life(entry: dict[str, Any], room: dict[str, Any]) -> Rows:
    """How long it may be served, each end with the rule that set it."""
    yield "lifetime", entry["lifetime"]
    left = entry["fresh_for"]
    fresh = f"for {duration(left)} more" if left > 0 else f"no: stale for {duration(-left)}"
    yield "fresh", "never without revalidation (no-cache)" if entry["revalidate_always"] else fresh
    yield "while refreshed", _window(entry, "refreshable")
    yield "on an error", _window(entry, "fallback")
    yield "origin silent", _window(entry, "unreachable")
    yield "kept", f"until its room is needed: {size(room['used_bytes'])} of {size(room['bytes'])} are used"


def _window(entry: dict[str, Any], name: str) -> str:
    left, rule = entry[f"{name}_for"], entry[f"{name}_by"]
    if left is None:
        return f"stale for as long as it is kept ({rule})"
    if left <= max(0.0, entry["fresh_for"]):
        return f"not served stale ({rule})" if rule != "nothing" else "not served stale: nothing allows it"
    return (
        f"stale for {duration(left)} more, at most ({rule})"
        if left > 0
        else f"no longer: it ended {duration(-left)} ago ({rule})"
    )


def _validators(entry: dict[str, Any]) -> Rows:
    found = [f"ETag {entry['etag']}" if entry["etag"] else "", f"Last-Modified {entry['last_modified'] or ''}"]
    named = ", ".join(one for one in found if one and not one.endswith(" "))
    yield "validators", named or "none: it can only be fetched anew"
    if entry["surrogate_keys"]:
        yield "purged by", " ".join(entry["surrogate_keys"])


def _words(read: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=11)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for annotation in sorted(read, key=lambda annotation: not annotation["used"]):
        what = Text(f"{annotation['field']}: {annotation['word']}", style="" if annotation["used"] else "dim")
        table.add_row(Text("read" if annotation["used"] else "ignored"), what, Text(annotation["why"]))
    return table


def _state(facts: dict[str, Any]) -> Rows:
    """What is under way, or remembered for a while, for this key."""
    if facts["in_flight"]:
        yield "in flight", "a fetch that other requests wait for"
    alone, failing = facts["alone"], facts["failing"]
    if alone:
        yield (
            "alone",
            f"for {duration(alone['for'])} more each request is fetched by itself; the last response: {alone['why']}",
        )
    if failing:
        yield (
            "failing",
            (
                f"for {duration(failing['for'])} more the parent gets no request; each request gets "
                f"{failing['status']} {failing['reason']}"
            ),
        )


def duration(seconds: float) -> str:
    """A duration as people say it: "0.3 s", "57 s", "59 min", "23 h", "364 d"."""
    for limit, unit, name in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172_800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}" if seconds < 10 else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"


def _plain(value: Any) -> str:
    """A setting's value in a line: `{min 0s, max 2s}`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_plain(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return " ".join(_plain(one) for one in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked(gate: dict[str, Any]) -> str:
    """What the check of a token found: "expired: found now 1767225607, wanted before 1767225600 (7.0 s past)"."""
    text = str(gate["check"])
    facts = [f"{word} {gate[word]}" for word in ("found", "wanted") if word in gate]
    text += f": {', '.join(facts)}" if facts else ""
    for word in ("past", "early"):
        if f"seconds_{word}" in gate:
            text += f" ({gate[f'seconds_{word}']:.1f} s {word})"
    return text
