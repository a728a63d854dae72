"""How urgent a response is among those that a connection sends at once (RFC 9218; HLS draft, appendix B.1).

Playlists are 1, segments 2 to 6, and a higher rung is never above a lower one: a player that is short of bandwidth gets
what it needs to go on first. It depends on the track alone, so that it is the same for ever, as the segment is.
"""

from origin.media.tracks import Kind, Track

PLAYLIST = 1
ALTERNATIVE = 2
"""Sound and text: small, and every rung waits for them."""
_VIDEO = ((640 * 360, 3), (1280 * 720, 4), (1920 * 1080, 5))
"""Pixels up to which a picture has this urgency."""
_LARGEST_VIDEO = 6


def urgency(track: Track) -> int:
    """Of a track's init sections, segments and parts."""
    if track.kind is not Kind.VIDEO:
        return ALTERNATIVE
    pixels = track.width * track.height
    return next((urgency for most, urgency in _VIDEO if pixels <= most), _LARGEST_VIDEO)
