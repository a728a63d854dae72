"""Checks that the encoders, the origin and the nodes agree on segments and parts."""

from collections.abc import Iterator

from cdnkit.units.quantities import write_seconds
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown


def segments(draft: Draft) -> Iterator[Finding]:
    """The origin cuts at the encoder's key frames, so both must have the same segment duration."""
    lengths = {index: float(stream.segment) for index, stream in draft.streams.items()}
    if not lengths:
        return
    first = next(iter(lengths.values()))
    for index, length in lengths.items():
        if length != first:
            yield Finding(
                ("stream", index, "segment"), shown(write_seconds(length)),
                f"{write_seconds(first)} like the first stream: the origin has one segment duration for all streams",
            )  # fmt: skip
    if draft.origin is None:
        return
    if "segment" in draft.origin.model_fields_set and draft.origin.segment != first:
        yield Finding(
            ("origin", "segment"), shown(write_seconds(draft.origin.segment)),
            f"{write_seconds(first)}, as in the streams",
            "Leave it out: it then follows the streams.",
        )  # fmt: skip
    elif draft.origin.window < 3 * first:
        yield Finding(
            ("origin", "window"), shown(write_seconds(draft.origin.window)),
            f"at least three segments ({write_seconds(3 * first)}; RFC 8216 section 6.2.2)",
        )  # fmt: skip
    if draft.origin.part is not None and draft.origin.part > first:
        yield Finding(
            ("origin", "part"), shown(write_seconds(draft.origin.part)), f"at most a segment ({write_seconds(first)})"
        )


def patience(draft: Draft) -> Iterator[Finding]:
    """A node that waits for less than the origin may hold a request breaks off what it is about to get."""
    if draft.origin is None or draft.origin.part is None:
        return
    segment = float(next(iter(draft.streams.values())).segment) if draft.streams else draft.origin.segment
    longest = 3.0 * draft.origin.target_duration(segment)
    for index, node in draft.nodes.items():
        if node.timeouts.first_byte is not None and node.timeouts.first_byte <= longest:
            yield Finding(
                ("node", index, "timeouts", "first_byte"), shown(write_seconds(node.timeouts.first_byte)),
                f"more than {write_seconds(longest)}: with [origin] part, the origin may hold a request for three "
                "target durations",
            )  # fmt: skip
