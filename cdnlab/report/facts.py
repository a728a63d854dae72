"""The facts of a run, counted from its records.

**Hit rate**, defined once and used everywhere: a request is a *hit* when the node responded without a fetch of its
own (`hit`, `hit-stale`, `collapsed`). The rate is hits / cacheable requests, where cacheable is all but
`pass` and `refused`, which do not use the cache. `revalidated` (the parent responded 304) is not a hit and is counted
apart. The byte hit rate is the same over body bytes sent. Vendors count differently: CloudFront's console divides hits
by all requests.
"""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cdnkit.units import visible
from cdnlab.report import sql
from cdnlab.report.errors import CausesDoNotSum, ExtraMissing, NoRecords
from cdnlab.report.progress import OnRead, watched
from cdnlab.report.run_files import Row, read_nodes, read_players
from cdnlab.report.words import when

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HIT_RATE = (
    "A hit is a request answered without an upstream fetch of its own: hit, hit-stale or collapsed. The hit "
    "rate is hits divided by cacheable requests, which are all but pass and refused. Revalidated (the parent responded "
    "304) is not a hit and is counted apart. The byte hit rate is the same over body bytes sent."
)
OFFLOAD = (
    "Origin offload is 1 - requests to the origin / requests of viewers, and the same over bytes. Requests to the "
    "origin are the fetches of the nodes whose parent it is, whatever their purpose."
)

_MOST_BINS = 600
IN_MEMORY_BYTES = 64 * 2**20
"""Records of up to this size are counted in memory; larger ones in a temporary file, a fortieth of their size."""
DATABASE_BYTES = 300_000_000
"""The database's memory, or a tenth of the records' size if that is more: quantiles need eight bytes a request."""
_GLOBBING = re.compile(r"[*?\[]")
"""Characters that DuckDB reads as a pattern in a file name, unless they are in brackets."""


@dataclass
class Report:
    """What report.json holds, key by key. Rates are between 0 and 1, or null where there was nothing to divide by.

    A *rates row* has `requests`, `cacheable`, `hits`, `revalidated`, `misses`, `failed`, `passed`, `refused`,
    `hit_rate`, `bytes`, `bytes_cacheable`, `bytes_hit`, `byte_hit_rate`.
    """

    run: str
    """Name of the run folder."""
    began: float | None
    """Unix seconds of the first request; null without any."""
    seconds: float
    """From the first request's arrival to the last one's end."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know before trusting the figures, such as unreadable lines."""
    definitions: dict[str, str] = field(default_factory=dict)
    total: Row = field(default_factory=dict)
    """Rates row over viewers' requests: what arrived at the edges."""
    nodes: list[Row] = field(default_factory=list)
    """Rates row per node, with `node` and `role` ("edge" or "shield")."""
    classes: list[Row] = field(default_factory=list)
    """Rates row per `object_class`, viewers' requests."""
    node_classes: list[Row] = field(default_factory=list)
    """Rates row per `node` and `object_class`."""
    renditions: list[Row] = field(default_factory=list)
    """Rates row per `rendition`, viewers' requests."""
    statuses: list[Row] = field(default_factory=list)
    """`node`, `status`, `requests`, `bytes`; status 0: the client left first."""
    outcomes: list[Row] = field(default_factory=list)
    """`object_class`, `outcome`, `requests`, `bytes`, viewers' requests."""
    causes: list[Row] = field(default_factory=list)
    """`node`, `object_class`, `outcome` (miss, revalidated, pass), `cause`, `requests`. Sums to all of those."""
    offload: Row = field(default_factory=dict)
    """`edge_`, `shield_`, `origin_` `requests` and `bytes`, `request_offload`, `byte_offload`."""
    fetches: list[Row] = field(default_factory=list)
    """`node`, `to_origin`, `purpose`, `fetches`, `failed`, `bytes`."""
    repeated: list[Row] = field(default_factory=list)
    """Per node that fetches from the origin, over the init sections and segments that it missed: `objects`, `fetches`,
    `most` for one object, `repeated` (objects fetched more than once)."""
    ttfb: list[Row] = field(default_factory=list)
    """`node`, `outcome`, `requests`, `p50`, `p90`, `p99` in milliseconds (interpolated)."""
    ttfb_histogram: list[Row] = field(default_factory=list)
    """`outcome`, `bucket` b (10^(b/10) to 10^((b+1)/10) ms), `requests`, viewers' requests."""
    bin_seconds: float = 1.0
    timeline: list[Row] = field(default_factory=list)
    """`second` since `began`, `node`, `outcome`, `by_viewer`, `requests`, `hits`, `cacheable` per bin."""
    refusals: list[Row] = field(default_factory=list)
    """`node`, `status`, `reason`, `country`, `requests`."""
    failures: list[Row] = field(default_factory=list)
    """`node`, `status`, `reason`, `requests`."""
    top_misses: list[Row] = field(default_factory=list)
    """The 15 `path`s with the most `misses`, of those that missed more than once at a node: `nodes`, `causes`."""
    purges: list[Row] = field(default_factory=list)
    """`at`, `node`, `what`, `value`, `soft`, `purged`; the first 200."""
    players: Row | None = None
    """load.json, where the run had a load test (`loadtests.tally` documents its keys)."""

    def causes_by_node(self) -> list[tuple[str, str, dict[str, int]]]:
        """(outcome, cause, node -> requests) over all object classes; for each outcome the most common cause first."""
        sums: dict[tuple[str, str], dict[str, int]] = {}
        for row in self.causes:
            cell = sums.setdefault(
                (row["outcome"], row["cause"]), dict.fromkeys((one["node"] for one in self.nodes), 0)
            )
            cell[row["node"]] += row["requests"]
        return sorted(((*key, cell) for key, cell in sums.items()), key=lambda row: (row[0], -sum(row[2].values())))

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain values; every key is an attribute documented here."""
        return asdict(self)


def build(directory: Path, on_read: OnRead = lambda _: None) -> Report:
    """Count the run in `directory` (docs/architecture.md lists its files). `on_read` hears how far reading is.

    Lines that cannot be read, such as the last one of a killed process, are left out and noted in `notes`. Raises
    `NoRecords`, `CausesDoNotSum`, `ExtraMissing`.
    """
    files, left_out = _files(directory)
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise ExtraMissing("duckdb") from error
    with TemporaryDirectory(prefix="cdnlab-report-") as folder, _database(duckdb, files, folder) as db:
        with watched(db, on_read):
            db.execute(sql.LOAD, {"files": [_GLOBBING.sub(r"[\g<0>]", str(file)) for file in files]})
        db.execute(sql.VIEWS)
        return _count(db, directory, left_out)


def _database(duckdb: Any, files: list[Path], folder: str) -> "DuckDBPyConnection":
    """A new database, in memory or in the folder."""
    size = sum(file.stat().st_size for file in files)
    settings = {
        "memory_limit": f"{max(DATABASE_BYTES, size // 10)}B",
        "temp_directory": folder,
        "preserve_insertion_order": "false",
    }
    made: DuckDBPyConnection = duckdb.connect(
        ":memory:" if size <= IN_MEMORY_BYTES else f"{folder}/records.duckdb", config=settings
    )
    return made


def _count(db: "DuckDBPyConnection", directory: Path, left_out: list[str]) -> Report:
    for row in _rows(db, sql.CAUSELESS):
        raise CausesDoNotSum(**row)
    window = _row(db, sql.WINDOW)
    began = window["began"]
    seconds = max(0.0, window["ended"] - began) if began is not None else 0.0
    bin_seconds = float(max(1, -(-int(seconds) // _MOST_BINS)))
    nodes, notes = read_nodes(directory / "cluster.json")
    players, complaints = read_players(directory / "load.json")
    notes = [*left_out, *notes, *complaints, *map(_missing_note, _rows(db, sql.MISSING))]
    for row in _rows(db, sql.UNREADABLE):
        lines = "1 line" if row["lines"] == 1 else f"{row['lines']} lines"
        notes.append(
            f"records/{row['file']}: {lines} could not be read and left out; the last line of a killed process may "
            "be incomplete"
        )
    facing = {"facing_origin": _facing_origin(db, nodes)}
    shields = [name for name in nodes if name in nodes.values()]
    if began is None:
        notes.append("no request was recorded")
    return Report(
        run=visible(directory.resolve().name),
        began=began,
        seconds=round(seconds, 3),
        notes=notes,
        definitions={"hit_rate": HIT_RATE, "offload": OFFLOAD},
        total=_row(db, sql.TOTAL),
        nodes=_rows(db, sql.BY_NODE, {"shields": shields}),
        classes=_rows(db, sql.BY_CLASS),
        node_classes=_rows(db, sql.BY_NODE_CLASS),
        renditions=_rows(db, sql.BY_RENDITION),
        statuses=_rows(db, sql.BY_STATUS),
        outcomes=_rows(db, sql.OUTCOMES),
        causes=_rows(db, sql.CAUSES),
        offload=_row(db, sql.OFFLOAD, facing),
        fetches=_rows(db, sql.FETCHES, facing),
        repeated=_rows(db, sql.REPEATED, facing),
        ttfb=_rows(db, sql.TTFB),
        ttfb_histogram=_rows(db, sql.TTFB_HISTOGRAM),
        bin_seconds=bin_seconds,
        timeline=_rows(db, sql.TIMELINE, {"began": began or 0.0, "bin": bin_seconds}),
        refusals=_rows(db, sql.REFUSALS),
        failures=_rows(db, sql.FAILURES),
        top_misses=_rows(db, sql.TOP_MISSES),
        purges=_rows(db, sql.PURGES),
        players=players,
    )


def _missing_note(row: Row) -> str:
    """The note on the records of a life that are missing."""
    parts = []
    if row["older"]:
        parts.append(f"{row['older']:,} older records are no longer kept: counted from {when(row['began'])} on")
    if row["lost"]:
        parts.append(f"{row['lost']:,} records could not be written, as on a full disk, and are not counted")
    return f"records of {row['life']}: {'; '.join(parts)}"


def _files(directory: Path) -> tuple[list[Path], list[str]]:
    """The record files, and a note for each entry of such a name that is not a file."""
    if not directory.is_dir():
        raise NoRecords(str(directory), "no such folder" if not directory.exists() else "a file")
    records = directory / "records"
    if not records.is_dir():
        raise NoRecords(str(directory), "no records folder")
    named = sorted(records.glob("*.jsonl"))
    files = [path for path in named if path.is_file()]
    if not files:
        raise NoRecords(str(directory), "an empty records folder")
    return files, [f"records/{visible(path.name)}: not a file, left out" for path in named if path not in files]


def _facing_origin(db: "DuckDBPyConnection", nodes: dict[str, str]) -> list[str]:
    """Names of the nodes whose parent is not a node of the run."""
    if nodes:
        return sorted(name for name, parent in nodes.items() if parent not in nodes)
    return [str(row["box"]) for row in _rows(db, sql.PARENTLESS)]


def _rows(db: "DuckDBPyConnection", query: str, values: Row | None = None) -> list[Row]:
    """The rows of a query, with texts made printable: clients may have put anything into a URL."""
    result = db.execute(query, values) if values is not None else db.execute(query)
    names = [column[0] for column in result.description or []]
    shown = ([visible(cell) if isinstance(cell, str) else cell for cell in row] for row in result.fetchall())
    return [dict(zip(names, row, strict=True)) for row in shown]


def _row(db: "DuckDBPyConnection", query: str, values: Row | None = None) -> Row:
    return _rows(db, query, values)[0]
