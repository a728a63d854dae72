"""The head over a body that was compressed here: what of the origin's fields still holds of it (RFC 9110 §8, §12.5.5)."""

import pytest

from cdnkit.policy.answer.compression import compressed
from cdnkit.policy.http.messages import Headers, ResponseHead

HEADS = [  # the origin's fields                                 the same, over the compressed body
    ([], [("content-encoding", "br"), ("vary", "accept-encoding")]),
    ([("content-length", "9"), ("accept-ranges", "bytes"), ("x", "1")], [("x", "1"), ("content-encoding", "br"), ("vary", "accept-encoding")]),
    ([("etag", '"1"')], [("etag", 'W/"1"'), ("content-encoding", "br"), ("vary", "accept-encoding")]),
    ([("etag", 'W/"1"')], [("etag", 'W/"1"'), ("content-encoding", "br"), ("vary", "accept-encoding")]),
    ([("etag", "bare")], [("content-encoding", "br"), ("vary", "accept-encoding")]),
    ([("vary", "origin")], [("vary", "origin"), ("content-encoding", "br"), ("vary", "accept-encoding")]),
    ([("vary", "origin, Accept-Encoding")], [("vary", "origin, Accept-Encoding"), ("content-encoding", "br")]),  # said already
    ([("vary", "origin"), ("vary", "accept-encoding")], [("vary", "origin"), ("vary", "accept-encoding"), ("content-encoding", "br")]),
    ([("vary", "*")], [("vary", "*"), ("content-encoding", "br")]),
    ([("vary", "x-accept-encoding")], [("vary", "x-accept-encoding"), ("content-encoding", "br"), ("vary", "accept-encoding")]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "then"), HEADS)
def test_the_head_over_a_compressed_body(fields: list[tuple[str, str]], then: list[tuple[str, str]]) -> None:
    head = compressed(ResponseHead(200, Headers(fields)), "br")
    assert (head.status, head.headers.lines) == (200, then)
    assert sorted(compressed(head, "br").headers.lines) == sorted(then), "the same again for one that is so already"
