"""Turns pydantic's errors into complaints that say where, what was found and what was wanted."""

import difflib
import json
import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cdnkit.units.secret import VARIABLE, mark_at
from cdnlab.errors import Complaint
from cdnlab.settings.positions import Path, Positions

NOT_SHOWN = "a value that is not shown"

_WORDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list in brackets",
    "list_type": "a list in brackets",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "path_type": "a path in quotes",
}


def spelled(path: Path) -> str:
    """`("behavior", 1, "ttl")` -> `behavior[1].ttl`, indexes count from 0."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{_key(step)}"
    return text.removeprefix(".") or "the file"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def shown(value: object) -> str:
    """A value as TOML would write it, cut to a readable length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(word: str, known: Sequence[str], *, keys: bool) -> str:
    """A hint: the nearest known word, else all of them."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if found:
        return f"Did you mean {found[0]!r}?"
    return f"Known {'keys' if keys else 'names'}: {', '.join(known)}." if known else ""


def complaints(
    error: ValidationError, data: object, model: Any, positions: Positions, prefix: Path = ()
) -> list[Complaint]:
    """One complaint per setting. `data` and `model` are the whole of what was validated, standing at `prefix`; the
    secrets in `data` are hidden.

    A setting of several types (`query = "all"` or a list) fails once for each; the complaints are merged.
    """
    merged: dict[Path, Complaint] = {}
    for detail in error.errors():
        path, found = _walk(data, detail["loc"])
        kind = detail["type"]
        full = prefix + path
        place = positions.of(full)
        hint = ""
        if kind == "extra_forbidden":
            known = [_alias(name, info) for name, info in _fields_at(model, path[:-1], data).items()]
            name = str(path[-1])
            complaint = Complaint(
                place.line, place.column, spelled(full), f"an unknown key {name!r}", "a known one",
                nearest(name, known, keys=True),
            )  # fmt: skip
        elif kind == "union_tag_invalid":
            context = detail["ctx"]
            known = re.findall(r"'([^']+)'", str(context["expected_tags"]))
            full = (*full, "scheme")
            place = positions.of(full)
            complaint = Complaint(
                place.line, place.column, spelled(full), shown(context["tag"]), " or ".join(map(shown, known)),
                nearest(str(context["tag"]), known, keys=False),
            )  # fmt: skip
        elif kind == "missing":
            name = str(detail["loc"][-1])
            complaint = Complaint(
                place.line, place.column, spelled(full), "", f"the key {name!r}, which has no default"
            )
        else:
            wanted, hint = _wanted(kind, detail["msg"], detail.get("ctx", {}))
            # A rule about a whole table says what it found itself; quoting the table would only be noise.
            text = "" if isinstance(found, Mapping) and kind == "value_error" else shown(found)
            mark = mark_at(path, model)
            if text and mark is not None and not mark.partly and not VARIABLE.search(text):
                text = NOT_SHOWN
            complaint = Complaint(place.line, place.column, spelled(full), text, wanted, hint)
        known_already = merged.get(full)
        if known_already is not None and complaint.wanted not in known_already.wanted:
            complaint = Complaint(
                place.line, place.column, complaint.where, known_already.found,
                f"{known_already.wanted} or {complaint.wanted}", known_already.hint or complaint.hint,
            )  # fmt: skip
        merged[full] = complaint
    return list(merged.values())


def _wanted(kind: str, message: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """What was wanted, and a hint."""
    if kind in _WORDS:
        return _WORDS[kind], ""
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}", ""
    if kind in ("value_error", "assertion_error"):
        text = message.partition(", ")[2]
        before, marker, wanted = text.partition("wanted ")
        if not marker:
            return "another value", f"{text[:1].upper()}{text[1:]}."
        before = before.strip().rstrip(";:")
        return wanted, f"{before[0].upper()}{before[1:]}." if before else ""
    return message.removeprefix("Input should be ").removeprefix("a valid ").replace("'", '"'), ""


def _walk(data: object, location: Sequence[str | int]) -> tuple[Path, object]:
    """The steps of pydantic's location that exist in the data (it also names union branches), and the value there."""
    path: Path = ()
    for step in location:
        if isinstance(data, Mapping):
            if step not in data:
                continue
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
        else:
            continue
        path = (*path, step)
    return path, data


def _alias(name: str, info: Any) -> str:
    return str(info.alias or name)


def _fields_at(model: Any, path: Path, value: Any) -> Mapping[str, Any]:
    """The fields of the model of the table at `path` of `value`."""
    for step in path:
        kinds, model = _alternatives(model), None
        for kind in kinds:
            if isinstance(step, int) or get_origin(kind) is dict:
                inner = [one for one in get_args(kind) if one is not Ellipsis]
                model = inner[-1] if inner else None
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                for name, info in kind.model_fields.items():
                    if _alias(name, info) == step:
                        model = info.annotation
            if model is not None:
                break
        value = _walk(value, (step,))[1]
    models = [kind for kind in _alternatives(model) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    chosen = next((kind for kind in models if _is_meant(kind, value)), models[0] if models else None)
    return chosen.model_fields if chosen is not None else {}


def _is_meant(model: type[BaseModel], value: Any) -> bool:
    """Whether a table selects this model among several, by its `scheme`."""
    info = model.model_fields.get("scheme")
    scheme = value.get("scheme") if isinstance(value, Mapping) else None
    return info is not None and (scheme in get_args(info.annotation) if scheme is not None else not info.is_required())


def _alternatives(annotation: Any) -> list[Any]:
    """The members of a union without their annotations; any other type alone."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for member in get_args(annotation) for kind in _alternatives(member)]
    return [annotation]
