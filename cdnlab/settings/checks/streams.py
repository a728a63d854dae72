"""Checks that the origin takes every stream, and that its window holds three segments of it."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from cdnkit.units.quantities import write_seconds
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown


def segments(draft: Draft) -> Iterator[Finding]:
    """The origin cuts each stream at its own segment duration."""
    if draft.origin is None:
        return
    for index, stream in draft.streams.items():
        if not any(fnmatchcase(stream.name, one) for one in draft.origin.ingest_streams):
            known = ", ".join(draft.origin.ingest_streams)
            yield Finding(("stream", index, "name"), shown(stream.name), f"one of origin.ingest_streams ({known})")
    longest = max((float(stream.segment) for stream in draft.streams.values()), default=0.0)
    if draft.origin.window < 3 * longest:
        yield Finding(
            ("origin", "window"), shown(write_seconds(draft.origin.window)),
            f"at least three segments ({write_seconds(3 * longest)}; RFC 8216 section 6.2.2)",
        )  # fmt: skip
