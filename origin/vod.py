"""A folder of finished media, served as it is: what `cdnlab transcode --out` wrote, or anything else."""

from pathlib import Path
from stat import S_ISREG

from origin.publishing.responses import Resource

TYPES = {
    # streams
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".cmfv": "video/mp4",
    ".cmfa": "audio/mp4",
    ".m4a": "audio/mp4",
    ".cmft": "application/mp4",
    ".ts": "video/mp2t",
    ".aac": "audio/aac",
    ".ac3": "audio/ac3",
    ".ec3": "audio/eac3",
    ".mp3": "audio/mpeg",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/matroska",
    ".vtt": "text/vtt",
    ".srt": "application/x-subrip",
    ".ttml": "application/ttml+xml",
    # pages that play them
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ico": "image/vnd.microsoft.icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".otf": "font/otf",
}
"""By extension, as IANA registers them. A table of our own: Python's `mimetypes` reads the machine's, so that the same
folder would be served otherwise elsewhere."""


def find(folder: Path, name: str, lifetime: float) -> Resource | None:
    """The file that `name`, a path from a request, means inside `folder`; None: there is none, or it lies outside.

    Hidden files are not served. Blocks: it asks the file system.
    """
    if "\0" in name or any(part.startswith(".") for part in name.split("/")):
        return None
    try:
        root = folder.resolve()
        path = (root / name).resolve()  # a link that leads out of the folder leads nowhere
        facts = path.stat()
    except (OSError, RuntimeError, ValueError):
        return None
    if not S_ISREG(facts.st_mode) or not path.is_relative_to(root):
        return None
    top = name.partition("/")[0]
    return Resource(
        media_type=TYPES.get(path.suffix.lower(), "application/octet-stream"),
        size=facts.st_size,
        # Written anew in the same second with the same length: nanoseconds tell the two apart.
        etag=f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"',
        modified=facts.st_mtime,
        lifetime=lifetime,
        surrogate_key=f"vod vod/{top}" if top.isascii() and top.isprintable() and " " not in top else "vod",
        path=path,
    )
