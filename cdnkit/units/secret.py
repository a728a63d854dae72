"""Secret settings: a setting's type says that its value is not shown.

All that shows settings hides them by these functions: `cdn.json`, complaints about a settings file, `explain`, `cdnlab
schema`. A new secret setting needs one of these types, and nothing else.
"""

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, GetJsonSchemaHandler

HIDDEN = "(hidden)"

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A reference to an environment variable in a setting. Its name is no secret."""


@dataclass(frozen=True)
class Redaction:
    """Marks the type of a setting that is not shown as it is."""

    shown: Callable[[str], str]
    """From the value to the text that is shown in its place."""
    partly: bool = False
    """Most values of this type hold no secret: a complaint may quote what `shown` leaves of one."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(core_schema) | {"writeOnly": True}


def _without_user(url: str) -> str:
    return re.sub(r"(?<=//)[^/]*@", f"{HIDDEN}@", url)


SECRET = Redaction(lambda _: HIDDEN)
Secret = Annotated[str, SECRET]
SecretUrl = Annotated[str, Redaction(_without_user)]
"""A URL that may hold a user's name and password."""
ServerUrl = Annotated[str, Redaction(_without_user, partly=True)]
"""A URL that should hold no name and password."""


def hidden(value: Any, kind: Any) -> Any:
    """`value` of a setting of type `kind`, with its secrets hidden. A default is no secret.

    It is read from a file or written by a model, and may be bad: one table is also read where an array of tables was
    wanted.
    """
    for one, mark in _alternatives(kind):
        value = _without(value, mark) if mark is not None else _inside(value, one)
    return value


def mark_at(path: Sequence[str | int], kind: Any) -> Redaction | None:
    """How to show the value at a path below a setting of type `kind`; None: as it is."""
    here = [kind]
    for step in path:
        if mark := _mark_of(here):
            return mark
        here = [member for one in here for bare, _ in _alternatives(one) for member in _members(bare, step)]
    return _mark_of(here)


def marks(kind: Any, seen: frozenset[Any] = frozenset()) -> Iterator[tuple[str, Redaction]]:
    """Every key in a settings file whose value is not shown as it is, and how it is shown."""
    for one, _ in _alternatives(kind):
        if isinstance(one, type) and issubclass(one, BaseModel) and one not in seen:
            for name, member in _fields(one):
                if mark := _mark_of([member]):
                    yield name, mark
                yield from marks(member, seen | {one})
        elif get_origin(one) in (dict, tuple):
            yield from marks(_member_of(one), seen)


def _without(value: Any, mark: Redaction) -> Any:
    match value:
        case None:
            return None
        case str():
            return value if VARIABLE.search(value) else mark.shown(value)
        case dict():
            return {key: _without(one, mark) for key, one in value.items()}
        case list() | tuple():
            return [_without(one, mark) for one in value]
    return HIDDEN


def _inside(value: Any, kind: Any) -> Any:
    member = _member_of(kind)
    if get_origin(kind) is dict and isinstance(value, Mapping):
        # A text may be a key of the table whose name was forgotten: `[token]` for `[token.viewer]`.
        return {
            key: hidden(one if isinstance(one, Mapping) else hidden({key: one}, member)[key], member)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [hidden(one, member if get_origin(kind) in (dict, tuple) else kind) for one in value]
    if get_origin(kind) in (dict, tuple):
        return hidden(value, member)
    if isinstance(value, Mapping) and isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = dict(_fields(kind))
        known = {info.alias or name: info.default for name, info in kind.model_fields.items()}
        return {
            key: hidden(one, fields[key]) if key in fields and one != known.get(key) else one
            for key, one in value.items()
        }
    return value


def _members(kind: Any, step: str | int) -> list[Any]:
    """The types that a step of a path leads to."""
    if get_origin(kind) in (dict, tuple):
        return [_member_of(kind)]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [member for name, member in _fields(kind) if name == step]
    return []


def _member_of(kind: Any) -> Any:
    arguments = [one for one in get_args(kind) if one is not Ellipsis]
    return arguments[-1] if arguments else Any


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """The keys of a table, by alias and by name, and the type of each."""
    for name, info in model.model_fields.items():
        found = [one for one in info.metadata if isinstance(one, Redaction)]
        kind = Annotated[info.annotation, found[0]] if found else info.annotation
        yield from ((key, kind) for key in {name, info.alias or name})


def _alternatives(kind: Any, mark: Redaction | None = None) -> Iterator[tuple[Any, Redaction | None]]:
    """The members of a union, each with its mark; of any other type, itself."""
    if get_origin(kind) is Annotated:
        bare, *metadata = get_args(kind)
        found = [one for one in metadata if isinstance(one, Redaction)]
        yield from _alternatives(bare, found[0] if found else mark)
    elif get_origin(kind) in (Union, types.UnionType):
        for one in get_args(kind):
            yield from _alternatives(one, mark)
    else:
        yield kind, mark


def _mark_of(kinds: list[Any]) -> Redaction | None:
    """The mark of one of these types, or of the texts in its table or array."""
    for kind in kinds:
        for one, mark in _alternatives(kind):
            mark = mark or (_mark_of([_member_of(one)]) if get_origin(one) in (dict, tuple) else None)
            if mark is not None:
                return mark
    return None
