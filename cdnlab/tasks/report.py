"""`cdnlab report`: makes the report of a run again, from its records."""

import json
from pathlib import Path

from cdnlab.lab.run_folder import RunFolder
from cdnlab.screen import terminal
from cdnlab.tasks.load import show_report


def run(folder: Path, *, as_json: bool) -> int:
    """Writes report.html and report.json, and shows the tables or prints the JSON."""
    from cdnlab import report

    if as_json:
        counted = report.build(folder)
        report.write(folder, counted)
        print(json.dumps(counted.to_json(), indent=2))
        return 0
    show_report(RunFolder(folder), terminal.console())
    return 0
