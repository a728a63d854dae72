"""Errors of the report: where, what was found, what was wanted."""

from dataclasses import dataclass


class ReportError(Exception):
    """Base of this package's errors; `exit_status` is that of the command line."""

    exit_status = 1


@dataclass
class NoRecords(ReportError):
    """The folder has no records."""

    directory: str
    found: str
    exit_status = 2

    def __str__(self) -> str:
        return (
            f"{self.directory}: found {self.found}, wanted a run folder with records/<node>.jsonl in it; "
            "`cdnlab up` makes one below runs/"
        )


@dataclass
class CausesDoNotSum(ReportError):
    """A node recorded a miss without its cause, which is a bug of the node and not of the report."""

    node: str
    outcome: str
    requests: int
    with_cause: int
    example: str

    def __str__(self) -> str:
        return (
            f"records of node {self.node!r}: {self.requests} requests were {self.outcome!r}, but {self.with_cause} "
            f"of them have a cause; wanted one for each. The first without: {self.example}"
        )


@dataclass
class ExtraMissing(ReportError):
    """duckdb or plotly, packages of an extra, is not installed."""

    package: str
    exit_status = 2

    def __str__(self) -> str:
        return f"{self.package} is not installed; the report needs it: pip install 'cdnlab[report]'"
