"""What is encoded: a test card made here, a media file, or a URL that ffmpeg reads.

A source is probed with PyAV before ffmpeg starts, so that a missing file or one without video is one clear
sentence and the ladder knows the picture's size.
"""

import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cdnkit.hls import language_tag
from cdnkit.settings.discretion import shown
from transcode.errors import SourceError
from transcode.ffmpeg import Ffmpeg

_WANTED = '"testcard", a media file with video, or a URL such as rtmp://host/app'

_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    "/usr/share/fonts/TTF/DejaVuSansMono.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf",
    "/System/Library/Fonts/Menlo.ttc",
    "C:/Windows/Fonts/consola.ttf",
)


UNEQUAL_S = 0.5
"""Sound and pictures of one file seldom end together; so much earlier, one of them is missed."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source as probed."""

    kind: Literal["testcard", "file", "url"]
    location: str
    """"testcard", an absolute path, or the URL."""
    width: int = 0
    """As shown, in square pixels and after rotation; 0 for the test card, which is made in any size."""
    height: int = 0
    frame_rate: float = 0.0
    duration: float | None = None
    """Seconds; None when it has no known end."""
    video_index: int = 0
    """The stream of the container that is encoded."""
    audio_index: int | None = 1
    """None: no audio; silence is encoded in its place, so that a stream's tracks are always the same."""

    shorter: Literal["video", "audio"] | None = None
    """The kind of a file that ends more than `UNEQUAL_S` before the other, as its header says."""
    language: str = ""
    """Of the sound, as BCP 47; "": the file says none."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height), or None when it can be made in any size."""
        return (self.width, self.height) if self.height else None


TESTCARD = Source("testcard", "testcard")


def probe(source: str) -> Source:
    """Looks at the source; `SourceError` if it is missing, unreadable or without video. Blocks on I/O."""
    if source == "testcard":
        return TESTCARD
    if "://" in source:
        return _read(source, "url")
    path = Path(source).expanduser()
    where = f"source {source}"
    if not path.exists():
        raise SourceError(where, f"nothing at {path.absolute()}", _WANTED)
    if path.is_dir():
        raise SourceError(where, "a folder", _WANTED)
    return _read(str(path.absolute()), "file")


def _read(location: str, kind: Literal["file", "url"]) -> Source:
    where = f"source {shown(location)}"
    try:
        import av
    except ImportError as error:
        raise SourceError(
            where,
            "no PyAV to look into it with",
            "the `av` package",
            "Install it with `pip install 'cdnlab[media]'`; the test card needs none.",
        ) from error
    try:
        # The file: prefix keeps a name such as "a:b.mp4" from being read as a protocol.
        with av.open(f"file:{location}" if kind == "file" else location, timeout=5.0) as container:
            attached = av.stream.Disposition.attached_pic
            videos = [one for one in container.streams.video if not one.disposition & attached]
            if not videos:
                kinds = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
                raise SourceError(where, f"no video, only {kinds}", _WANTED)
            video = videos[0]
            if not video.width or not video.height:
                raise SourceError(where, "a video stream whose size is unknown", _WANTED)
            frame = next(container.decode(video), None)
            if frame is None:
                raise SourceError(where, "a video stream without a frame", _WANTED)
            audio = container.streams.audio[0].index if container.streams.audio else None
            width, height = _as_shown(frame.width, frame.height, video.sample_aspect_ratio, frame.rotation)
            length = container.duration
            return Source(
                kind,
                location,
                width,
                height,
                float(video.average_rate or video.guessed_rate or 0),
                None if length is None or length <= 0 else length / av.time_base,
                video.index,
                audio,
                _shorter(video, container.streams.audio[0]) if container.streams.audio else None,
                language_tag(container.streams.audio[0].language or "") if container.streams.audio else "",
            )
    except (OSError, ValueError, av.FFmpegError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SourceError(where, f"something that cannot be read as media ({why})", _WANTED) from error


def _shorter(video: Any, audio: Any) -> Literal["video", "audio"] | None:
    ends = [
        None if one.duration is None else float(((one.start_time or 0) + one.duration) * one.time_base)
        for one in (video, audio)
    ]
    if ends[0] is None or ends[1] is None or abs(ends[0] - ends[1]) <= UNEQUAL_S:
        return None
    return "video" if ends[0] < ends[1] else "audio"


def _as_shown(width: int, height: int, pixel_shape: Fraction | None, rotation: int) -> tuple[int, int]:
    """Stored size to shown size: anamorphic pixels made square by width, then a phone's quarter turn."""
    if pixel_shape:
        width = max(2, round(width * pixel_shape))
    return (height, width) if rotation % 180 else (width, height)


def input_arguments(
    source: Source, ffmpeg: Ffmpeg, *, size: tuple[int, int], frame_rate: int, live: bool, loop: bool
) -> list[str]:
    """ffmpeg's input options. `live` paces by the clock; `size` and `frame_rate` are the test card's."""
    # A URL paces itself: -re on top of a live source only ever falls behind it.
    pace = ["-re"] if live and source.kind != "url" else []
    if source.kind == "testcard":
        return [*pace, "-f", "lavfi", "-i", testcard_graph(ffmpeg, size, frame_rate)]
    again = ["-stream_loop", "-1"] if loop and source.kind == "file" else []
    named = f"file:{source.location}" if source.kind == "file" else source.location
    # genpts: AVI and some MPEG-TS have frames without times.
    arguments = [*again, *pace, "-fflags", "+genpts", "-i", named]
    if source.audio_index is None:
        until = [] if live or source.duration is None else ["-t", f"{source.duration:.6f}"]
        arguments += ["-f", "lavfi", *until, "-i", "anullsrc=sample_rate=48000:channel_layout=stereo"]
    return arguments


def audio_input(source: Source) -> str:
    """The filter graph's name for the audio: `0:1`, or `1:0` where silence stands in."""
    return "1:0" if source.audio_index is None else f"0:{source.audio_index}"


def testcard_graph(ffmpeg: Ffmpeg, size: tuple[int, int], frame_rate: int) -> str:
    """testsrc2, the UTC time and frame number burnt in where a font is found, and a tone that beeps each
    second.

    The clock is read when the frame is made, inside the paced input, so (time seen on a screen) - (burnt-in
    time) is the latency of the whole chain. Without a font testsrc2's own media time and frame number remain.
    """
    width, height = size
    card = f"testsrc2=size={width}x{height}:rate={frame_rate}"
    font = find_font()
    if font is not None and "drawtext" in ffmpeg.filters:
        # %F %T instead of %H:%M:%S spares two levels of escaped colons.
        card += (
            f",drawtext=fontfile={_quoted(font)}:fontsize=h/14:fontcolor=white:box=1:boxcolor=black@0.7"
            r":boxborderw=8:x=(w-tw)/2:y=h*0.62:text='%{gmtime\:%F %T.%3N} UTC  %{frame_num}'"
        )
    return f"{card}[out0];sine=frequency=440:beep_factor=4:sample_rate=48000[out1]"


def _quoted(text: str) -> str:
    # Escaped twice, since two parsers read it in a row: the graph's and the filter options'.
    for character in "\\':":
        text = text.replace(character, f"\\{character}")
    for character in "\\'[],;":
        text = text.replace(character, f"\\{character}")
    return text


@cache
def find_font() -> str | None:
    """A monospaced font file, by fontconfig or at the places systems keep one; None without."""
    if fc_match := shutil.which("fc-match"):
        try:
            named = subprocess.run(
                [fc_match, "--format=%{file}", "monospace"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            ).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            named = ""
        if named and Path(named).is_file():
            return named
    return next((path for path in _FONTS if Path(path).is_file()), None)
