"""HLS media playlists from windows: text, and nothing else (RFC 8216, and its second edition's draft).

Every URI is relative, so that a player keeps coming through the cache that it came through first.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from cdnkit.hls import Start
from origin.hls.low_latency import VERSION, LowLatency, head_of, part_line, position, report_lines
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind

MULTIVARIANT = "multivariant.m3u8"
MEDIA = "media.m3u8"
VTT_MEDIA = "vtt.m3u8"
"""Of a text track, the playlist that players of HLS are given: of WebVTT segments (`origin/webvtt`)."""


def init_name(init: str) -> str:
    return f"init-{init}.mp4"


def media_of(window: TrackWindow) -> str:
    """The file name of the media playlist that a multivariant playlist names."""
    return VTT_MEDIA if window.track.kind is Kind.TEXT else MEDIA


def key_name(id: str) -> str:
    return f"key-{id}.key"


def media_playlist(
    window: TrackWindow,
    target: int,
    *,
    ended: bool,
    low_latency: LowLatency | None = None,
    others: Iterable[TrackWindow] = (),
    start: Start | None = None,
    delta: bool = False,
    dates: Iterable[str] = (),
    methods: Mapping[str, str] | None = None,
    type: str = "",
) -> str:
    """The media playlist of one track; `target` is its target duration in seconds; `dates` are the tags of date ranges.
    `methods`: METHOD by id of key; `type`: EXT-X-PLAYLIST-TYPE.

    With `low_latency`, `others` are the stream's other tracks, which it reports on; `delta` leaves out what lies behind
    the skip boundary (2nd ed. 6.2.5.1).
    """
    entries = list(window.listed)
    first = entries[0]
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION if low_latency else 7}",
        f"#EXT-X-TARGETDURATION:{target}",
        *([f"#EXT-X-PLAYLIST-TYPE:{type}"] if type else []),
        *(low_latency.header() if low_latency else ()),
        f"#EXT-X-MEDIA-SEQUENCE:{first.number}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{first.discontinuity}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *dates,
    ]
    if start is not None:
        # From the first playlist to the last: a server must not change it (6.2.1). What is longer than the playlist
        # is its beginning or end (4.4.2.2).
        lines.append(start.line)
    skipped = low_latency.skippable(window) if low_latency and delta and not ended else 0
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    before = entries[skipped - 1] if skipped else None
    for entry in entries[skipped:]:
        # Once more behind a skip: a player that merges the delta may not look for it in what it has.
        lines += _opening(entry, before, methods or {}, with_map=entry is entries[skipped])
        lines += map(part_line, window.parts.of(entry.number))
        if entry.gap:
            lines.append("#EXT-X-GAP")
        lines.append(f"#EXTINF:{entry.duration:.6f},")
        lines.append(entry.name)
        before = entry
    if window.in_hand:
        lines += _opening(head_of(window.in_hand[0]), before, methods or {})
        lines += map(part_line, window.in_hand)
    if low_latency and window.parts.hint and not ended:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{window.parts.hint}"')
    if low_latency:
        lines += report_lines(
            (f"../{one.name}/{media_of(one)}", position(one.parts.shown)) for one in others if one.parts.shown
        )
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _opening(entry: Entry, before: Entry | None, methods: Mapping[str, str], *, with_map: bool = False) -> list[str]:
    """The tags that stand before a segment, and before its first part.

    A key behind an EXT-X-MAP does not concern it, and one before it does. With AES-128, init sections are clear: not
    all players decrypt them. With SAMPLE-AES, each key has an init section of its own, and its key stands before that.
    """
    broken = before is not None and entry.discontinuity != before.discontinuity
    in_force = before.key if before is not None else ""
    mapped = before is None or broken or with_map or entry.init != before.init
    init = [f'#EXT-X-MAP:URI="{init_name(entry.init)}"'] if mapped else []
    key = [key_tag(entry.key, methods[entry.key])] if entry.key else []
    none = ["#EXT-X-KEY:METHOD=NONE"] if in_force else []
    lines = ["#EXT-X-DISCONTINUITY"] if broken else []
    if not entry.key:
        lines += [*none, *init]
    elif methods[entry.key] == "SAMPLE-AES":
        lines += [*(key if mapped or entry.key != in_force else []), *init]
    elif mapped:
        lines += [*none, *init, *key]
    elif entry.key != in_force:
        lines += key
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_time(entry.at)}")
    return lines


def key_tag(id: str, method: str) -> str:
    """The EXT-X-KEY of a track's media playlist.

    Without IV, that of AES-128 is the media sequence number; that of SAMPLE-AES stands in the init section.
    """
    known = ',KEYFORMAT="identity",KEYFORMATVERSIONS="1"' if method == "SAMPLE-AES" else ""
    return f'#EXT-X-KEY:METHOD={method},URI="../{key_name(id)}"{known}'


def date_time(at: float) -> str:
    """ISO 8601 with milliseconds and zone (RFC 8216 4.3.2.6)."""
    # Rounded, not cut: cutting makes neighbours that touch look a millisecond apart.
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
