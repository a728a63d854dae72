"""HLS with MPEG-TS segments, read by real programs: the same frames as the fMP4, at the same times."""

import re
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from origin.fragments import Fragment, FragmentReader
from origin.mpegts.elementary import read_codec
from origin.mpegts.segments import OFFSET, remux
from origin.tracks import InitSection

pytestmark = pytest.mark.live

Frames = list[tuple[Fraction, str]]
"""(presentation time in seconds, hash of the decoded frame)."""


def decoded(ffmpeg: str, source: Path | str, *, audio: bool = False) -> Frames:
    """Every frame that ffmpeg decodes; whatever it warns of is an error."""
    kind = ["-vn", "-f", "framemd5"] if audio else ["-an", "-f", "framemd5"]
    # The decoder's own frames, no edit list applied, and the container's times.
    command = [ffmpeg, "-nostdin", "-hide_banner", "-v", "warning", "-copyts", "-i", str(source), "-fps_mode", "vfr"]
    command += ["-enc_time_base", "1:90000", *kind, "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert done.stderr == "", "warnings"
    base = re.search(r"#tb 0: (\d+)/(\d+)", done.stdout)
    assert base is not None
    rows = [line.split(",") for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return [(Fraction(int(row[2]) * int(base[1]), int(base[2])), row[5].strip()) for row in rows]


def remuxed(body: bytes, per_segment: int = 2) -> bytes:
    """The TS segments of an encoder's body, one after the other, as a player reads them."""
    init, *rest = FragmentReader(2**26).feed(body)
    assert isinstance(init, InitSection)
    codec = read_codec(init.data)
    fragments = [one for one in rest if isinstance(one, Fragment)]
    return b"".join(
        remux(
            init.data, codec, b"".join(one.data for one in fragments[at : at + per_segment]), at // per_segment, 2**26
        )
        for at in range(0, len(fragments), per_segment)
    )


@pytest.mark.parametrize("name", ["180p.cmfv", "90p.cmfv", "audio-64k.cmfa"])
def test_ffmpeg_decodes_the_same_frames_at_the_same_times(
    ffmpeg: str, encoded: Mapping[str, bytes], tmp_path: Path, name: str
) -> None:
    (tmp_path / "one.mp4").write_bytes(encoded[name])
    (tmp_path / "one.ts").write_bytes(remuxed(encoded[name]))
    audio = name.startswith("audio")
    wanted = decoded(ffmpeg, tmp_path / "one.mp4", audio=audio)
    got = decoded(ffmpeg, tmp_path / "one.ts", audio=audio)
    assert [frame for _, frame in got] == [frame for _, frame in wanted]
    assert len(got) >= 150
    # ffmpeg shows pictures whose fMP4 has negative composition offsets later by the largest of them.
    late = wanted[0][0]
    assert got[0][0] == Fraction(OFFSET, 90_000)
    for (at, _), (meant, _) in zip(got, wanted, strict=True):
        assert abs(at - got[0][0] - meant + late) <= Fraction(1, 45_000)
