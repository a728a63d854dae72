"""The settings of recordings: which streams lose nothing, and for how long they stay."""

from fnmatch import fnmatchcase

from pydantic import Field

from cdnkit.units import Bytes, Seconds, Settings


class Recordings(Settings):
    """Streams that are recorded: nothing leaves their playlists (EXT-X-PLAYLIST-TYPE:EVENT), and when they end, their
    URLs are those of a VOD."""

    streams: tuple[str, ...] = ()
    """The streams that are recorded: names, or patterns such as "news-*". Left out: none."""

    longest: Seconds = Field(default=6 * 3600.0, ge=60.0, le=48 * 3600.0)
    """The most media time of a recording. What its encoder sends beyond it is refused with 413. Each segment costs the
    writing of a state that lists all of them: at 4 s, 150 bytes a segment."""

    keep: Seconds | None = Field(default=None, gt=0)
    """How long a recording stays when nobody feeds it any more. Left out: until it is deleted, or `size` is met."""

    size: Bytes | None = Field(default=None, ge=1)
    """The most bytes of all recordings. Beyond it, the one that ended longest ago is deleted; if all are being fed,
    what comes is refused with 413. Left out: as much as there is."""

    def records(self, stream: str) -> bool:
        return any(fnmatchcase(stream, one) for one in self.streams)
