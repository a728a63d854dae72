"""The player's mind in virtual time: a world of playlists, a wire that takes time, and what the viewer saw."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdnkit.policy.record.object_class import ObjectClass
from loadtests.player import Ended, Player, Request, State, Wait, choose
from loadtests.playlist import AudioRendition, MediaPlaylist, Multivariant, Rendition, Resource, Segment

BEGAN = 1_000_000.0
ROOT = "http://edge/live/multivariant.m3u8"


@dataclass
class World:
    """A live stream as its origin would publish it, and the time every request takes."""

    duration: float = 4.0
    window: int = 6
    tracks: tuple[str, ...] = ("720p", "audio")
    latency: float = 0.05
    transfer: float = 0.2
    """Seconds a segment takes."""
    ends_after: int | None = None
    dead: tuple[float, float] = (0.0, 0.0)
    """Between these instants after the start every request fails."""
    frozen: tuple[float, float] = (0.0, 0.0)
    """Between these the playlists do not move on."""
    log: list[tuple[float, Request, bool]] = field(default_factory=list)

    def newest(self, now: float) -> int:
        """Number of the newest whole segment: 100 of them existed when the viewer came."""
        since = now - BEGAN
        if self.frozen[0] <= since < self.frozen[1]:
            since = self.frozen[0]
        newest = 99 + int(since / self.duration)
        return newest if self.ends_after is None else min(newest, 99 + self.ends_after)

    def playlist(self, track: str, now: float) -> MediaPlaylist:
        newest = self.newest(now)
        first = newest - self.window + 1
        init = Resource(f"http://edge/live/{track}/init-1.mp4")
        segments = tuple(
            Segment(
                n,
                Resource(f"http://edge/live/{track}/seg-{n}.m4s"),
                self.duration,
                init,
                BEGAN + (n - 100) * self.duration,
            )
            for n in range(first, newest + 1)
        )
        ended = self.ends_after is not None and newest == 99 + self.ends_after
        return MediaPlaylist(float(int(self.duration + 0.5)), segments, first, ended)

    def multivariant(self) -> Multivariant:
        base = "http://edge/live"
        sound = tuple(AudioRendition("a", name, f"{base}/{name}/media.m3u8", True) for name in self.tracks[1:2])
        one = Rendition(f"{base}/{self.tracks[0]}/media.m3u8", 2_000_000, audio="a" if sound else "")
        return Multivariant((one,), sound)

    def watch(self, player: Player, seconds: float) -> float:
        """Drive the player for so long; returns the instant it stopped at."""
        now = BEGAN
        while now < BEGAN + seconds:
            todo = player.next(now)
            if isinstance(todo, Ended):
                return now
            if isinstance(todo, Wait):
                assert todo.until > now, "a wait must move time on"
                now = todo.until
                continue
            begun = now
            is_media = todo.object_class is ObjectClass.SEGMENT
            now += self.latency + (self.transfer if is_media else 0.0)
            good = not self.dead[0] <= begun - BEGAN < self.dead[1]
            if is_media and good:
                # What a segment's URL names must still be, or be already, at the origin.
                number = int(todo.resource.url.rsplit("-", 1)[1].removesuffix(".m4s"))
                good = number <= self.newest(begun)
            self.log.append((begun, todo, good))
            if not good:
                player.on_failure(todo, now)
            elif todo.object_class is ObjectClass.MULTIVARIANT:
                player.on_multivariant(self.multivariant(), now)
            elif todo.object_class is ObjectClass.MEDIA_PLAYLIST:
                track = todo.resource.url.split("/")[-2]
                player.on_media_playlist(todo, self.playlist(track, begun), begun, now)
            elif todo.object_class is ObjectClass.INIT:
                player.on_init(todo, now)
            else:
                player.on_segment(todo, now)
        player.next(now)
        return now

    def urls(self, object_class: ObjectClass, track: str = "") -> list[str]:
        return [
            request.resource.url
            for _, request, good in self.log
            if good and request.object_class is object_class and (not track or f"/{track}/" in request.resource.url)
        ]


def viewer(**options: float) -> Player:
    return Player(ROOT, began=BEGAN, draw=0.0, **options)  # type: ignore[arg-type]


def test_a_quiet_stream_plays_without_a_stall() -> None:
    world, player = World(), viewer()
    world.watch(player, 120)
    seen = player.seen
    assert player.state is State.PLAYING
    # multivariant, two playlists, two inits, then one segment of each track
    assert seen.startup == pytest.approx(0.05 * 5 + 0.25 * 2)
    assert (seen.stalls, seen.stalled, seen.jumps, seen.skipped, seen.regressions) == (0, 0.0, 0, 0, 0)
    assert seen.played == pytest.approx(120 - seen.startup, abs=0.3)


def test_starts_three_target_durations_behind_live() -> None:
    world, player = World(), viewer()
    world.watch(player, 1)
    assert world.urls(ObjectClass.SEGMENT, "720p")[0].endswith("seg-97.m4s")  # 97, 98, 99: twelve seconds
    world, player = World(), viewer(start_behind=1.5)
    world.watch(player, 1)
    assert world.urls(ObjectClass.SEGMENT, "720p")[0].endswith("seg-98.m4s")


def test_segments_come_once_and_in_order_and_the_init_once() -> None:
    world, player = World(), viewer()
    world.watch(player, 60)
    for track in world.tracks:
        asked = [int(url[:-4].rsplit("-", 1)[1]) for url in world.urls(ObjectClass.SEGMENT, track)]
        assert asked == list(range(97, 97 + len(asked)))
        assert len(asked) >= 15
        assert len(world.urls(ObjectClass.INIT, track)) == 1
    assert len(world.urls(ObjectClass.MULTIVARIANT)) == 1


def test_reloads_after_a_target_duration_when_changed_half_when_not() -> None:
    world, player = World(frozen=(8.0, 20.0)), viewer(buffer=60.0)
    world.watch(player, 40)
    begun = [at - BEGAN for at, request, _ in world.log if request.resource.url.endswith("720p/media.m3u8")]
    gaps = [round(b - a, 3) for a, b in itertools.pairwise(begun)]
    slow = [gap for gap in gaps if gap >= 4.0 - 1e-6]
    quick = [gap for gap in gaps if gap < 4.0 - 1e-6]
    assert all(gap <= 4.0 + 0.3 for gap in slow)  # never sooner than the rule, later only while the wire is busy
    assert quick, "the frozen playlist was not asked for again early"
    assert all(2.0 - 1e-6 <= gap <= 2.3 for gap in quick)


def test_live_latency_is_what_the_dates_say() -> None:
    world, player = World(), viewer()
    world.watch(player, 60)
    # It begins with segment 97, dated BEGAN - 12 s, at BEGAN + startup.
    assert player.seen.startup is not None
    tenths = {round((12 + player.seen.startup) * 10)}
    assert set(player.seen.latency) == tenths


def test_a_dead_edge_stalls_the_picture_for_as_long_as_it_takes() -> None:
    world, player = World(dead=(10.0, 30.0)), viewer()
    world.watch(player, 60)
    # At 10 s it holds what was listed by then; segments until 101 (listed at 8 s) end at 97 + 5 * 4 s - played.
    assert player.seen.stalls == 1
    total = player.seen.startup or 0.0
    assert player.seen.played + player.seen.stalled + total == pytest.approx(60, abs=0.3)
    assert 8.0 < player.seen.stalled < 16.0


STALLS = [  # the second segment comes after     stalls   stalled
    (3.9, 0, 0.0),
    (4.05, 0, 0.05),  # nobody sees it; its time is kept
    (4.2, 1, 0.2),
    (9.0, 1, 5.0),
]


@pytest.mark.parametrize(("late", "stalls", "stalled"), STALLS)
@pytest.mark.parametrize("looks", [0, 7])
def test_a_stall_is_counted_from_a_tenth_of_a_second(late: float, stalls: int, stalled: float, looks: int) -> None:
    world, player = World(tracks=("720p",)), viewer()
    player.on_multivariant(world.multivariant(), BEGAN)
    listed = world.playlist("720p", BEGAN)
    request = Request(Resource("http://edge/live/720p/media.m3u8"), ObjectClass.MEDIA_PLAYLIST, 0, "720p")
    player.on_media_playlist(request, listed, BEGAN, BEGAN)
    first, second = listed.segments[-3:-1]
    player.on_segment(Request(first.resource, ObjectClass.SEGMENT, 0, "720p", first), BEGAN)
    for look in range(looks):  # however often it is looked at in between
        player.next(BEGAN + late * look / looks)
    player.on_segment(Request(second.resource, ObjectClass.SEGMENT, 0, "720p", second), BEGAN + late)
    player.next(BEGAN + late + 1)
    assert player.seen.stalls == stalls
    assert player.seen.stalled == pytest.approx(stalled, abs=1e-6)
    assert player.state is State.PLAYING


def test_left_behind_by_the_window_it_jumps_with_all_tracks() -> None:
    world, player = World(dead=(10.0, 60.0)), viewer()
    world.watch(player, 120)
    assert player.seen.jumps == 1
    for track in world.tracks:
        asked = [int(url[:-4].rsplit("-", 1)[1]) for url in world.urls(ObjectClass.SEGMENT, track)]
        leaps = [(a, b) for a, b in itertools.pairwise(asked) if b != a + 1]
        assert len(leaps) == 1
        assert leaps[0][1] > leaps[0][0]
    assert player.state is State.PLAYING


def test_the_end_of_the_stream_is_no_stall() -> None:
    world, player = World(ends_after=5), viewer()
    stopped = world.watch(player, 300)
    assert player.state is State.ENDED
    assert player.seen.stalls == 0
    assert player.seen.played == pytest.approx(8 * 4.0)  # 97 ... 104
    assert stopped == pytest.approx(BEGAN + (player.seen.startup or 0) + 32.0, abs=0.01)


def test_a_playlist_that_goes_back_is_counted_and_not_followed() -> None:
    world, player = World(tracks=("720p",)), viewer()
    world.watch(player, 20)
    request = Request(Resource("http://edge/live/720p/media.m3u8"), ObjectClass.MEDIA_PLAYLIST, 0, "720p")
    now = BEGAN + 20
    player.on_media_playlist(request, world.playlist("720p", BEGAN), now, now)
    assert player.seen.regressions == 1
    todo = player.next(now)
    assert isinstance(todo, Wait)
    assert todo.until <= now + 2.0  # asks again after half a target duration
    world.watch(player, 0)
    assert player.seen.jumps == 0


def test_a_segment_that_never_comes_is_given_up() -> None:
    player = viewer()
    world = World(tracks=("720p",))
    now = BEGAN
    asked: list[float] = []
    while now < BEGAN + 60:
        todo = player.next(now)
        if isinstance(todo, Wait):
            now = todo.until
            continue
        assert isinstance(todo, Request)
        now += 0.01
        if todo.object_class is ObjectClass.MULTIVARIANT:
            player.on_multivariant(world.multivariant(), now)
        elif todo.object_class is ObjectClass.MEDIA_PLAYLIST:
            player.on_media_playlist(todo, world.playlist("720p", now), now, now)
        elif todo.object_class is ObjectClass.INIT:
            player.on_init(todo, now)
        elif todo.resource.url.endswith("seg-97.m4s"):
            asked.append(now)
            player.on_failure(todo, now)
        else:
            player.on_segment(todo, now)
        if player.seen.skipped or player.seen.jumps:
            break
    gaps = [round(b - a) for a, b in itertools.pairwise(asked)]
    assert gaps == [1, 2, 4, 8][: len(gaps)] and len(gaps) >= 3
    assert player.seen.jumps + player.seen.skipped == 1


def test_an_unreachable_stream_is_asked_for_ever_more_slowly() -> None:
    world, player = World(dead=(0.0, 1000.0)), viewer()
    world.watch(player, 60)
    at = [round(begun - BEGAN) for begun, _, _ in world.log]
    assert at[:6] == [0, 1, 3, 7, 15, 23]
    assert player.seen.startup is None
    assert player.state is State.STARTING


MIXES = [  # mix                 draw   chosen (bandwidth, of 300 200 100)
    ((0.6, 0.3, 0.1), 0.0, 300),
    ((0.6, 0.3, 0.1), 0.59, 300),
    ((0.6, 0.3, 0.1), 0.61, 200),
    ((0.6, 0.3, 0.1), 0.95, 100),
    ((1, 1), 0.99, 200),  # no weight: nobody watches it
    ((0, 0, 1, 1), 0.0, 100),  # a weight too many is dropped
    ((0, 0, 0, 1), 0.5, 300),  # only dropped weights: the best
]


@pytest.mark.parametrize(("mix", "draw", "bandwidth"), MIXES)
def test_the_mix(mix: tuple[float, ...], draw: float, bandwidth: int) -> None:
    ladder = tuple(Rendition(f"http://e/s/{b}/media.m3u8", b) for b in (100, 300, 200))
    assert choose(ladder, mix, draw).bandwidth == bandwidth


@settings(max_examples=60, deadline=None)
@example(
    duration=4.0, window=3, latency=1.0, transfer=0.5, dead=(4.0, 42.0), frozen=(0.0, 0.0), tracks=("720p", "audio")
)  # a segment that failed, and came in the end after the player had gone on without it
@given(
    duration=st.sampled_from([1.0, 2.0, 4.0, 6.0]),
    window=st.integers(3, 10),
    latency=st.floats(0.001, 3.0),
    transfer=st.floats(0.001, 8.0),
    dead=st.tuples(st.floats(0, 40), st.floats(0, 60)),
    frozen=st.tuples(st.floats(0, 40), st.floats(0, 60)),
    tracks=st.sampled_from([("720p",), ("720p", "audio")]),
)
def test_whatever_the_wire_does(
    duration: float,
    window: int,
    latency: float,
    transfer: float,
    dead: tuple[float, float],
    frozen: tuple[float, float],
    tracks: tuple[str, ...],
) -> None:
    world = World(
        duration=duration, window=window, latency=latency, transfer=transfer, dead=dead, frozen=frozen, tracks=tracks
    )
    player = viewer()
    stopped = world.watch(player, 120)
    seen = player.seen
    # Every second is accounted for, once.
    before = stopped - BEGAN if seen.startup is None else seen.startup
    assert before + seen.played + seen.stalled == pytest.approx(stopped - BEGAN, abs=0.01)
    for track in tracks:
        asked = [int(url[:-4].rsplit("-", 1)[1]) for url in world.urls(ObjectClass.SEGMENT, track)]
        assert asked == sorted(set(asked)), "a segment was fetched twice or out of order"
        assert len(world.urls(ObjectClass.INIT, track)) <= 1
        playlists = [
            at for at, request, ok in world.log if ok and request.resource.url.endswith(f"/{track}/media.m3u8")
        ]
        for a, b in itertools.pairwise(playlists):
            assert b - a >= float(int(duration + 0.5)) / 2 - 1e-6, "a playlist was reloaded too soon"
