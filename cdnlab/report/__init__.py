"""What a run's records say: hit rates, causes, offload, times; as a page, as JSON, on the terminal."""

import json
from pathlib import Path

from cdnlab.lab.run_folder import write_whole
from cdnlab.report.errors import CausesDoNotSum, ExtraMissing, NoRecords, ReportError
from cdnlab.report.facts import Report, build
from cdnlab.report.table import show

__all__ = ["CausesDoNotSum", "ExtraMissing", "NoRecords", "Report", "ReportError", "build", "show", "write"]


def write(directory: Path, report: Report | None = None) -> tuple[Path, Path]:
    """Write report.json and report.html into `directory`; returns their paths in that order.

    `report` spares counting again. Raises as `build` does; an existing report stays whole until the new one is.
    """
    from cdnlab.report.page import render

    counted = build(directory) if report is None else report
    texts = {
        directory / "report.json": json.dumps(counted.to_json(), indent=1) + "\n",
        directory / "report.html": render(counted),
    }
    for path, text in texts.items():
        write_whole(path, text)
    return directory / "report.json", directory / "report.html"
