"""What the encoder and the origin must agree on."""

from collections.abc import Iterator

from cdnkit.units.quantities import write_seconds
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown


def segments(draft: Draft) -> Iterator[Finding]:
    """The origin cuts where the encoder put its key frames, so they must have been told the same length."""
    lengths = {index: float(stream.segment) for index, stream in draft.streams.items()}
    if not lengths:
        return
    first = next(iter(lengths.values()))
    for index, length in lengths.items():
        if length != first:
            yield Finding(
                ("stream", index, "segment"), shown(write_seconds(length)),
                f"{write_seconds(first)} like the first stream: one origin cuts them all alike",
            )  # fmt: skip
    if draft.origin is None:
        return
    if "segment" in draft.origin.model_fields_set and draft.origin.segment != first:
        yield Finding(
            ("origin", "segment"), shown(write_seconds(draft.origin.segment)),
            f"{write_seconds(first)}, as the encoder is told",
            "Leave it out: it follows the streams.",
        )  # fmt: skip
    elif draft.origin.window < 3 * first:
        yield Finding(
            ("origin", "window"), shown(write_seconds(draft.origin.window)),
            f"at least three segments ({write_seconds(3 * first)}; RFC 8216 section 6.2.2)",
        )  # fmt: skip
