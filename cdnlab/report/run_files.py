"""What others left in the run folder beside the records: cluster.json and load.json, held to what the report reads.

Neither need be there. One that is there and of no use is left out, and the report says so.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from cdnkit.units import visible
from cdnlab.lab.run_folder import read_json

Row = dict[str, Any]

_Count = Annotated[int, Field(ge=0, le=10**15)]
_Share = FiniteFloat | None


class _Told(BaseModel):
    model_config = ConfigDict(strict=True)


class _Node(_Told):
    name: str
    parent: str | None = None


class _Cluster(_Told):
    """cluster.json (`Cluster.describe`)."""

    nodes: list[_Node] = []


class _Spread(_Told):
    p50: FiniteFloat
    p99: FiniteFloat


class _Players(_Told):
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


class _Generator(_Told):
    cpu_share: _Share = None
    bound: bool = False


class _Load(_Told):
    """load.json (`loadtests.tally`)."""

    total: _Players | None = None
    renditions: list[_Rendition] = []
    generator: _Generator | None = None


_M = TypeVar("_M", bound=_Told)


def read_nodes(path: Path) -> tuple[dict[str, str], list[str]]:
    """The parent of each node of the run by their names, and what is to be said; empty where it is not told of all."""
    cluster, _, notes = _read(path, _Cluster)
    nodes = {node.name: node.parent for node in cluster.nodes} if cluster is not None else {}
    return {name: parent for name, parent in nodes.items() if parent} if all(nodes.values()) else {}, notes


def read_players(path: Path) -> tuple[Row | None, list[str]]:
    """load.json as it is, with texts that can be shown, and what is to be said."""
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
