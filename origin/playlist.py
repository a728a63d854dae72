"""HLS media playlists from windows: text, and nothing else (RFC 8216; EXT-X-GAP from its second edition's draft).

Every URI is relative, so that a player keeps coming through the cache that it came through first.
"""

from datetime import UTC, datetime

from origin.window import Entry, TrackWindow

MULTIVARIANT = "multivariant.m3u8"
MEDIA = "media.m3u8"


def init_name(init: str) -> str:
    return f"init-{init}.mp4"


def media_playlist(window: TrackWindow, target: int, *, ended: bool) -> str:
    """The media playlist of one track; `target` is its target duration in seconds."""
    entries = list(window.listed)
    first = entries[0]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-MEDIA-SEQUENCE:{first.number}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{first.discontinuity}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    before: Entry | None = None
    for entry in entries:
        broken = before is not None and entry.discontinuity != before.discontinuity
        if broken:
            lines.append("#EXT-X-DISCONTINUITY")
        if before is None or broken or entry.init != before.init:
            lines.append(f'#EXT-X-MAP:URI="{init_name(entry.init)}"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_time(entry.at)}")
        if entry.gap:
            lines.append("#EXT-X-GAP")
        lines.append(f"#EXTINF:{entry.duration:.6f},")
        lines.append(entry.name)
        before = entry
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def date_time(at: float) -> str:
    """ISO 8601 with milliseconds and zone (RFC 8216 4.3.2.6)."""
    # Rounded, not cut: cutting makes neighbours that touch look a millisecond apart.
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
