"""Reads what a run folder holds beside the records: cluster.json and load.json, checked for what the report uses.

Neither must exist. The report leaves out one that cannot be used, and says so.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from cdnkit.units import visible
from cdnlab.lab.run_folder import read_json

Row = dict[str, Any]

_Count = Annotated[int, Field(ge=0, le=10**15)]
_Share = FiniteFloat | None


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Node(_Strict):
    name: str
    parent: str | None = None


class _Cluster(_Strict):
    """cluster.json (`Cluster.describe`)."""

    nodes: list[_Node] = []


class _Spread(_Strict):
    p50: FiniteFloat
    p99: FiniteFloat


class _Players(_Strict):
    viewers: _Count
    stalls: _Count
    rebuffer_ratio: _Share
    startup_ms: _Spread | None
    live_latency: _Spread | None


class _Rendition(_Players):
    edge: str
    rendition: str
    jumps: _Count
    hit_share: _Share
    failures: dict[str, _Count]
    bytes: _Count


class _Generator(_Strict):
    cpu_share: _Share = None
    bound: bool = False


class _Load(_Strict):
    """load.json (`loadtests.tally`)."""

    total: _Players | None = None
    renditions: list[_Rendition] = []
    generator: _Generator | None = None


_M = TypeVar("_M", bound=_Strict)


def read_nodes(path: Path) -> tuple[dict[str, str], list[str]]:
    """Node -> its parent, by name, and notes for the reader. Empty when the file lacks the parent of a node."""
    cluster, _, notes = _read(path, _Cluster)
    nodes = {node.name: node.parent for node in cluster.nodes} if cluster is not None else {}
    return {name: parent for name, parent in nodes.items() if parent} if all(nodes.values()) else {}, notes


def read_players(path: Path) -> tuple[Row | None, list[str]]:
    """The content of load.json with its texts made printable, or None, and notes for the reader."""
    load, found, notes = _read(path, _Load)
    return None if load is None else _shown(found), notes


def _read(path: Path, model: type[_M]) -> tuple[_M | None, Any, list[str]]:
    if not path.exists():
        return None, None, []
    try:
        found = read_json(path)
        return model.model_validate(found), found, []
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{where}: {first['msg']}" if where else f"found {type(found).__name__}, wanted a JSON object"
        return None, None, [visible(f"{path.name} was left out: {why}")]
    except (OSError, ValueError) as error:
        return None, None, [visible(f"{path.name} could not be read and was left out: {error}")]


def _shown(value: Any) -> Any:
    match value:
        case str():
            return visible(value)
        case list():
            return [_shown(one) for one in value]
        case dict():
            return {visible(key): _shown(one) for key, one in value.items()}
        case _:
            return value
