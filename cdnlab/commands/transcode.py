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
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing folder.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print ffmpeg's command.")] = False,
) -> int:
    """Transcode a file to a ladder of HLS renditions (VOD)."""
    from cdnlab.tasks.transcode import run

    return run(clip, out, ladder=ladder, segment=segment, encoder=encoder, force=force, verbose=verbose)
