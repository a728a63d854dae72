"""The settings as JSON Schema and as the page docs/settings.md, both generated from the models."""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from cdnlab.settings.document import Document


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a cdn.toml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(by_alias=True, mode="validation"),
        "title": "cdn.toml",
    }


_HEAD = """\
# Settings

Every key of `cdn.toml`. `cdnlab schema --markdown` generates this page from the models, and a test keeps it current.

A duration is written `"500ms"`, `"6s"`, `"2m"` or `"1d"`, a size `"64KiB"` or `"512MiB"`, a bit rate `"600kbit"` or
`"4Mbit"`. A number without a unit is in seconds, bytes or bits per second. `${NAME}` in a text is read from the
environment. A relative path is relative to the file's folder. `cdnlab init` writes a commented file with every key.
"""


def markdown() -> str:
    """The settings reference: one table per model, in the order a file is read."""
    sections = [_HEAD, *_section("", Document, "The file", set())]
    return "\n".join(sections)


def _section(path: str, model: type[BaseModel], heading: str, arrays: set[type[BaseModel]]) -> Iterator[str]:
    """`arrays`: repeated tables that have a section already, as the behaviors at the top have for those of services."""
    yield f"## {heading}\n"
    yield f"{_first_paragraph(model)}\n"
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    tables: list[tuple[str, type[BaseModel], str]] = []
    for name, info in model.model_fields.items():
        key = info.alias or name
        models, kind = models_of(info.annotation)
        for inner in models:
            place = {"array": f"[[{path}{key}]]", "named": f"[{path}{key}.NAME]", "one": f"[{path}{key}]"}[kind]
            which = f", `{_scheme(inner)}`" if len(models) > 1 else ""
            if inner not in arrays:
                tables.append((f"{path}{key}.", inner, f"`{place}`{which}"))
            arrays |= {inner} if kind == "array" else set()
        default = "required" if info.is_required() else _default(model, name, bool(models))
        words = " ".join((info.description or "").split()).replace("|", "\\|")
        yield f"| `{key}` | {_kind(info.annotation, info.json_schema_extra, info.metadata)} | {default} | {words} |"
    yield ""
    for inner_path, inner, inner_heading in tables:
        yield from _section(inner_path, inner, inner_heading, arrays)


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def models_of(annotation: Any) -> tuple[list[type[BaseModel]], str]:
    """The models that a setting may hold, and how: one, an array of tables, or tables by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], "one"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return models_of(arguments[0])
    if origin in (Union, types.UnionType):
        found = [models_of(one) for one in arguments]
        return [model for models, _ in found for model in models], next((kind for models, kind in found if models), "")
    if origin is tuple:
        return models_of(arguments[0])[0], "array"
    if origin is dict:
        return models_of(arguments[1])[0], "named"
    return [], ""


def _scheme(model: type[BaseModel]) -> str:
    """The line by which a table selects this model among several."""
    return f'scheme = "{get_args(model.model_fields["scheme"].annotation)[0]}"'


def _kind(annotation: Any, extra: Any = None, metadata: Any = ()) -> str:
    """The values that a key takes, in a few words."""
    for one in metadata:
        title = getattr(one, "json_schema", {}).get("title") if hasattr(one, "json_schema") else None
        if title:
            return str(title)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], metadata=arguments[1:])
    if origin is Literal:
        return ", ".join(f'`"{one}"`' for one in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(one) for one in arguments if one is not type(None))
    if origin is tuple:
        return "tables" if models_of(annotation)[0] else f"list of {_kind(arguments[0])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "table"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}.get(
        annotation, str(getattr(annotation, "__name__", annotation))
    )


def _default(model: type[BaseModel], name: str, is_table: bool) -> str:
    info = model.model_fields[name]
    if info.default is PydanticUndefined or is_table:
        return ""
    if info.default is None:
        return "left out"
    # Through the model's own writer, so that a default reads as people write it: "512MiB", not 536870912.
    field = model.model_construct(**{name: info.default}).model_dump(mode="json", include={name})[name]
    if isinstance(field, bool):
        return f"`{str(field).lower()}`"
    return f"`{str(list(field)) if isinstance(field, list | tuple) else field}`" if field != "" else '`""`'
