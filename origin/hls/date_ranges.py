"""Date ranges: what a request says of one, as an EXT-X-DATERANGE tag (HLS draft -22, 4.4.5.1). Pure.

Requests have the attributes by their names, as JSON: `{"CLASS": "com.example.score", "START-DATE":
"2026-11-29T12:00:00.000Z", "DURATION": 15, "X-COM-EXAMPLE-SCORE": "2:1"}`. A date range has only what its tag says, so
that the tag is all that has to be kept.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from origin.errors import Refused, printable
from origin.hls.attributes import (
    Attributes,
    Form,
    date,
    extension,
    hexadecimal,
    instant,
    number,
    quoted,
    seconds,
    some_of,
    yes,
)
from origin.hls.interstitials import INTERSTITIAL, check_interstitial, interstitial_form, own_list
from origin.hls.playlist import date_time

LONGEST_ID = 64
LARGEST_TAG = 4_096
"""Bytes. Real SCTE-35 sections have about a hundred bytes, twice as many digits."""

_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{LONGEST_ID - 1}}}")
_NAME = re.compile(r"X-[A-Z0-9-]{1,62}")


@dataclass(frozen=True, slots=True)
class DateRange:
    """One date range."""

    id: str
    attributes: dict[str, str]
    added_at: float
    """When the tag was added to the playlists, Unix seconds; an attribute that comes later counts as a new tag."""
    assets: str = ""
    """The asset list that the origin serves, as JSON; "": none."""

    @property
    def line(self) -> str:
        """The tag."""
        first = {name: self.attributes[name] for name in ("CLASS", "START-DATE") if name in self.attributes}
        ordered = first | self.attributes
        written = ",".join(f"{name}={value}" for name, value in ordered.items())
        return f'#EXT-X-DATERANGE:ID="{self.id}",{written}'

    @property
    def start(self) -> float:
        """Unix seconds."""
        return instant(self.attributes["START-DATE"])

    @property
    def end(self) -> float | None:
        """Unix seconds; None: not known, or the start of the next one (END-ON-NEXT)."""
        return _end(self.attributes)

    @property
    def kind(self) -> str:
        """CLASS, with its quotes; "" without one."""
        return self.attributes.get("CLASS", "")

    @property
    def ends_on_next(self) -> bool:
        return "END-ON-NEXT" in self.attributes

    def public(self) -> dict[str, Any]:
        """As a request has it."""
        values: dict[str, Any] = {"ID": self.id}
        for name, value in self.attributes.items():
            values[name] = value[1:-1] if value.startswith('"') else _plain(value)
        if self.assets:
            values["X-ASSET-LIST"] = json.loads(self.assets)
        return values


def _plain(written: str) -> str | float:
    return written if written == "YES" or written.startswith("0x") else float(written)


def check_id(id: str) -> None:
    """`Refused`: no ID that could stand in a path."""
    if not _ID.fullmatch(id):
        wanted = f"letters, digits and . _ : -, at most {LONGEST_ID}, a letter or digit first"
        raise Refused(400, f"ID: found {printable(id, 80)!r}, wanted {wanted}.")


def changed(id: str, before: DateRange | None, values: Mapping[str, Any], now: float) -> DateRange:
    """The date range of this ID with more attributes; `before`: as it is. `Refused` says what is wrong with them.

    A new one without START-DATE begins `now`. "Cannot change (or lose) attributes" (4.4.5.1.1): what it has stays, all
    but the assets of a list that the origin serves, whose URI is the same.
    """
    check_id(id)
    if values.get("ID", id) != id:
        raise Refused(400, f"ID: found {printable(str(values['ID']), 80)!r}, wanted {id!r}, as in the path.")
    held: Attributes = before.attributes if before is not None else {}
    kind = quoted("CLASS", values["CLASS"]) if "CLASS" in values else held.get("CLASS", "")
    own = own_list(id, values.get("X-ASSET-LIST")) if kind == f'"{INTERSTITIAL}"' else None
    added: dict[str, str] = {} if before is not None else {"START-DATE": f'"{date_time(now)}"'}
    for name, value in values.items():
        if name == "ID":
            continue
        is_own = own is not None and name == "X-ASSET-LIST"
        added[name] = own.attribute if own is not None and is_own else _form_of(name, kind, id)(name, value)
    for name, value in added.items():
        if held.get(name, value) != value:
            wanted = f"{held[name]} as before: a date range keeps its attributes (HLS draft 4.4.5.1)"
            raise Refused(409, f"{name}: found {printable(value, 120)}, wanted {printable(wanted, 240)}.")
    if own is not None and before is None and own.duration and not _says_its_end(added):
        # "SHOULD be the duration of the interstitial asset(s)" (D.2). What plays before or after the stream has no end
        # of its own in it: it stays until it is removed.
        lasting = any(cue in added.get("CUE", "") for cue in ("PRE", "POST"))
        added["PLANNED-DURATION" if lasting else "DURATION"] = number(own.duration)
    attributes = {**held, **added}
    _check(attributes)
    assets = own.body if own is not None else before.assets if before is not None else ""
    same = before is not None and attributes == before.attributes
    made = DateRange(id, attributes, before.added_at if before is not None and same else now, assets)
    if (size := len(made.line.encode())) > LARGEST_TAG:
        raise Refused(413, f"{id}: found a tag of {size} bytes, wanted at most {LARGEST_TAG}.")
    return made


def _says_its_end(attributes: Attributes) -> bool:
    return not {"DURATION", "PLANNED-DURATION", "END-DATE", "END-ON-NEXT"}.isdisjoint(attributes)


def _check(attributes: Attributes) -> None:
    """What the attributes say together."""
    start, length = instant(attributes["START-DATE"]), attributes.get("DURATION")
    if (written := attributes.get("END-DATE")) is not None:
        end = instant(written)
        if end < start:
            raise Refused(400, f"END-DATE: found {written}, wanted START-DATE ({attributes['START-DATE']}) or later.")
        if length is not None and abs(start + float(length) - end) > 0.0015:  # dates have milliseconds
            raise Refused(400, f"END-DATE: found {written}, wanted START-DATE plus DURATION ({length} s).")
    if "END-ON-NEXT" in attributes:
        if "CLASS" not in attributes:
            raise Refused(400, "END-ON-NEXT: found no CLASS, wanted the one whose next date range ends this one.")
        if length is not None or written is not None:
            raise Refused(400, "END-ON-NEXT: found DURATION or END-DATE, too, wanted neither.")
    if {"PRE", "POST"} <= set(attributes.get("CUE", "").strip('"').split(",")):
        raise Refused(400, f"CUE: found {attributes['CUE']}, wanted PRE or POST, not both.")
    if attributes.get("CLASS") == f'"{INTERSTITIAL}"':
        check_interstitial(attributes)


def _end(attributes: Attributes) -> float | None:
    if (written := attributes.get("END-DATE")) is not None:
        return instant(written)
    if (length := attributes.get("DURATION")) is not None:
        return instant(attributes["START-DATE"]) + float(length)
    return None


def ends(ranges: tuple[DateRange, ...]) -> dict[str, float | None]:
    """When each date range ends, by ID: END-ON-NEXT is resolved among those of its CLASS. None: not known."""
    found = {one.id: one.end for one in ranges}
    for one in ranges:
        if one.ends_on_next:
            later = (other.start for other in ranges if other.kind == one.kind and other.start > one.start)
            found[one.id] = min(later, default=None)
    return found


def check_class(ranges: tuple[DateRange, ...], kind: str) -> None:
    """`Refused`: date ranges of one CLASS overlap, although one of them ends with the next."""
    mine = sorted((one for one in ranges if one.kind == kind), key=lambda one: one.start)
    if not any(one.ends_on_next for one in mine):
        return
    until = ends(ranges)
    for one, after in pairwise(mine):
        end = until[one.id]
        if end is None or end > after.start or one.start == after.start:
            found = f"{one.id} and {after.id} of CLASS {kind} overlap"
            raise Refused(409, f"found that {found}, wanted none to: the class has END-ON-NEXT (HLS draft 4.4.5.1).")


_FORMS: dict[str, Form] = {
    "CLASS": quoted,
    "START-DATE": date,
    "CUE": some_of("PRE", "POST", "ONCE"),
    "END-DATE": date,
    "DURATION": seconds,
    "PLANNED-DURATION": seconds,
    "END-ON-NEXT": yes,
    "SCTE35-CMD": hexadecimal,
    "SCTE35-OUT": hexadecimal,
    "SCTE35-IN": hexadecimal,
}


def _form_of(name: str, kind: str, id: str) -> Form:
    if (form := _FORMS.get(name)) is not None:
        return form
    if not _NAME.fullmatch(name):
        raise Refused(
            400, f"{printable(name, 80)}: found no attribute of that name, wanted {', '.join(_FORMS)}, or X-...."
        )
    return (interstitial_form(name, id) if kind == f'"{INTERSTITIAL}"' else None) or extension
