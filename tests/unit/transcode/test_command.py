"""The commands, word by word, and the structure both encoders are told."""

import pytest

from cdnkit.settings.ladder import LADDER, choose
from cdnkit.settings.transcode import Stream
from transcode.command import live_command
from transcode.encoders import NVENC, X264, Encoder
from transcode.ffmpeg import Ffmpeg
from transcode.plan import Plan
from transcode.source import Source

FFMPEG = Ffmpeg("/usr/bin/ffmpeg", "9.0", filters=frozenset())  # without drawtext: no font in the golden rows
FILE = Source("file", "/films/a:b.mp4", 1280, 720, 25.0, 60.0, video_index=2, audio_index=0)


def plan(stream: Stream, source: Source, encoder: Encoder = X264) -> Plan:
    rungs = choose("auto" if stream.ladder == "auto" else stream.ladder, source=source.size)
    return Plan(stream, FFMPEG, source, encoder, rungs)


def words(given: Plan) -> str:
    return " ".join(live_command(given, "http://127.0.0.1:9001/"))


def test_the_test_card_in_full() -> None:
    assert words(plan(Stream(ladder=["360p"]), Source("testcard", "testcard"))) == (
        "/usr/bin/ffmpeg -hide_banner -nostats -loglevel level+warning -progress pipe:1 -stats_period 0.5 "
        "-re -f lavfi -i testsrc2=size=640x360:rate=30[out0];"
        "sine=frequency=440:beep_factor=4:sample_rate=48000[out1] "
        "-filter_complex [0:0]fps=fps=30:start_time=0,format=yuv420p,split=1[v0];"
        "[v0]scale=640:360:flags=bicubic,setsar=1[t0];"
        "[0:1]aresample=48000:async=1000:first_pts=0,"
        "aformat=sample_fmts=fltp:channel_layouts=stereo,asplit=1[t1] "
        "-map [t0] -c:v libx264 -preset veryfast -sc_threshold 0 -profile:v high -bf 2 -g 120 -keyint_min 120 "
        "-flags +cgop -force_key_frames expr:gte(n,n_forced*120) -b:v 600000 -maxrate 600000 -bufsize 1200000 "
        "-f mp4 -movflags +cmaf+empty_moov+default_base_moof+skip_trailer+frag_keyframe+frag_discont "
        "-use_editlist 0 -frag_duration 500000 -video_track_timescale 30000 -export_side_data prft -write_prft wallclock "
        "-avoid_negative_ts disabled -output_ts_offset 10 -flush_packets 1 "
        "-method POST -content_type video/mp4 http://127.0.0.1:9001/ingest/live/360p.cmfv "
        "-map [t1] -c:a aac -b:a 64000 "
        "-f mp4 -movflags +cmaf+empty_moov+default_base_moof+skip_trailer+frag_keyframe+frag_discont "
        "-use_editlist 0 -frag_duration 85000 "
        "-avoid_negative_ts disabled -output_ts_offset 10 -flush_packets 1 "
        "-method POST -content_type audio/mp4 http://127.0.0.1:9001/ingest/live/audio-64k.cmfa"
    )


ROWS = [
    # stream                                              source  has
    (Stream(source="x"), FILE, "-stream_loop -1 -re -fflags +genpts -i file:/films/a:b.mp4"),
    (Stream(source="x", loop=False), FILE, "0.5 -re -fflags +genpts -i file:"),
    (Stream(source="x"), FILE, "[0:2]fps="),
    (Stream(source="x"), FILE, "[0:0]aresample="),
    # a URL paces itself
    (Stream(), Source("url", "rtmp://h/a", 640, 360), "0.5 -fflags +genpts -i rtmp://h/a -filter"),
    # silence stands in
    (Stream(), Source("url", "srt://h:1", 640, 360, audio_index=None), "-f lavfi -i anullsrc="),
    (Stream(), Source("url", "srt://h:1", 640, 360, audio_index=None), "[1:0]aresample="),
    # decoded once, split for all
    (Stream(ladder=["720p", "480p"]), FILE, "split=2[v0][v1];[v0]scale=1280:720"),
    (Stream(ladder=["720p", "480p"], audio="128kbit"), FILE, "asplit=1[t2]"),
    (Stream(ladder=["720p"], segment="2s", frame_rate=50), FILE, "-g 100 -keyint_min 100"),
    (
        Stream(ladder=["720p"], part="1s"),
        FILE,
        "-frag_duration 1000000 -video_track_timescale 30000 -export_side_data prft -write_prft wallclock",
    ),
    # whole frames: 13 of 25 a second are more than half a second
    (Stream(ladder=["720p"], frame_rate=25), FILE, "-frag_duration 480000 -video_track_timescale 25000"),
    (Stream(name="cam-2"), FILE, "http://127.0.0.1:9001/ingest/cam-2/480p.cmfv"),
    (Stream(duration="8s"), FILE, "-t 8 -f mp4"),
    (Stream(preset="slow"), FILE, "-preset slow"),
]


@pytest.mark.parametrize(("stream", "source", "has"), ROWS)
def test_rows(stream: Stream, source: Source, has: str) -> None:
    assert has in words(plan(stream, source))


STRUCTURE = ("-bf", "-g", "-keyint_min", "-flags", "-force_key_frames", "-b:v", "-maxrate", "-bufsize", "-profile:v")


@pytest.mark.parametrize("rung", LADDER)
def test_both_encoders_are_told_the_same_structure(rung) -> None:  # type: ignore[no-untyped-def]
    def told(encoder: Encoder) -> dict[str, str]:
        words = encoder.arguments(rung, gop_frames=120, preset="veryfast")
        return dict(zip(words[::2], words[1::2], strict=True))

    x264, nvenc = told(X264), told(NVENC)
    assert {name: x264[name] for name in STRUCTURE} == {name: nvenc[name] for name in STRUCTURE}
    assert x264["-sc_threshold"] == "0"
    assert (nvenc["-no-scenecut"], nvenc["-forced-idr"]) == ("1", "1")
    assert set(nvenc) - set(STRUCTURE) == {"-c:v", "-preset", "-rc", "-no-scenecut", "-forced-idr"}
