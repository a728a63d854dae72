"""Lengths of slice headers, against what ffmpeg's `trace_headers` reads: every tool that x264 has, and damage."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.encryption.slice_headers import ParameterSets
from origin.errors import BadMedia

pytestmark = pytest.mark.live

ENCODERS = {
    "baseline": "-profile:v baseline -x264-params slices=1",
    "b pyramid, weights, four references": "-preset slower -x264-params weightp=2:bframes=8:b-pyramid=normal:ref=6",
    "interlaced, three slices": "-flags +ildct+ilme -x264-params interlaced=1:slices=3:weightp=2:bframes=3",
    "no deblocking, cavlc": "-x264-params no-deblock=1:cabac=0:bframes=2:slices=4",
    "4:4:4, ten bits": "-pix_fmt yuv444p10le -x264-params bframes=2:weightb=1",
    "intra refresh, many slices": "-x264-params intra-refresh=1:slice-max-size=200:bframes=0",
    "open gop, sliced threads": "-x264-params open-gop=1:keyint=10:sliced-threads=1:threads=4:bframes=3",
}


def run(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL).stdout


def encode(ffmpeg: str, options: str) -> bytes:
    # A fade, so that x264 finds weights worth sending.
    source = "testsrc2=s=320x180:r=30:d=1,fade=t=in:d=0.5,fade=t=out:st=0.5:d=0.5"
    command = [ffmpeg, "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-threads", "1"]
    return run([*command, *options.split(), "-f", "h264", "-"])


def traced(ffmpeg: str, stream: bytes) -> list[int]:
    """Bits of each slice header, without those that align what follows."""
    command = [ffmpeg, "-hide_banner", "-v", "trace", "-f", "h264", "-i", "-", "-c", "copy", "-bsf:v", "trace_headers"]
    done = subprocess.run([*command, "-f", "null", "-"], input=stream, capture_output=True, timeout=60, check=True)
    found: list[int] = []
    inside = False
    for line in done.stderr.decode("latin-1").splitlines():
        text = line.partition("] ")[2]
        if not line.startswith("[trace_headers"):
            continue
        row = re.match(r"(\d+) +(\S+) +([01]+) = ", text)
        if text == "Slice Header":
            inside = True
            found.append(0)
        elif row is None:
            inside = False
        elif inside and not row[2].startswith("cabac_alignment"):
            found[-1] = int(row[1]) + len(row[3])
    return found


def units(stream: bytes) -> list[bytes]:
    """NAL units of a byte stream (annex B)."""
    return [unit.rstrip(b"\0") if unit[0] & 0x1F > 5 else unit for unit in re.split(rb"\x00\x00\x00?\x01", stream)[1:]]


@pytest.mark.parametrize("options", ENCODERS.values(), ids=list(ENCODERS))
def test_lengths_are_those_that_ffmpeg_reads(ffmpeg: str, options: str) -> None:
    stream = encode(ffmpeg, options)
    sets, lengths = ParameterSets(), []
    for unit in units(stream):
        sets.take(unit)
        if unit[0] & 0x1F in (1, 5):
            length = sets.header_length(unit)
            lengths.append(len(unit[:length].replace(b"\0\0\3", b"\0\0")))
    wanted = [(bits + 7) // 8 for bits in traced(ffmpeg, stream)]
    assert lengths == wanted and len(lengths) >= 30


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_is_refused_or_is_a_length_within_the_slice(ffmpeg: str, data: st.DataObject) -> None:
    stream = _cached(ffmpeg)
    sets = ParameterSets()
    for unit in units(stream)[:12]:
        kind = unit[0] & 0x1F
        damaged = bytearray(unit[: data.draw(st.integers(1, len(unit)))])
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        try:
            if kind in (7, 8) and data.draw(st.booleans()):
                damaged = bytearray(unit)
            sets.take(bytes(damaged))
            if kind in (1, 5):
                assert 0 < sets.header_length(bytes(damaged)) <= len(damaged)
        except BadMedia:
            pass


_STREAM: list[bytes] = []


def _cached(ffmpeg: str) -> bytes:
    if not _STREAM:
        _STREAM.append(encode(ffmpeg, next(iter(list(ENCODERS.values())[1:]))))
    return _STREAM[0]
