"""A stream with a clock in its pictures: whoever sees one knows how long ago it was taken.

A picture is 32 squares, bright for 1 and dark for 0, row by row: the milliseconds of the Unix time at which it was taken,
modulo 2^24 (four hours and a half), then the exclusive or of their three bytes. No font and no filter is needed.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.kit.late import GUARD_S
from tests.outside.players.stage import RATE
from transcode.ffmpeg import find

WIDTH, HEIGHT = 320, 180
COLUMNS, ROWS = 8, 4
_DARK, _BRIGHT = b"\x10", b"\xeb"


def picture(milliseconds: int) -> bytes:
    """One picture of grey values, taken at this Unix time."""
    taken = milliseconds & 0xFFFFFF
    number = taken << 8 | (taken >> 16) ^ (taken >> 8 & 0xFF) ^ (taken & 0xFF)
    lines = []
    for row in range(ROWS):
        bits = [number >> (ROWS * COLUMNS - 1 - row * COLUMNS - column) & 1 for column in range(COLUMNS)]
        line = b"".join((_BRIGHT if bit else _DARK) * (WIDTH // COLUMNS) for bit in bits)
        lines.append(line * (HEIGHT // ROWS))
    return b"".join(lines)


def command(ingest: str, *, part: float, segment: float) -> list[str]:
    """An encoder of pictures from its standard input, and of a tone: one rung, fragments as long as a part."""
    start = [str(find().path), "-nostdin", "-hide_banner", "-v", "error", "-probesize", "32", "-analyzeduration", "0"]
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-video_size", f"{WIDTH}x{HEIGHT}", "-framerate", str(RATE)]
    inputs = [*raw, "-i", "pipe:0", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    x264 += ["-g", str(round(segment * RATE)), "-keyint_min", str(round(segment * RATE)), "-sc_threshold", "0"]
    cmaf = ["-f", "mp4", "-movflags", "+cmaf+empty_moov+default_base_moof+skip_trailer+frag_discont"]
    cmaf += ["-use_editlist", "0", "-avoid_negative_ts", "disabled", "-output_ts_offset", "10", "-flush_packets", "1"]
    whole = int(part * RATE) / RATE  # a whole number of pictures, or ffmpeg makes fragments that are longer than a part
    pictures = ["-map", "0:v", *x264, *cmaf, "-frag_duration", str(round(whole * 1e6))]
    sound = ["-map", "1:a", "-c:a", "aac", "-b:a", "64k", "-ac", "2", *cmaf, "-frag_duration", "85000"]
    post = ["-method", "POST"]
    return [*start, *inputs, *pictures, *post, f"{ingest}/{HEIGHT}p.cmfv", *sound, *post, f"{ingest}/audio-64k.cmfa"]


@contextmanager
def clock_stream(ingest: str, *, part: float, segment: float) -> Iterator[None]:
    """The stream at this ingest URL, until the caller is done."""
    encoder = subprocess.Popen(command(ingest, part=part, segment=segment), stdin=subprocess.PIPE)
    done = threading.Event()

    def film() -> None:
        assert encoder.stdin is not None
        began, taken = time.monotonic(), 0
        with suppress(OSError):  # the encoder has ended: the page finds no stream
            while not done.wait(max(0.0, began + taken / RATE - time.monotonic())):
                encoder.stdin.write(picture(int(time.time() * 1000)))
                encoder.stdin.flush()
                taken += 1

    camera = threading.Thread(target=film, daemon=True)
    camera.start()
    try:
        yield
    finally:
        done.set()
        encoder.kill()
        encoder.wait(GUARD_S)
        camera.join(GUARD_S)
        assert encoder.stdin is not None
        with suppress(OSError):
            encoder.stdin.close()
