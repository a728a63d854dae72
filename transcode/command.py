"""The one ffmpeg of a live stream: decode once, scale to each rung, encode, post each track to the origin.

A pure function from a plan to arguments. The timeline is made so that nothing has to be guessed behind it:

- Every rung is cut at the same frames (see `encoders`), each fragment starts at `tfdt` = offset + whole
  frames, and a segment's first decode time is the same number in every rung: the video timescale is 1000
  ticks a frame.
- No edit lists: composition offsets are signed (CMAF, `trun` version 1), so a video segment's first frame has
  equal decode and presentation times.
- All tracks are shifted by the same `START` seconds, so that the AAC encoder's priming (1024 samples, which
  belong *before* time zero) needs no negative time. Shifted track by track, as ffmpeg would, audio came 21 ms
  late.
"""

from collections.abc import Sequence

from cdnkit.settings.ladder import Track
from transcode.plan import Plan
from transcode.source import audio_input, input_arguments

START = 10
"""Media time in seconds at which every stream starts. Apple's segmenter starts at 10 as well."""

AUDIO_FRAGMENT_US = 85_000
"""Audio fragments are four AAC frames (85 ms): they have no keyframes to end on, so how near an audio segment
can be cut to its video segment's boundary is the length of one fragment. At 500 ms audio segments varied by
half a second."""

TICKS_PER_FRAME = 1000
"""Video timescale per frame. Exact for any whole frame rate, unlike 90 kHz."""

_REFERENCE_TIMES = ("-export_side_data", "prft", "-write_prft", "wallclock")
"""Each fragment says when its first picture was put into the encoder (`prft`). Without the first option, ffmpeg says
when the fragment was written, and calls that the capture."""

_MOVFLAGS = "+cmaf+empty_moov+default_base_moof+skip_trailer+frag_keyframe+frag_discont"


def live_command(plan: Plan, ingest_url: str, pipes: Sequence[int] = ()) -> list[str]:
    """The arguments, binary first. `ingest_url` is the origin's ingest listener: `http://127.0.0.1:9001`.

    `pipes`: the file descriptors that the tracks are written to, one each; without, ffmpeg posts them itself.
    """
    stream, tracks = plan.stream, plan.tracks
    urls = track_urls(plan, ingest_url)
    top = plan.rungs[0]
    command = [
        plan.ffmpeg.path, "-hide_banner", "-nostats", "-loglevel", "level+warning",
        "-progress", "pipe:1", "-stats_period", "0.5",
        *input_arguments(
            plan.source, plan.ffmpeg,
            size=(top.width, top.height), frame_rate=stream.frame_rate, live=True, loop=stream.loop,
        ),
        "-filter_complex", filter_graph(plan),
    ]  # fmt: skip
    for number, track in enumerate(tracks):
        command += ["-map", f"[{label(number)}]", *encoding_arguments(plan, track)]
        if stream.duration is not None:
            command += ["-t", f"{stream.duration:g}"]
        command += _fragmenting(plan, track)
        post = ["-method", "POST", "-content_type", media_type(track), urls[number]]
        command += [f"pipe:{pipes[number]}"] if pipes else post
    return command


def track_urls(plan: Plan, ingest_url: str) -> list[str]:
    """Where each track is posted."""
    base = f"{ingest_url.rstrip('/')}/ingest/{plan.stream.name}"
    return [f"{base}/{track.file_name}" for track in plan.tracks]


def media_type(track: Track) -> str:
    return f"{track.kind}/mp4"


def label(number: int) -> str:
    """The filter graph's name for the pictures or samples of track `number`."""
    return f"t{number}"


def filter_graph(plan: Plan, *, filled: str | None = None) -> str:
    """Decode once: one chain brings the source to the stream's frame rate and sound, a split feeds each
    track. `filled`: the kind that goes on behind its end, with its last picture or with silence."""
    stream, tracks = plan.stream, plan.tracks
    video = [(number, track) for number, track in enumerate(tracks) if track.kind == "video"]
    audio = [number for number, track in enumerate(tracks) if track.kind == "audio"]
    chains = [
        # start_time=0: where the first picture comes late it is shown from the start; gaps repeat a frame.
        f"[0:{plan.source.video_index}]fps=fps={stream.frame_rate}:start_time=0,format=yuv420p,"
        f"{'tpad=stop=-1:stop_mode=clone,' if filled == 'video' else ''}"
        f"split={len(video)}{''.join(f'[v{number}]' for number, _ in video)}"
    ]
    for number, track in video:
        assert track.rung is not None
        chains.append(
            f"[v{number}]scale={track.rung.width}:{track.rung.height}:flags=bicubic,setsar=1[{label(number)}]"
        )
    chains.append(
        # async: holes and overlaps in the source's audio times are filled and cut, so that it never drifts.
        f"[{audio_input(plan.source)}]aresample=48000:async=1000:first_pts=0,"
        f"aformat=sample_fmts=fltp:channel_layouts=stereo,"
        f"{'apad,' if filled == 'audio' else ''}"
        f"asplit={len(audio)}{''.join(f'[{label(number)}]' for number in audio)}"
    )
    return ";".join(chains)


def encoding_arguments(plan: Plan, track: Track) -> list[str]:
    """Codec options of one track."""
    if track.rung is not None:
        return plan.encoder.arguments(track.rung, gop_frames=plan.stream.gop_frames, preset=plan.stream.preset)
    return ["-c:a", "aac", "-b:a", str(track.bitrate_bps)]


def _video_fragment_us(plan: Plan) -> int:
    """Whole frames, and no longer than a part: ffmpeg ends a fragment at the first frame behind its duration."""
    frames = max(1, int(plan.stream.part * plan.stream.frame_rate + 1e-6))
    return round(frames * 1e6 / plan.stream.frame_rate)


def _fragmenting(plan: Plan, track: Track) -> list[str]:
    fragment_us = _video_fragment_us(plan) if track.kind == "video" else AUDIO_FRAGMENT_US
    scale = ["-video_track_timescale", str(plan.stream.frame_rate * TICKS_PER_FRAME)]
    return [
        "-f", "mp4", "-movflags", _MOVFLAGS, "-use_editlist", "0", "-frag_duration", str(fragment_us),
        *([*scale, *_REFERENCE_TIMES] if track.kind == "video" else []),
        "-avoid_negative_ts", "disabled", "-output_ts_offset", str(START), "-flush_packets", "1",
    ]  # fmt: skip
