"""Checks that the encoders and the origin agree on the streams and the segment duration."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

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
    for index, stream in draft.streams.items():
        if not any(fnmatchcase(stream.name, one) for one in draft.origin.ingest_streams):
            known = ", ".join(draft.origin.ingest_streams)
            yield Finding(("stream", index, "name"), shown(stream.name), f"one of origin.ingest_streams ({known})")
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
