"""Checks that the origin's window holds three segments of every stream."""

from collections.abc import Iterator

from cdnkit.units.quantities import write_seconds
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown


def segments(draft: Draft) -> Iterator[Finding]:
    """The origin cuts each stream at its own segment duration."""
    longest = max((float(stream.segment) for stream in draft.streams.values()), default=0.0)
    if draft.origin is not None and draft.origin.window < 3 * longest:
        yield Finding(
            ("origin", "window"), shown(write_seconds(draft.origin.window)),
            f"at least three segments ({write_seconds(3 * longest)}; RFC 8216 section 6.2.2)",
        )  # fmt: skip
