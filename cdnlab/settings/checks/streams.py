"""Checks that the origin takes every stream, its window and parts fit their segments, and the nodes wait for them."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from cdnkit.units.quantities import write_offset, write_seconds
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown
from cdnlab.settings.low_latency import longest_hold


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
    length = longest or draft.origin.segment
    if wanted := draft.origin.start_wanted(length):
        found = shown(write_offset(draft.origin.start or 0.0))
        yield Finding(("origin", "start"), found, f"{wanted} with segments of {write_seconds(length)}")
    shortest = min((float(stream.segment) for stream in draft.streams.values()), default=float("inf"))
    if draft.origin.part is not None and draft.origin.part > shortest:
        yield Finding(
            ("origin", "part"),
            shown(write_seconds(draft.origin.part)),
            f"at most a segment ({write_seconds(shortest)})",
        )


def patience(draft: Draft) -> Iterator[Finding]:
    """A node that waits for less than the origin may hold a request breaks off what it is about to get."""
    if draft.origin is None or draft.origin.part is None:
        return
    longest = longest_hold(draft.origin, draft.streams.values())
    for index, node in draft.nodes.items():
        if node.timeouts.first_byte is not None and node.timeouts.first_byte <= longest:
            yield Finding(
                ("node", index, "timeouts", "first_byte"), shown(write_seconds(node.timeouts.first_byte)),
                f"more than {write_seconds(longest)}: with [origin] part, the origin may hold a request for three "
                "target durations",
            )  # fmt: skip
