"""Field sections of HTTP/2: what is written, everybody reads; what is read, the reference decoder reads alike."""

import random

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hypothesis import example, given
from hypothesis import strategies as st

from cdnkit.serving.frames import Code, ConnectionFault
from cdnkit.serving.hpack import CONNECTION_FIELDS, TABLE_SIZE_0, FieldDecoder, field_block, status_block

NAMES = st.one_of(st.sampled_from(["etag", "age", "cache-status", "www-authenticate", "accept-charset"]), st.text(
    st.characters(min_codepoint=0x61, max_codepoint=0x7A), min_size=1, max_size=200)).filter(
    lambda name: name not in CONNECTION_FIELDS)  # fmt: skip
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=400)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(status=st.integers(100, 999), lines=LINES)
@example(status=200, lines=[("x", "\xa0 of obs-text is no white space\x85")])
def test_what_is_written_is_read_and_leaves_the_table_alone(status: int, lines: list[tuple[str, str]]) -> None:
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    came = decoder.decode(TABLE_SIZE_0 + status_block(status) + field_block(lines), raw=True)
    assert came == [(b":status", b"%d" % status), *((name.encode(), value.encode("latin-1")) for name, value in lines)]
    assert not decoder.header_table.dynamic_entries


def test_fields_of_a_connection_are_left_out_and_names_are_in_lower_case() -> None:
    lines = [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("ETag", ' "1" '), ("keep-alive", "1")]
    assert Decoder().decode(field_block(lines), raw=True) == [(b"etag", b'"1"')]


def sections(seed: int) -> list[list[tuple[bytes, bytes]]]:
    rng = random.Random(seed)
    names = [b":path", b":method", b"cookie", b"x", b"accept", b"user-agent"]
    return [
        [(rng.choice(names), rng.randbytes(rng.choice((0, 1, 7, 40, 300)))) for _ in range(rng.randint(0, 9))]
        for _ in range(6)
    ]


@pytest.mark.parametrize("seed", range(300))
def test_what_is_read_is_what_the_reference_reads(seed: int) -> None:
    """Whole blocks, and blocks with a few octets changed, cut off or put in. One that only jh2 takes is not whole."""
    rng = random.Random(~seed)
    encoder, ours, reference = Encoder(), FieldDecoder(10_000), Decoder(max_header_list_size=10_000)
    for section in sections(seed):
        if rng.random() < 0.2:
            encoder.header_table_size = rng.choice((0, 100, 4096))
        block = bytearray(encoder.encode(section, huffman=rng.random() < 0.5))
        if rng.random() < 0.3:
            at = rng.randrange(len(block) + 1)
            block[at : at + rng.choice((0, 1, 3))] = rng.randbytes(rng.choice((0, 1, 2)))
        try:
            wanted = reference.decode(bytes(block), raw=True)
        except (HPACKError, OversizedHeaderListError, IndexError, TypeError):
            with pytest.raises(ConnectionFault):
                ours.decode(bytes(block))
            return
        assert [line[:2] for line in ours.decode(bytes(block))] == [tuple(line) for line in wanted]


BROKEN = [  # a block                          why
    (b"\x40", "a literal that ends behind its first octet: jh2 panics at it"),
    (b"\x7f", "an index that does not end"),
    (b"\x00\x01a\x05b", "a value that is too short"),
    (b"\x00\x01a\x7f\xff\xff\xff\xff\x7f", "a length beyond all memory"),
    (b"\x82\x20", "a table size behind a field (RFC 7541 §4.2)"),
    (b"\xff\xff\xff\xff\xff\xff\xff", "an integer without an end"),
    (b"\x3f", "a table size that does not end"),
    (b"\x00\x01a\x82\x1f\xff", "a Huffman string (a) and a whole octet of padding (§5.2)"),
    (b"\x00\x01a\x81\x18", "a Huffman string (a) that is padded with zeros"),
    (b"\x00\x01a\x84\xff\xff\xff\xff", "a Huffman string with the end of string in it"),
]


@pytest.mark.parametrize(("block", "why"), BROKEN)
def test_a_block_that_is_not_whole_ends_the_connection(block: bytes, why: str) -> None:
    with pytest.raises(ConnectionFault) as raised:
        FieldDecoder(1000).decode(block)
    assert raised.value.code is Code.COMPRESSION_ERROR


def test_a_section_that_is_too_large_ends_the_connection_before_it_takes_memory() -> None:
    bomb = b"\x40\x01a\x7f\x81\x0f" + b"x" * 2048 + b"\xbe" * 10_000  # a field of 2 kB, 10,000 times
    with pytest.raises(ConnectionFault) as raised:
        FieldDecoder(100_000).decode(bomb)
    assert raised.value.code is Code.ENHANCE_YOUR_CALM
