"""The multivariant playlist of a stream, live or VOD: text from values, and nothing else (HLS draft 4.4.6)."""

from collections.abc import Iterable, Sequence
from math import ceil

from cdnkit.hls.audio_groups import Group, Named, audio_groups, name_all, nearest
from cdnkit.hls.renditions import Audio, IFrames, Rendition, Subtitles, Video
from cdnkit.units import visible

SUBTITLES = "subtitles"
CAPTIONS = "captions"


def multivariant_playlist(
    videos: Iterable[Video],
    audios: Iterable[Audio] = (),
    subtitles: Iterable[Subtitles] = (),
    captions: Sequence[str] | None = (),
    *,
    version: int = 7,
) -> str:
    """The playlist of these tracks; the tallest video first, each with the sound that suits it.

    A video is a Variant Stream for each codec and number of channels of the sound. `captions` are the INSTREAM-IDs
    that the pictures carry; None: nobody has looked. Without video, each group of sound is a Variant Stream.
    """
    videos = sorted(videos, key=lambda video: (-video.height, -video.rates.average_bps, video.name))
    families = audio_groups(audios)
    texts = name_all(sorted(subtitles, key=lambda one: one.name), SUBTITLES, default=False)
    variants: list[tuple[Rendition, Group | None]] = [
        (video, nearest(groups, video.audio_bps)) for video in videos for groups in families
    ] or [(video, None) for video in videos]
    if not videos:
        variants = [(group.members[0].rendition, group) for groups in families for group in groups]
    # A single track of sound needs no group where no video refers to it.
    groups = {group.id: group for _, group in variants if group and (videos or len(group.members) > 1)}
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += [_media("AUDIO", group.id, member) for group in groups.values() for member in group.members]
    lines += [_media("SUBTITLES", SUBTITLES, text) for text in texts]
    captions = captions if videos else None
    lines += [_caption(channel, first=number == 0) for number, channel in enumerate(captions or ())]
    for main, group in variants:
        lines += _variant(main, group, group is not None and group.id in groups, texts, captions)
    lines += [_i_frames(video, video.i_frames) for video in videos if video.i_frames]
    return "\n".join(lines) + "\n"


def _media(kind: str, group: str, member: Named) -> str:
    one = member.rendition
    attributes = [f"TYPE={kind}", f"GROUP-ID={quoted(group)}", f"NAME={quoted(member.name)}"]
    if one.language:
        attributes.append(f"LANGUAGE={quoted(one.language)}")
    attributes += [f"DEFAULT={_yes(member.default)}", f"AUTOSELECT={_yes(member.autoselect)}"]
    if kind == "SUBTITLES" and one.role.startswith("forced"):
        attributes.append("FORCED=YES")
    if member.characteristics:
        attributes.append(f"CHARACTERISTICS={quoted(member.characteristics)}")
    if isinstance(one, Audio):
        attributes.append(f'CHANNELS="{one.channels}"')
    return f"#EXT-X-MEDIA:{','.join(attributes)},URI={quoted(one.uri)}"


def _caption(channel: str, *, first: bool) -> str:
    return (
        f"#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID={quoted(CAPTIONS)},NAME={quoted(channel)},"
        f"DEFAULT=NO,AUTOSELECT={_yes(first)},INSTREAM-ID={quoted(channel)}"
    )


def _variant(
    main: Rendition, group: Group | None, grouped: bool, texts: list[Named], captions: Sequence[str] | None
) -> list[str]:
    """`grouped`: the playlist has a tag for the group."""
    video = main if isinstance(main, Video) else None
    # What plays together: the video, one of the sounds, one of the subtitles.
    choices: list[list[Rendition]] = [[video]] if video else []
    choices += [[member.rendition for member in group.members]] if group else []
    choices += [[text.rendition for text in texts]] if texts else []
    average = sum(max(one.rates.average_bps for one in choice) for choice in choices)
    peak = sum(max(one.rates.peak_bps or one.rates.average_bps for one in choice) for choice in choices)
    codecs = dict.fromkeys(one.codec for choice in choices for one in choice)
    attributes = [
        f"BANDWIDTH={ceil(max(peak, average))}",
        f"AVERAGE-BANDWIDTH={ceil(average)}",
        f"CODECS={quoted(','.join(codecs))}",
    ]
    if video:
        attributes.append(f"RESOLUTION={video.width}x{video.height}")
        attributes += [f"FRAME-RATE={video.frame_rate:.3f}"] if video.frame_rate else []
        attributes += [f"VIDEO-RANGE={video.video_range}"] if video.video_range else []
    attributes += [f"AUDIO={quoted(group.id)}"] if group and grouped else []
    attributes += [f"SUBTITLES={quoted(SUBTITLES)}"] if texts else []
    if captions is not None:
        # All Variant Streams or none (4.4.6.2): a player keeps its captions when it switches.
        attributes.append(f"CLOSED-CAPTIONS={quoted(CAPTIONS) if captions else 'NONE'}")
    return [f"#EXT-X-STREAM-INF:{','.join(attributes)}", main.uri]


def _i_frames(video: Video, i_frames: IFrames) -> str:
    """EXT-X-I-FRAME-STREAM-INF: of the pictures alone, and without a frame rate (4.4.6.3)."""
    average = i_frames.rates.average_bps
    attributes = [
        f"BANDWIDTH={ceil(max(i_frames.rates.peak_bps, average))}",
        f"AVERAGE-BANDWIDTH={ceil(average)}",
        f"CODECS={quoted(video.codec)}",
        f"RESOLUTION={video.width}x{video.height}",
    ]
    attributes += [f"VIDEO-RANGE={video.video_range}"] if video.video_range else []
    return f"#EXT-X-I-FRAME-STREAM-INF:{','.join(attributes)},URI={quoted(i_frames.uri)}"


def quoted(text: str) -> str:
    """A quoted-string (4.2), which has no way to hold a quote or the end of a line."""
    return f'"{visible(text).replace(chr(34), chr(39))}"'


def _yes(it_is: bool) -> str:
    return "YES" if it_is else "NO"
