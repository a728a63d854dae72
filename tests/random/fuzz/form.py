"""Whether an answer from the store is what it says: status, part, length and body agree (RFC 9110 §14, §15)."""

from cdnkit.policy import Headers, Serve
from tests.random.fuzz.oracle import Asker, Body, claim, range_of


def judge_form(asker: Asker, answer: Serve, body: Body, headers: Headers, name: str) -> None:
    """Status, part and length agree with the body."""
    content = body.content
    if answer.status == 304:
        claim(not answer.body, "304-body", "a 304 with a body", name)
        wanted = asker.ask.fields.get("if-none-match")
        if wanted is not None and wanted.strip() != "*":
            tags = {opaque(tag) for tag in wanted.split(", ")}
            claim(body.etag is not None and opaque(body.etag) in tags, "304-tag", f"{body.etag}: {wanted}", name)
        elif wanted is None:
            since = asker.ask.fields.get("if-modified-since", "")
            claim("1998" not in since, "304-date", f"304 to If-Modified-Since: {since}", name)
        return
    if answer.status == 206:
        content = _judge_part(asker, answer, body, headers, name)
    elif answer.status != 416:
        claim(answer.status == body.status, "status", f"{answer.status}, the origin said {body.status}", name)
        claim(answer.span is None and answer.pieces is None, "part-as-whole", f"with {answer.span}", name)
        claim(content == body.whole, "part-as-whole", f"{content!r} of {body.whole!r}", name)
    length = headers.first("content-length")
    if length is not None and answer.body and asker.ask.method == "GET":
        claim(int(length) == len(content), "content-length", f"{length} for {len(content)} bytes", name)
    claim(len(headers.all("content-length")) <= 1, "content-length", "two lengths", name)
    if asker.ask.method == "HEAD":
        claim(not answer.body, "head-body", "a body to HEAD", name)


def _judge_part(asker: Asker, answer: Serve, body: Body, headers: Headers, name: str) -> bytes:
    """What a 206 sends: the bytes it says, which are those that were asked for."""
    asked_for, if_range = asker.ask.fields["range"], asker.ask.fields.get("if-range")
    if if_range is not None and body.fetch_id not in asker.fetches:
        same = if_range == body.etag and not if_range.startswith("W/")
        claim(same, "if-range", f"a part under {if_range}, of {body.etag}", name)
    if answer.pieces is not None:
        sent = b""
        for piece in answer.pieces:
            cut = piece if isinstance(piece, bytes) else body.content[piece.start : piece.stop]
            if not isinstance(piece, bytes):
                claim(cut == body.whole[piece.start : piece.stop], "wrong-part", f"{piece}", name)
            sent += cut
        return sent
    span = answer.span
    assert span is not None
    claim(span.stop <= len(body.content), "content-range", f"{span} of {len(body.content)}", name)
    sent = body.content[span.start : span.stop]
    first = body.first + span.start
    said = headers.first("content-range")
    claim(said == f"bytes {first}-{first + len(sent) - 1}/{len(body.whole)}", "content-range", f"{said}: {span}", name)
    claim(sent == body.whole[first : first + len(sent)], "wrong-part", f"{sent!r} is not at {first}", name)
    wanted = range_of(asked_for, len(body.whole))
    claim(wanted is None or wanted == (first, first + len(sent) - 1), "another-part", f"{said} for {asked_for}", name)
    return sent


def opaque(tag: str) -> str:
    return tag.removeprefix("W/")
