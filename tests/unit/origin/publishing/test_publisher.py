"""When the lists of a stream change: tracks that end one after the other, as POSTs do."""

import asyncio
from pathlib import Path

import pytest

from cdnkit.settings.origin import Origin
from origin.errors import StorageFailed
from origin.live.session import State
from origin.publishing.publisher import Publisher
from tests.unit.origin.live.test_stream import NOW, audio, audio_init, video, video_init


def test_every_track_says_that_the_stream_has_ended_once_the_last_has(tmp_path: Path) -> None:
    """A player of one that ended earlier would ask for its playlist for ever."""

    async def run() -> None:
        publisher = Publisher(Origin(storage=tmp_path, segment=1.0, window=10.0), lambda: NOW)
        await publisher.resume()

        def ended() -> dict[str, bool]:
            found = {track: publisher.catalog.get(f"live/{track}/media.m3u8") for track in ("720p", "audio-64k")}
            return {
                track: (one.body or b"").endswith(b"#EXT-X-ENDLIST\n")
                for track, one in found.items()
                if one is not None
            }

        with publisher.posting("live", "720p") as stream, publisher.posting("live", "audio-64k"):
            picture = stream.begin("720p", video_init(), NOW, lambda: None)
            sound = stream.begin("audio-64k", audio_init(), NOW, lambda: None)
            for session, fragments in ((picture, video(5.0)), (sound, audio(5.0))):
                for fragment in fragments:
                    session.push(fragment, NOW)
            await publisher.drain(stream)
            for session, last in ((picture, False), (sound, True)):
                session.finish(State.ENDED)
                await publisher.close(stream)
                assert ended() == {"720p": last, "audio-64k": last}
        await publisher.storage.close()

    asyncio.run(run())


def test_what_could_not_be_stored_is_refused_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        publisher = Publisher(Origin(storage=tmp_path, segment=1.0, window=10.0), lambda: NOW)
        await publisher.resume()
        publish = publisher.storage.publish

        async def full(name: str, data: bytes, *, secret: bool = False) -> None:
            if name.endswith(("-1.m4s", "-2.m4s")):
                raise StorageFailed(name, "disk full", "room")
            await publish(name, data, secret=secret)

        publisher.storage.publish = full  # type: ignore[method-assign]
        with publisher.posting("live", "720p") as stream:
            session = stream.begin("720p", video_init(), NOW, lambda: None)
            for fragment in video(5.0):
                session.push(fragment, NOW)
            session.finish(State.ENDED)
            await publisher.close(stream)
        account = stream.accounts["720p"]
        assert account.received == account.published + account.refused and account.refused == 60
        said = "720p: 60 pictures from 1.001 s to 3.003 s are not published: they could not be stored"
        assert [one for one in caplog.messages if "pictures" in one] == [f"live/{said}"]
        await publisher.storage.close()

    asyncio.run(run())


def test_every_media_playlist_says_where_players_begin(tmp_path: Path) -> None:
    async def run() -> None:
        settings = Origin(storage=tmp_path, segment=1.0, window=10.0, start=-4.0, start_precise=True)
        publisher = Publisher(settings, lambda: NOW)
        await publisher.resume()
        with publisher.posting("live", "720p") as stream:
            session = stream.begin("720p", video_init(), NOW, lambda: None)
            for fragment in video(5.0):
                session.push(fragment, NOW)
            await publisher.drain(stream)
            for state in (None, State.ENDED):
                if state is not None:
                    session.finish(state)
                    await publisher.close(stream)
                resource = publisher.catalog.get("live/720p/media.m3u8")
                assert resource is not None and resource.body is not None
                assert resource.body.count(b"#EXT-X-START:TIME-OFFSET=-4,PRECISE=YES\n") == 1
        await publisher.storage.close()

    asyncio.run(run())
