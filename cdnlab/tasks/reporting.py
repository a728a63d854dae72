"""`cdnlab report`: the report of a run, made again from its records."""

import json
from pathlib import Path

from cdnlab.lab.run_folder import RunFolder
from cdnlab.screen import terminal
from cdnlab.tasks.loading import show_report


def run(folder: Path, *, as_json: bool) -> int:
    """Writes report.html and report.json, and shows the tables or prints the JSON."""
    from cdnlab import report

    if as_json:
        report.write(folder)
        print(json.dumps(report.build(folder).to_json(), indent=2))
        return 0
    show_report(RunFolder(folder), terminal.console())
    return 0
