"""The report of a run, counted from its records: hit rates, causes, offload, times; as a page, as JSON, as tables."""

import json
from pathlib import Path

from cdnlab.lab.run_folder import write_whole
from cdnlab.report.errors import CausesDoNotSum, ExtraMissing, NoRecords, ReportError
from cdnlab.report.facts import Report, build
from cdnlab.report.table import show

__all__ = ["CausesDoNotSum", "ExtraMissing", "NoRecords", "Report", "ReportError", "build", "show", "write"]


def write(directory: Path, report: Report) -> tuple[Path, Path]:
    """Write report.json and report.html into `directory`; returns their paths in that order.

    Raises `ExtraMissing`. An existing report stays whole until the new one is.
    """
    from cdnlab.report.page import render

    texts = {
        directory / "report.json": json.dumps(report.to_json(), indent=1) + "\n",
        directory / "report.html": render(report),
    }
    for path, text in texts.items():
        write_whole(path, text)
    return directory / "report.json", directory / "report.html"
