"""VIDEO-RANGE by transfer characteristics (HLS draft 4.4.6.2)."""

import pytest

from cdnkit.hls import video_range

RANGES = [
    (1, "SDR"),
    (6, "SDR"),
    (13, "SDR"),
    (14, "SDR"),
    (15, "SDR"),
    (18, "HLG"),
    (16, "PQ"),
    (2, ""),
    (0, ""),
    (8, ""),
]


@pytest.mark.parametrize(("transfer", "said"), RANGES)
def test_4_4_6_2_video_range(transfer: int, said: str) -> None:
    assert video_range(transfer) == said
