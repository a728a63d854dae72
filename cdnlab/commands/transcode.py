"""`cdnlab transcode`: a file to a folder of HLS renditions."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab transcode clip.mp4 --out vod/clip[/]")(transcode)


def transcode(
    clip: Annotated[Path, typer.Argument(help="The media file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must be new or empty.")],
    ladder: Annotated[
        str, typer.Option("--ladder", help="Rungs such as 720p,360p; auto: every rung that does not upscale.")
    ] = "auto",
    segment: Annotated[str, typer.Option("--segment", help="Segment duration.")] = "4s",
    encoder: Annotated[str, typer.Option("--encoder", help="auto, nvenc or x264.")] = "auto",
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One file for each track, with byte ranges, instead of segments.")
    ] = False,
    start: Annotated[
        str | None, typer.Option("--start", help="Where players begin: 12s, or -30s from the end (EXT-X-START).")
    ] = None,
    start_precise: Annotated[
        bool, typer.Option("--start-precise", help="Players show nothing that is before --start.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing folder.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print ffmpeg's command.")] = False,
) -> int:
    """Transcode a file to a ladder of renditions (VOD), for HLS and DASH."""
    from cdnlab.tasks.transcode import run

    packaging = {"single_file": single_file, "start": start, "start_precise": start_precise}
    stream = {"ladder": ladder, "segment": segment, "encoder": encoder}
    return run(clip, out, stream, packaging, force=force, verbose=verbose)
