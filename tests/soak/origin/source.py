"""The VOD that is looped: four rungs and sound, encoded once, a few seconds of the test card."""

import asyncio
from pathlib import Path

from tests.kit.live_origin import encoder_command, ffmpeg_program
from tests.kit.looped import LoopedTrack

LADDER = ("720p.cmfv", "480p.cmfv", "360p.cmfv", "240p.cmfv", "audio-128k.cmfa")


async def looped_tracks(folder: Path, names: tuple[str, ...] = LADDER, *, seconds: float = 6.0) -> list[LoopedTrack]:
    """Its tracks, with a key frame each 2 s; encoded in `folder`, if they are not there."""
    if not all((folder / name).exists() for name in names):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        outputs = {name.partition(".")[0]: f"file:{folder / name}" for name in names}
        command = encoder_command(ffmpeg_program(), outputs, seconds=seconds, gop=60)
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
    return [LoopedTrack(name, (folder / name).read_bytes()) for name in names]
