"""A run folder of any size, for `cdnlab report` and `cdnlab replay`: `python -m tests.bench.long_run FOLDER VIEWERS`.

Each viewer makes 600 requests in ten minutes (`test_bench_replay.py`), so 5,000 make 3 million.
"""

import json
import sys
from pathlib import Path

from cdnkit.policy.record.lines import line_of
from tests.bench.test_bench_replay import SERVICE, record_run


def make(folder: Path, viewers: int) -> None:
    (folder / "records").mkdir(parents=True)
    behaviors = [one.model_dump(mode="json", exclude_defaults=True) for one in SERVICE.behaviors]
    (folder / "cdn.json").write_text(json.dumps({"node": [{"name": "fra"}], "behavior": behaviors}))
    with (folder / "records" / "fra.jsonl").open("wb") as file:
        record_run(viewers, lambda record: file.write(line_of(record)))


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
