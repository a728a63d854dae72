"""One stream's objects as a machine: what is seen, what is overtaken, what is refused, and what goes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.settings.origin import Uploads
from origin.errors import Refused
from origin.uploads.lists import Listing
from origin.uploads.names import LISTS, Class
from origin.uploads.objects import MOST_OPEN, ObjectStream, StoredObject, Upload

LARGEST = 2**20


class Lab:
    """An `ObjectStream` that is told when; each object of it has its own number as its file."""

    def __init__(self, **bounds: int) -> None:
        self.stream = ObjectStream("live", Uploads(**bounds), 0.0)
        self.file = 0
        self.now = 1000.0

    def begin(self, path: str, size: int = 10) -> Upload:
        upload = self.stream.begin(path, self.now)
        try:
            self.stream.take(upload, size, largest=LARGEST)
        except Refused:
            self.stream.over(upload)
            raise
        return upload

    def end(self, upload: Upload, *lists: str, duration: float = 0.0, kind: Class | None = None) -> int:
        """The file that its object has; 0: it was overtaken."""
        self.file += 1
        kind = kind or (Class.MEDIA_PLAYLIST if lists else Class.SEGMENT)
        listing = Listing(frozenset(lists), frozenset(lists), duration=duration) if kind in LISTS else None
        stored = StoredObject(upload.path, self.file, upload.received, f'"{self.file}"', kind, self.now)
        seen = not upload.overtaken
        if seen:
            self.stream.finish(upload, stored, listing, self.now)
        self.stream.over(upload)
        return self.file if seen else 0

    def put(self, path: str, *lists: str, size: int = 10, kind: Class | None = None, duration: float = 0.0) -> int:
        return self.end(self.begin(path, size), *lists, kind=kind, duration=duration)

    def expire(self, after: float, linger: float = 60.0) -> set[str]:
        self.now += after
        gone = self.stream.expired(self.now, linger)
        for one in gone:
            self.stream.forget(one)
        return {one.path for one in gone}


def test_an_object_is_there_when_its_put_has_ended() -> None:
    lab = Lab()
    first = lab.put("a.ts")
    upload = lab.begin("a.ts")
    assert lab.stream.objects["a.ts"].file == first
    assert lab.end(upload) == lab.stream.objects["a.ts"].file != first
    assert lab.stream.size == 10


def test_a_broken_put_leaves_what_was_there() -> None:
    lab = Lab()
    first = lab.put("a.ts")
    lab.stream.over(lab.begin("a.ts"))
    assert lab.stream.objects["a.ts"].file == first and lab.stream.size == 10


def test_a_put_that_a_later_one_has_overtaken_is_never_seen() -> None:
    lab = Lab()
    old, new = lab.begin("live.m3u8"), lab.begin("live.m3u8")
    newest = lab.end(new)
    assert lab.end(old) == 0
    assert lab.stream.objects["live.m3u8"].file == newest


def test_a_put_that_began_before_a_delete_comes_too_late() -> None:
    lab = Lab()
    before = lab.begin("a.ts")
    assert lab.stream.delete("a.ts", lab.now) is None
    after = lab.begin("a.ts")
    assert lab.end(before) == 0 and lab.end(after) > 0


def test_a_put_goes_on_when_the_object_at_its_path_expires() -> None:
    """An encoder that starts again uses its names again."""
    lab = Lab()
    lab.put("live0.ts")
    assert lab.expire(0) == set()
    again = lab.begin("live0.ts")
    assert lab.expire(60) == {"live0.ts"}
    assert lab.end(again) > 0


def test_a_playlist_waits_for_what_it_lists_and_began_before() -> None:
    lab = Lab()
    listed, other = lab.begin("live0.ts"), lab.begin("elsewhere.ts")
    playlist = lab.begin("live.m3u8")
    later = lab.begin("live1.ts")
    listing = Listing(promised=frozenset({"live0.ts", "live1.ts", "live.m3u8"}))
    assert lab.stream.awaited(playlist, listing) == [listed]
    assert {listed, other, playlist, later} == set(lab.stream.open)


BOUNDS = [  # given bounds, and (path, size) of uploads, then the status of the last and words of its sentence
    ({"objects": 2}, [("a.ts", 1), ("b.ts", 1), ("c.ts", 1)], 507, "found 2 objects, wanted at most 2"),
    ({"objects": 2}, [("a.ts", 1), ("b.ts", 1), ("b.ts", 1)], 0, ""),
    ({"stream_size": 100}, [("a.ts", 60), ("b.ts", 41)], 507, "found 60 bytes stored, wanted at most 100 bytes"),
    ({"stream_size": 100}, [("a.ts", 60), ("b.ts", 40)], 0, ""),
    ({}, [("a.ts", LARGEST + 1)], 413, "or more, wanted at most 1048576 bytes"),
]


@pytest.mark.parametrize(("bounds", "puts", "status", "words"), BOUNDS)
def test_bounds(bounds: dict[str, int], puts: list[tuple[str, int]], status: int, words: str) -> None:
    lab = Lab(**bounds)
    for path, size in puts[:-1]:
        lab.put(path, size=size)
    if not status:
        lab.put(puts[-1][0], size=puts[-1][1])
        return
    with pytest.raises(Refused, match=words) as refused:
        lab.put(puts[-1][0], size=puts[-1][1])
    assert refused.value.status == status
    assert lab.stream.objects.keys() == {path for path, _ in puts[:-1]}, "nothing is taken away for it"


def test_objects_on_their_way_count() -> None:
    lab = Lab(objects=2)
    lab.begin("a.ts")
    lab.begin("a.ts")
    lab.begin("b.ts")
    with pytest.raises(Refused):
        lab.begin("c.ts")


def test_puts_at_once_are_bounded() -> None:
    lab = Lab()
    for _ in range(MOST_OPEN):
        lab.begin("a.ts")
    with pytest.raises(Refused) as refused:
        lab.begin("a.ts")
    assert refused.value.status == 429


def test_what_no_playlist_lists_goes_after_the_linger() -> None:
    lab = Lab()
    lab.put("live0.ts")
    lab.put("live1.ts")
    lab.put("live.m3u8", "live0.ts", "live1.ts")
    assert lab.expire(1000) == set()
    lab.put("live.m3u8", "live1.ts")
    assert lab.expire(0) == set() and lab.expire(59) == set()
    assert lab.expire(1) == {"live0.ts"}
    assert lab.stream.objects.keys() == {"live1.ts", "live.m3u8"}


def test_a_segment_is_listed_soon_after_it_has_come() -> None:
    lab = Lab()
    lab.put("live0.ts")
    assert lab.expire(0) == set()
    lab.now += 59
    lab.put("live.m3u8", "live0.ts")
    assert lab.expire(1) == set() and lab.expire(1000) == set()


def test_segments_without_any_playlist_go() -> None:
    lab = Lab()
    lab.put("live0.ts")
    assert lab.expire(0) == set() and lab.expire(60) == {"live0.ts"}


def test_the_linger_is_never_shorter_than_the_longest_playlist() -> None:
    """RFC 8216 section 6.2.2: a viewer may have loaded the playlist just before the segment left it."""
    lab = Lab()
    lab.put("live0.ts")
    lab.put("live.m3u8", "live1.ts", duration=300.0)
    assert lab.expire(0) == set() and lab.expire(299) == set() and lab.expire(1) == {"live0.ts"}


def test_what_a_deleted_playlist_listed_goes() -> None:
    lab = Lab()
    lab.put("live0.ts")
    lab.put("live.m3u8", "live0.ts")
    lab.stream.delete("live.m3u8", lab.now)
    assert lab.expire(0) == set() and lab.expire(60) == {"live0.ts"}


def test_the_outermost_are_the_playlists_that_no_other_lists() -> None:
    lab = Lab()
    lab.put("v0/live.m3u8", "v0/live0.ts")
    assert [one.path for one in lab.stream.outermost()] == ["v0/live.m3u8"]
    lab.put("manifest.mpd", kind=Class.MANIFEST)
    lab.put("master.m3u8", "v0/live.m3u8", kind=Class.MULTIVARIANT)
    assert [one.path for one in lab.stream.outermost()] == ["master.m3u8", "manifest.mpd"]


def test_a_stream_of_headers_is_undecided() -> None:
    lab = Lab()
    lab.put("init.mp4", kind=Class.INIT)
    assert lab.stream.undecided
    upload = lab.begin("live0.m4s")
    assert not lab.stream.undecided, "something is on its way"
    lab.end(upload)
    assert not lab.stream.undecided


ACTS = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "break", "delete", "expire"]), st.integers(0, 4), st.integers(1, 60)),
    max_size=60,
)


@settings(max_examples=300)
@given(ACTS)
def test_whatever_encoders_do(acts: list[tuple[str, int, int]]) -> None:
    """Bytes add up and stay in their bounds, and what is seen at a path is the latest PUT that ended properly."""
    lab = Lab(objects=3, stream_size=200)
    begun: list[tuple[int, Upload]] = []
    seen: dict[str, int] = {}  # path -> when the PUT or DELETE began that decides what is there
    for clock, (act, which, size) in enumerate(acts, 1):
        path = f"{which}.ts"
        if act == "begin":
            try:
                begun.append((clock, lab.begin(path, size)))
            except Refused as refused:
                assert refused.status == 507
        elif act == "delete":
            lab.stream.delete(path, lab.now)
            seen[path] = clock
        elif act == "expire":
            lab.expire(size)
        elif begun:
            at, upload = begun.pop(which % len(begun))
            if act == "break":
                lab.stream.over(upload)
            else:
                latest = at > seen.get(upload.path, 0)
                assert (lab.end(upload) > 0) is latest
                seen[upload.path] = max(at, seen.get(upload.path, 0))
        stored = sum(one.size for one in lab.stream.objects.values())
        assert lab.stream.size == stored + sum(upload.received for _, upload in begun) <= 200
        assert len(lab.stream.objects) <= 3
        assert lab.stream.listings.keys() <= lab.stream.objects.keys()
