"""Slices: which blocks a range needs, how an answer is put together of them, and what does not belong together."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.http.ranges import Span, content_range, spans
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Assemble, Fetch, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.vendors import CLOUDFRONT, FASTLY

NOW = 1_795_000_000.0
KIB = 1024
BLOCK = 4 * KIB


def request(headers: dict[str, str] | None = None, method: str = "GET") -> RequestHead:
    return RequestHead(method, "http", "h", "/big.mp4", None, Headers((headers or {}).items()))


class Lab:
    """A machine, and an origin with one object: bodies are bytes, every fetch is answered at once."""

    def __init__(
        self,
        body: bytes,
        *,
        ranges: bool = True,
        total: bool = True,
        etag: str = '"v1"',
        fields: dict[str, str] | None = None,
        profile: Profile = RFC9111,
    ) -> None:
        service = Service(behaviors=(Behavior(path="*", slice=BLOCK),), room=1 << 20, largest=1 << 20)
        self.machine = EdgeMachine(service, profile)
        self.fields = {"cache-control": "max-age=60"} if fields is None else fields
        self.body, self.etag, self.ranges, self.total = body, etag, ranges, total
        self.bodies: dict[int, bytes] = {}
        self.asked: list[str] = []
        self.now = NOW

    def answer(self, ask: RequestHead) -> tuple[Serve | Relay | Refuse, bytes]:
        """A final answer and the body it stands on."""
        plan = self.machine.on_request(ask, self.now)
        assert not isinstance(plan, Assemble)
        came = b""
        while isinstance(plan, Fetch):
            head, came = self.origin(plan.request)
            landing = self.machine.on_response(plan, head, self.now)
            if landing.store is not None:
                self.bodies[landing.store.id] = came
                self.machine.on_body_end(plan, len(came), self.now)
            plan = landing.answers[plan.ticket]
        assert isinstance(plan, Serve | Relay | Refuse)
        return plan, self.bodies[plan.entry.id] if isinstance(plan, Serve) else came

    def origin(self, ask: RequestHead) -> tuple[ResponseHead, bytes]:
        wanted = ask.headers.first("range")
        self.asked.append(wanted or "whole")
        fields = self.fields | ({"etag": self.etag} if self.etag else {})
        if ask.headers.first("if-none-match") == self.etag:
            return ResponseHead(304, Headers(fields.items())), b""
        if wanted is None or not self.ranges:
            return ResponseHead(200, Headers([*fields.items(), ("content-length", str(len(self.body)))])), self.body
        found = spans(wanted, len(self.body))
        if not found:
            return ResponseHead(416, Headers({"content-range": f"bytes */{len(self.body)}"}.items())), b""
        first, part = found[0].start, self.body[found[0].start : found[0].stop]
        whole = len(self.body) if self.total else "*"
        fields |= {"content-range": f"bytes {first}-{first + len(part) - 1}/{whole}", "content-length": str(len(part))}
        return ResponseHead(206, Headers(fields.items())), part

    def view(self, ask: RequestHead) -> tuple[int, Headers, bytes | None]:
        """Status, fields and body as the viewer gets them; None where the assembly breaks off."""
        plan = self.machine.on_request(ask, self.now)
        assert isinstance(plan, Assemble)
        opening, body = self.answer(plan.assembly.opening_request())
        told = self.machine.assembled(plan.assembly, opening, self.now)
        if told is None:
            told, body = self.answer(plan.assembly.whole_request())
        if isinstance(told, Serve) and told.blocks is not None and told.body:
            sent = b""
            for block in told.blocks:
                got, held = self.answer(plan.assembly.block_request(block.number))
                place = plan.assembly.locate(got.entry, block.span) if isinstance(got, Serve) else None
                if place is None:
                    return told.status, Headers(told.headers), None
                sent += held[place.start : place.stop]
            return told.status, Headers(told.headers), sent
        if isinstance(told, Serve) and told.span is not None:
            body = body[told.span.start : told.span.stop]
        sent = body if not isinstance(told, Refuse) and told.body else b""
        return told.status, Headers(told.headers), sent


BODY = bytes(i * 31 % 251 for i in range(3 * BLOCK + 100))
LENGTH = len(BODY)

ROWS = [  # the viewer's fields              status  the bytes of the whole            what the origin is asked
    ({},                                      200, Span(0, LENGTH),                     ["bytes=0-4095", "bytes=4096-8191", "bytes=8192-12287", "bytes=12288-16383"]),
    ({"range": "bytes=0-0"},                  206, Span(0, 1),                          ["bytes=0-4095"]),
    ({"range": "bytes=4095-4096"},            206, Span(4095, 4097),                    ["bytes=0-4095", "bytes=4096-8191"]),
    ({"range": "bytes=5000-6000"},            206, Span(5000, 6001),                    ["bytes=4096-8191"]),
    ({"range": f"bytes={LENGTH - 10}-"},      206, Span(LENGTH - 10, LENGTH),           ["bytes=12288-16383"]),
    ({"range": "bytes=12000-99999"},          206, Span(12000, LENGTH),                 ["bytes=8192-12287", "bytes=12288-16383"]),
    ({"range": "bytes=-100"},                 206, Span(LENGTH - 100, LENGTH),          ["bytes=0-4095", "bytes=12288-16383"]),  # block 0 tells the length
    ({"range": "bytes=99999-"},               416, None,                                ["bytes=98304-102399"]),
    ({"range": "bytes=0-1, 9000-9001"},       200, Span(0, LENGTH),                     ["bytes=0-4095", "bytes=4096-8191", "bytes=8192-12287", "bytes=12288-16383"]),
    ({"range": "bytes=0-1", "if-range": '"v1"'}, 206, Span(0, 2),                       ["bytes=0-4095"]),
    ({"range": "bytes=0-1", "if-range": '"v0"'}, 200, Span(0, LENGTH),                  ["bytes=0-4095", "bytes=4096-8191", "bytes=8192-12287", "bytes=12288-16383"]),
    ({"if-none-match": '"v1"'},               304, None,                                ["bytes=0-4095"]),  # the head is enough
]  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "span", "asked"), ROWS)
def test_a_range_needs_its_blocks_and_no_others(
    fields: dict[str, str], status: int, span: Span | None, asked: list[str]
) -> None:
    lab = Lab(BODY)
    told, headers, body = lab.view(request(fields))
    assert (told, lab.asked) == (status, asked)
    assert body == (BODY[span.start : span.stop] if span else b"")
    if span is not None:
        assert headers.all("content-length") == [str(span.stop - span.start)]
    if status == 206 and span is not None:
        came = content_range(headers.joined("content-range"))
        assert came is not None and (came.span, came.total) == (span, LENGTH)
    else:
        assert ("content-range" in headers) == (status == 416)
    lab.asked.clear()
    assert lab.view(request(fields))[2] == body
    assert lab.asked == ([] if status != 416 else asked)  # a 416 is nobody else's; all else is stored


FRESH = {"cache-control": "max-age=60"}


@pytest.mark.parametrize(
    ("profile", "fields"), [(RFC9111, FRESH), (CLOUDFRONT, FRESH), (FASTLY, FRESH), (CLOUDFRONT, {}), (FASTLY, {})]
)
def test_blocks_are_kept_under_every_profile(profile: Profile, fields: dict[str, str]) -> None:
    """Fastly, "Segmented Caching": every block comes as a 206, which is none of its cacheable statuses."""
    lab = Lab(BODY, profile=profile, fields=fields)
    assert lab.view(request({"range": "bytes=5000-6000"}))[2] == BODY[5000:6001]
    assert lab.view(request({"range": "bytes=4096-4099"}))[2] == BODY[4096:4100]
    assert lab.asked == ["bytes=4096-8191"]


def test_head_asks_for_one_block_and_tells_of_the_whole() -> None:
    lab = Lab(BODY)
    status, headers, body = lab.view(request(method="HEAD"))
    assert (status, headers.first("content-length"), body, lab.asked) == (200, str(LENGTH), b"", ["bytes=0-4095"])


CANNOT = [  # an origin that                              is asked
    ({"ranges": False},                                   ["bytes=0-4095"]),  # its 200 is the whole already
    ({"etag": ""},                                        ["bytes=0-4095", "whole"]),  # nothing says what belongs together
    ({"etag": 'W/"v1"'},                                  ["bytes=0-4095", "whole"]),  # a weak tag does not (RFC 9110 §8.8.1)
    ({"total": False},                                    ["bytes=0-4095", "whole"]),
]  # fmt: skip


@pytest.mark.parametrize(("origin", "asked"), CANNOT)
def test_what_cannot_be_sliced_comes_as_a_whole_and_is_kept_so(origin: dict[str, object], asked: list[str]) -> None:
    lab = Lab(BODY, **origin)  # type: ignore[arg-type]
    assert (lab.view(request())[0], lab.view(request())[2]) == (200, BODY)
    assert lab.asked == asked
    lab.asked.clear()
    assert lab.view(request({"range": "bytes=10-19"}))[2] == BODY[10:20]
    assert lab.asked == []


def test_an_object_smaller_than_a_block_is_kept_whole() -> None:
    lab = Lab(b"small")
    assert [lab.view(request())[::2] for _ in range(2)] == [(200, b"small")] * 2
    assert lab.view(request({"range": "bytes=1-2"}))[::2] == (206, b"ma")
    assert lab.asked == ["bytes=0-4095"]


def test_blocks_of_two_versions_are_never_put_together() -> None:
    lab = Lab(BODY)
    lab.view(request({"range": "bytes=0-1"}))
    lab.body, lab.etag = BODY[::-1], '"v2"'
    assert lab.view(request())[2] is None  # the head was of the old version: the connection must break
    assert lab.view(request())[2] == BODY[::-1]  # and the next viewer gets the new one, all of it


def test_a_stale_block_is_validated_for_itself() -> None:
    lab = Lab(BODY)
    lab.view(request({"range": "bytes=5000-5001"}))
    lab.now += 61
    lab.asked.clear()
    assert lab.view(request({"range": "bytes=5000-9000"}))[2] == BODY[5000:9001]
    assert lab.asked == ["bytes=4096-8191", "bytes=8192-12287"]


@pytest.mark.parametrize("order", [PurgeOrder(PurgeKind.URL, "/big.mp4"), PurgeOrder(PurgeKind.EVERYTHING)])
def test_a_purge_takes_every_block(order: PurgeOrder) -> None:
    lab = Lab(BODY)
    lab.view(request())
    assert lab.machine.on_purge(order, lab.now).count == 4
    lab.body, lab.etag = BODY[::-1], '"v2"'
    assert lab.view(request())[2] == BODY[::-1]


def test_a_viewer_cannot_pretend_to_be_a_block() -> None:
    """Only the node itself makes such requests: nothing a client sends sets `block`."""
    lab = Lab(BODY)
    plan = lab.machine.on_request(replace(request({"range": "bytes=0-4095"})), NOW)
    assert isinstance(plan, Assemble)


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(0, 5 * BLOCK),
    ranges=st.lists(
        st.one_of(
            st.tuples(st.integers(0, 5 * BLOCK), st.none() | st.integers(0, 5 * BLOCK)).map(
                lambda ends: f"bytes={ends[0]}-{'' if ends[1] is None else ends[0] + ends[1]}"
            ),
            st.integers(1, 5 * BLOCK).map(lambda n: f"bytes=-{n}"),
            st.none(),
        ),
        max_size=6,
    ),
    drops=st.booleans(),
)
def test_every_byte_is_the_one_the_origin_has(size: int, ranges: list[str | None], drops: bool) -> None:
    """Whatever was asked before: an assembled answer is the slice of the object that its own head names."""
    body = bytes(i * 7 % 256 for i in range(size))
    lab = Lab(body)
    for wanted in ranges:
        status, headers, sent = lab.view(request({"range": wanted} if wanted else {}))
        if status == 206:
            came = content_range(headers.joined("content-range"))
            assert came is not None and came.total == size
            assert sent == body[came.span.start : came.span.stop]
        elif status == 200:
            assert sent == body
        else:
            assert wanted is not None and (status, sent) == (416, b"")
        if drops:
            lab.machine.on_purge(PurgeOrder(PurgeKind.URL, "/big.mp4", soft=True), lab.now)


def test_an_origin_that_names_a_whole_beyond_all_measure_costs_no_more_than_what_is_read() -> None:
    lab = Lab(BODY)
    plan = lab.machine.on_request(request(), NOW)
    assert isinstance(plan, Assemble)
    fetch = lab.machine.on_request(plan.assembly.opening_request(), NOW)
    assert isinstance(fetch, Fetch)
    fields = {"content-range": f"bytes 0-{BLOCK - 1}/{10**18 - 1}", "etag": '"v1"', "cache-control": "max-age=60"}
    landing = lab.machine.on_response(fetch, ResponseHead(206, Headers(fields.items())), NOW)
    told = lab.machine.assembled(plan.assembly, landing.answers[fetch.ticket], NOW)
    assert isinstance(told, Serve) and told.blocks is not None
    assert [next(told.blocks).number for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("wanted", "status", "sent"), [(None, 200, 100), ("bytes=0-9", 206, 10), ("bytes=200-", 416, 0)]
)
def test_an_origin_that_takes_no_range_beyond_the_end_is_asked_as_the_viewer_asks(
    wanted: str | None, status: int, sent: int
) -> None:
    """As some that store blobs do: `bytes=0-4095` of a hundred bytes is 416 to them, where RFC 9110 14.1.2 cuts it."""

    class Strict(Lab):
        def origin(self, ask: RequestHead) -> tuple[ResponseHead, bytes]:
            _, _, last = (ask.headers.first("range") or "bytes=0-0").removeprefix("bytes=").partition("-")
            if last and int(last) >= len(self.body):
                self.asked.append(str(ask.headers.first("range")))
                return ResponseHead(416, Headers({"content-range": f"bytes */{len(self.body)}"}.items())), b""
            if not last:
                return ResponseHead(416, Headers({"content-range": f"bytes */{len(self.body)}"}.items())), b""
            return super().origin(ask)

    lab = Strict(BODY[:100])
    got, _, body = lab.view(request({} if wanted is None else {"range": wanted}))
    assert (got, len(body or b"")) == (status, sent)
    assert len(lab.asked) <= 2


def test_a_block_is_refreshed_behind_its_viewer_as_the_block_that_it_is() -> None:
    lab = Lab(BODY, fields={"cache-control": "max-age=10, stale-while-revalidate=60"})
    lab.view(request())
    lab.now += 20
    plan = lab.machine.on_request(request({"range": "bytes=5000-6000"}), lab.now)
    assert isinstance(plan, Assemble)
    stale = lab.machine.on_request(plan.assembly.opening_request(), lab.now)
    assert isinstance(stale, Serve) and stale.refresh is not None
    assert stale.refresh.request.headers.first("range") == "bytes=4096-8191"
