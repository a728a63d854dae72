"""The command line, as a script runs it."""

import os
import subprocess
import sys
from pathlib import Path


def cdnlab(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """One run of the command line in a folder of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "cdnlab", *arguments],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done
