"""What tells of lines that were lost: how many, and between which events, also where some were lost before."""

import pytest

from cdnkit.policy.record.lines import (
    FetchRecord,
    LostRecord,
    PurgeRecord,
    highest_seq,
    lines_of,
    lost_lines,
    lost_of,
    node_of,
)


def purge(seq: int) -> PurgeRecord:
    return PurgeRecord("fra", seq, 1_790_000_000.0, "url", "/a", False, 1)


def fetch(landed: int, ended: int) -> FetchRecord:
    return FetchRecord(
        node="fra", fetch=1, url="/a", purpose="miss", sent_at=0.0, landed_seq=landed, landed_at=0.0, status=200,
        headers=[], failure="", ended_seq=ended, ended_at=0.0, size_bytes=0,
    )  # fmt: skip


LOSSES = [  # lost now                          lost before                     told
    ([purge(5)], None, (1, 5, 5)),
    ([purge(5), purge(6), purge(9)], None, (3, 5, 9)),
    ([purge(5)], LostRecord("fra", 4, 1, 3), (5, 1, 5)),
    ([purge(5)], LostRecord("fra", 4, 7, 9), (5, 5, 9)),
    ([fetch(4, 8), purge(6)], None, (2, 4, 8)),  # an exchange ends later than it landed
    ([fetch(4, 0)], None, (1, 4, 4)),  # and one without a body has no end of its own
]


@pytest.mark.parametrize(("now", "before", "told"), LOSSES)
def test_losses_add_up(
    now: list[PurgeRecord | FetchRecord], before: LostRecord | None, told: tuple[int, int, int]
) -> None:
    assert lost_of(now, before) == LostRecord("fra", *told)


@pytest.mark.parametrize(("now", "before", "told"), LOSSES)
def test_lines_that_are_lost_add_up_like_their_records(
    now: list[PurgeRecord | FetchRecord], before: LostRecord | None, told: tuple[int, int, int]
) -> None:
    lines = lines_of(now)
    assert lost_lines(lines, before) == LostRecord("fra", *told)
    assert (node_of(lines.splitlines()[0]), highest_seq(lines)) == ("fra", lost_of(now, None).until)


def test_the_highest_of_no_line_is_none() -> None:
    assert highest_seq(b"") == 0
