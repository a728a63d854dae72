"""Playlists of MPEG-TS segments: text from the fMP4 playlist that is served, and nothing else (RFC 8216).

A media playlist lists the same segments under the same numbers, because it is made of the other one's text: what is
listed there is stored, and what a restart would not find again is listed in neither.
"""

import re
from collections.abc import Collection, Iterable
from fractions import Fraction

from cdnkit import hls
from origin.hls.multivariant import multivariant_playlist, rates
from origin.hls.playlist import MEDIA
from origin.live.window import TrackWindow
from origin.mpegts.elementary import Aac, Codec
from origin.mpegts.packets import PACKET, ROOM
from origin.mpegts.segments import CLOCK, PCR_EVERY

TS_MULTIVARIANT = "multivariant-ts.m3u8"
TS_MEDIA = "ts.m3u8"

_HEAD = ("#EXT-X-TARGETDURATION:", "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:")
_OF_SEGMENT = ("#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-GAP", "#EXTINF:")
"""Tags that both have. Those of init sections and of parts are left out."""
_OF_PLAYLIST = ("#EXT-X-PLAYLIST-TYPE:", "#EXT-X-DATERANGE:", "#EXT-X-START:", "#EXT-X-ENDLIST")
"""They stand where they stood."""

_PES = 14 + 5 + 8 + 183
"""At most, of a PES packet: header with two time stamps, adaptation field with the PCR, stuffing of its last packet."""
_SEGMENT = 17 * 188 + 256
"""At most, of a segment: the tables, the packets that fill its counters, and parameter sets."""


def ts_media_playlist(text: str, unfit: Collection[str] = ()) -> str:
    """The playlist of MPEG-TS segments beside this one of fMP4; `unfit`: the names of those that could not be made."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
    lines += [line for line in text.splitlines() if line.startswith(_HEAD)]
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    tags: list[str] = []
    for line in text.splitlines():
        if line.startswith(_OF_SEGMENT) and not line.startswith(_HEAD):
            tags.append(line)
        elif line and not line.startswith("#"):
            name = f"{line.removesuffix('.m4s')}.ts"
            if name in unfit and "#EXT-X-GAP" not in tags:
                tags.insert(-1, "#EXT-X-GAP")  # before EXTINF
            lines += [*tags, name]
            tags = []
        elif line.startswith(_OF_PLAYLIST):
            lines.append(line)
    return "\n".join(lines) + "\n"


def is_encrypted(text: str) -> bool:
    """A media playlist's segments need a key, and what is made of them would be open to all, or to nobody."""
    return "\n#EXT-X-KEY:" in text


def named_in(multivariant: str) -> set[str]:
    """The tracks that a multivariant playlist of ours offers."""
    return set(re.findall(rf'(?:^|["/])([^"\n#/]+)/{re.escape(MEDIA)}', multivariant, re.MULTILINE))


def ts_multivariant_playlist(tracks: Iterable[tuple[TrackWindow, Codec]]) -> str:
    """The multivariant playlist of tracks that a transport stream carries: the same groups, and rates of their own."""
    codecs = {window.name: codec for window, codec in tracks}
    return multivariant_playlist(
        [window for window, _ in tracks],
        media=TS_MEDIA,
        rates_of=lambda window: ts_rates(window, codecs[window.name]),
        version=4,
    )


def ts_rates(window: TrackWindow, codec: Codec) -> hls.Rates:
    """What a track takes as MPEG-TS, from what it takes as fMP4: nothing larger is sent."""
    fmp4 = rates(window)
    count = len(window.listed)
    segments = count / window.duration if window.duration else 1.0
    if isinstance(codec, Aac):
        frames, gathered = 1 / codec.frame, max(1, int(Fraction(PCR_EVERY, CLOCK) / codec.frame))
        more = float(7 * frames + _PES * frames / gathered)
    else:
        more = (_PES + 6) * (window.frame_rate or 60.0)

    def of(bps: float, share: float) -> float:
        return (bps + 8 * more * share) * PACKET / ROOM + 8 * _SEGMENT * segments * share

    # Stuffing is half a packet on average, and the packets that fill the counters are half of the most.
    return hls.Rates(of(fmp4.peak_bps, 1.0), of(fmp4.average_bps, 0.6))
