"""Quantities as people write them ("6s", "2GiB", "4Mbit"), held as plain seconds, bytes and bits per second.

Each type reads text or a bare number and prints itself as text in `model_dump(mode="json")`.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/]*)\s*")

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_BITS = {
    "bit": 1,
    "kbit": 10**3,
    "Mbit": 10**6,
    "Gbit": 10**9,
    "bps": 1,
    "kbps": 10**3,
    "Mbps": 10**6,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
}


def _read(value: Any, scale: dict[str, Any], wanted: str) -> float:
    if isinstance(value, bool):
        raise ValueError(f"wanted {wanted}")
    if isinstance(value, int | float):
        number, factor = float(value), 1.0
    else:
        match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"wanted {wanted}")
        unit = match[2]
        if unit and unit not in scale:
            raise ValueError(f"unknown unit {unit!r}; wanted {wanted}")
        number, factor = float(match[1]), float(scale[unit]) if unit else 1.0
    if number < 0:
        raise ValueError(f"wanted {wanted}, not a negative one")
    return number * factor


def _write(value: float, scale: dict[str, Any]) -> str:
    """The largest unit that states the value exactly: 86400 -> "1d", 90 -> "90s"."""
    for unit, factor in sorted(scale.items(), key=lambda item: -item[1]):
        count = round(value / factor, 9)
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{value:g}{next(unit for unit, factor in scale.items() if factor == 1)}"


def read_seconds(value: Any) -> float:
    return _read(value, _SECONDS, 'a duration such as "500ms", "6s", "2m" or "1d"')


def read_offset(value: Any) -> float:
    wanted = 'an offset such as "12s", or "-30s" from the end'
    if isinstance(value, str) and value.strip().startswith("-"):
        return -_read(value.strip()[1:], _SECONDS, wanted)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return _read(value, _SECONDS, wanted)


def write_offset(value: float) -> str:
    return f"-{write_seconds(-value)}" if value < 0 else write_seconds(value)


def write_seconds(value: float) -> str:
    return _write(value, {unit: _SECONDS[unit] for unit in ("ms", "s", "m", "h", "d")})


def read_bytes(value: Any) -> int:
    return round(_read(value, _BYTES, 'a size such as "64KiB", "512MiB" or "2GiB"'))


def write_bytes(value: int) -> str:
    return _write(value, {unit: factor for unit, factor in _BYTES.items() if unit == "B" or unit.endswith("iB")})


def read_bits_per_second(value: Any) -> int:
    return round(_read(value, _BITS, 'a bit rate such as "600kbit", "2.5Mbit" or "1Gbit"'))


def write_bits_per_second(value: int) -> str:
    return _write(value, {unit: factor for unit, factor in _BITS.items() if unit.endswith("bit")})


def read_share(value: Any) -> float:
    wanted = 'a share such as "0.1%" or 0.001'
    if isinstance(value, str):
        number, percent, rest = value.strip().partition("%")
        if not percent or rest:
            raise ValueError(f"wanted {wanted}")
        share = _read(number, {}, wanted) / 100
    else:
        share = _read(value, {}, wanted)
    if share > 1:
        raise ValueError(f"wanted {wanted}, not more than the whole")
    return share


def write_share(value: float) -> str:
    return f"{value * 100:g}%"


def split_address(address: str) -> tuple[str, int]:
    """`"127.0.0.1:8080"` or `"[::1]:8080"` -> (host, port); ValueError says what was wanted."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError('wanted an address such as "127.0.0.1:8080" (port 0: any free port)')
    return host, int(port)


def is_loopback(address: str) -> bool:
    """Whether a listener on `address` is reached from this machine only; a name other than localhost is not."""
    host, _ = split_address(address)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(value: str) -> str:
    split_address(value)
    return value


def _check_glob(value: str) -> str:
    if not value:
        raise ValueError('wanted a pattern such as "*.m3u8" or "/live/*"')
    return value


Seconds = Annotated[
    float,
    BeforeValidator(read_seconds),
    PlainSerializer(write_seconds, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "title": "duration", "examples": ["500ms", "6s", "1d"]}),
]
Offset = Annotated[
    float,
    BeforeValidator(read_offset),
    PlainSerializer(write_offset, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "title": "offset", "examples": ["12s", "-30s"]}),
]
"""Seconds from a beginning; negative: from an end."""
Bytes = Annotated[
    int,
    BeforeValidator(read_bytes),
    PlainSerializer(write_bytes, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "title": "size", "examples": ["64KiB", "512MiB"]}),
]
BitsPerSecond = Annotated[
    int,
    BeforeValidator(read_bits_per_second),
    PlainSerializer(write_bits_per_second, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "title": "bit rate", "examples": ["600kbit", "4Mbit"]}),
]
Share = Annotated[
    float,
    BeforeValidator(read_share),
    PlainSerializer(write_share, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "title": "share", "examples": ["0.1%", "40%"]}),
]
ListenAddress = Annotated[str, BeforeValidator(_check_address), Field(examples=["127.0.0.1:8080"])]
FieldName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
"""The name of an HTTP field: a token (RFC 9110 §5.1)."""
FieldValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]*[!-~])?)?$")]
"""The value of an HTTP field: printable ASCII without a space at its ends, or ""."""
Glob = Annotated[str, BeforeValidator(_check_glob), Field(examples=["*.m3u8", "/live/*"])]
