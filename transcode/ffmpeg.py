"""Finding an ffmpeg that can do the work: version 6 or newer, with libx264 and AAC.

Looked for in `CDNLAB_FFMPEG`, then on PATH, then in the imageio-ffmpeg package (the `ffmpeg` extra).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transcode.errors import FfmpegMissing

OLDEST = 6
"""Oldest major version used: `%3N` in drawtext and the CMAF muxing used here behave alike since."""

_NEEDED = ("libx264", "aac")
# A git snapshot is called N-12345; libavutil's number still tells which release it follows (58 is FFmpeg 6).
_LIBAVUTIL_OF_OLDEST = 58
_HOW_TO_GET_ONE = (
    "Install one with the system's packages, or `pip install 'cdnlab[ffmpeg]'`, "
    "or name one in the environment variable CDNLAB_FFMPEG."
)


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """An ffmpeg binary and what it has."""

    path: str
    version: str
    """As it prints it: `6.1.1-3ubuntu5`, `n9.0.2`."""
    found_in: str = ""
    """`CDNLAB_FFMPEG`, `PATH` or `imageio-ffmpeg`."""
    encoders: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()


def find() -> Ffmpeg:
    """The ffmpeg to use; `FfmpegMissing` says what was looked at and how to get one.

    An ffmpeg named in `CDNLAB_FFMPEG` is used or refused, never passed over in silence.
    """
    refused: list[str] = []
    for found_in, path in _candidates():
        try:
            return inspect(path, found_in)
        except FfmpegMissing as error:
            if found_in == "CDNLAB_FFMPEG":
                raise
            refused.append(f"{error.where}: {error.found}")
    found = "; ".join(refused) or "none in CDNLAB_FFMPEG, on PATH or in the imageio-ffmpeg package"
    raise FfmpegMissing("ffmpeg", found, _WANTED, _HOW_TO_GET_ONE)


_WANTED = f"ffmpeg {OLDEST} or newer with {' and '.join(_NEEDED)}"


def _candidates() -> Iterator[tuple[str, str]]:
    if named := os.environ.get("CDNLAB_FFMPEG"):
        yield "CDNLAB_FFMPEG", named
    if on_path := shutil.which("ffmpeg"):
        yield "PATH", on_path
    try:
        import imageio_ffmpeg
    except ImportError:
        return
    try:
        yield "imageio-ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:  # the package without its binary: a platform it has none for
        return


def inspect(path: str, found_in: str = "") -> Ffmpeg:
    """What the binary at `path` is; `FfmpegMissing` if it does not run, is too old or lacks an encoder."""
    where = f"{found_in} {path}".lstrip()
    banner = _ask(path, "-version", where=where)
    first_line = banner.partition("\n")[0]
    match = re.match(r"ffmpeg version (\S+)", first_line)
    if match is None:
        raise FfmpegMissing(where, f"a program that says {first_line[:80]!r}", _WANTED, _HOW_TO_GET_ONE)
    version = match[1]
    if not _new_enough(version, banner):
        raise FfmpegMissing(where, f"version {version}", _WANTED, _HOW_TO_GET_ONE)
    encoders = _second_column(_ask(path, "-encoders", where=where))
    missing = [name for name in _NEEDED if name not in encoders]
    if missing:
        raise FfmpegMissing(where, f"version {version} without {' and '.join(missing)}", _WANTED, _HOW_TO_GET_ONE)
    return Ffmpeg(path, version, found_in, encoders, _second_column(_ask(path, "-filters", where=where)))


def _new_enough(version: str, banner: str) -> bool:
    if number := re.match(r"n?(\d+)\.", version):
        return int(number[1]) >= OLDEST
    libavutil = re.search(r"^libavutil\s+(\d+)\.", banner, re.MULTILINE)
    return libavutil is not None and int(libavutil[1]) >= _LIBAVUTIL_OF_OLDEST


def _second_column(listing: str) -> frozenset[str]:
    return frozenset(words[1] for line in listing.splitlines() if len(words := line.split()) > 1)


def _ask(path: str, *arguments: str, where: str) -> str:
    try:
        done = subprocess.run(
            [path, "-hide_banner", *arguments] if arguments != ("-version",) else [path, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        found = "no such file" if not Path(path).exists() else f"a program that does not run ({error})"
        raise FfmpegMissing(where, found, _WANTED, _HOW_TO_GET_ONE) from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise FfmpegMissing(
            where,
            f"exit status {done.returncode} ({lines[-1] if lines else 'silent'})",
            _WANTED,
            _HOW_TO_GET_ONE,
        )
    return done.stdout
