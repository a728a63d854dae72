"""Options of the command line, read as settings are; what is wrong with one names the option."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cdnkit.units.quantities import read_seconds
from cdnlab.errors import BadUsage

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], values: Mapping[str, Any]) -> M:
    """The settings with these values, which options gave. Raises `BadUsage` for the first that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ").replace("Input should be ", "wanted ")
        # A rule about several settings says itself what it found.
        if not first["loc"]:
            raise BadUsage(message) from None
        option = "--" + str(first["loc"][0]).replace("_", "-")
        found = first["input"]
        typed = ",".join(map(str, found)) if isinstance(found, tuple) else found
        raise BadUsage(f"{option}: found {typed!r}, {message}") from None


def seconds(option: str, text: str) -> float:
    """A duration such as "6s", in seconds. Raises `BadUsage`."""
    try:
        return float(read_seconds(text))
    except ValueError as error:
        raise BadUsage(f"{option}: found {text!r}, {error}") from None
