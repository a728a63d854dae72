"""Why there is no report: where, what was found, what to do."""

from dataclasses import dataclass


class ReportError(Exception):
    """Base of this package's errors; `exit_status` is what the command line leaves with."""

    exit_status = 1


@dataclass
class NoRecords(ReportError):
    """The folder has nothing to report on."""

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
    """A node's records break the promise that every miss has a cause: a bug there, not here."""

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
    """duckdb and plotly are an extra."""

    package: str
    exit_status = 2

    def __str__(self) -> str:
        return f"{self.package} is not installed; the report needs it: pip install 'cdnlab[report]'"
