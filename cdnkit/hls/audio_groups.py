"""Which sound goes with which: tracks become members of rendition groups (HLS draft 4.4.6.1.1).

A *member* is what a viewer chooses: one language, role and name. A *family* is what a player has to be able to decode:
one codec and number of channels. A group is one family at one bit rate, with every member in it, in the same order and
with the same NAME in every group: players that switch groups look for the NAME, or count. A member that a family does
not have is lent by another family.

Tracks of one family, language, role and name are encodings of one member where their declared bit rates differ by more
than a tenth; where these are equal or not declared, nothing says that they sound alike, and they are several members.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, groupby

from cdnkit.hls.languages import own_name
from cdnkit.hls.renditions import Alternative, Audio

Family = tuple[str, int]
"""The codec without its profile, and the number of channels."""

_RATE_AT_END = re.compile(r"[-_]?\d+k(?:bps|bit)?$")
_CHARACTERISTICS = {
    "description": "public.accessibility.describes-video",
    "caption": "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound",
    "easyreader": "public.easy-to-read",
}
_LAST = ("description", "commentary", "dub", "supplementary", "alternate")
"""Roles that are not chosen where another is there."""


@dataclass(frozen=True, slots=True)
class Named:
    """A rendition with what its EXT-X-MEDIA tag says of it, whichever group it stands in."""

    rendition: Alternative
    name: str
    default: bool
    autoselect: bool
    characteristics: str


@dataclass(frozen=True, slots=True)
class Group:
    """One rendition group."""

    id: str
    rate: int
    """Its highest declared bit rate; 0: none of its tracks declares one."""
    members: tuple[Named, ...]


@dataclass(slots=True)
class _Member:
    encodings: dict[Family, list[Audio]] = field(default_factory=dict)
    """Of each family, the highest bit rate first."""

    @property
    def first(self) -> Audio:
        return min((tracks[0] for tracks in self.encodings.values()), key=_preference)


def audio_groups(audios: Iterable[Audio]) -> list[list[Group]]:
    """The groups of each family, the highest bit rate first; the family that most players can play first."""
    members = sorted(_members(audios), key=lambda member: _preference(member.first))
    named = name_all([member.first for member in members], "audio", default=True)
    families = sorted(
        {family for member in members for family in member.encodings},
        key=lambda family: (
            -sum(family in member.encodings for member in members),
            family[0] != "mp4a",
            family[1],
            family[0],
        ),
    )
    return [_groups(family, families, members, named) for family in families]


def nearest(groups: list[Group], rate: int | None) -> Group:
    """The group whose bit rate is nearest to `rate`, the lower one of two; None: the highest."""
    if rate is None:
        return groups[0]
    return min(groups, key=lambda group: (abs(group.rate - rate), group.rate))


def name_all(renditions: Sequence[Alternative], word: str, *, default: bool) -> list[Named]:
    """NAMEs that differ, and the rest of what a group's tags say; the first is the default where there is one.

    `word` names a single rendition of which nothing is known.
    """
    taken: set[str] = set()
    selected: set[tuple[str, str]] = set()
    named = []
    for index, one in enumerate(renditions):
        stem = _RATE_AT_END.sub("", one.name) or one.name
        base = one.label or (own_name(one.language) if one.language else word if len(renditions) == 1 else stem)
        if not one.label and one.role in _LAST:
            base = f"{base} ({one.role})"
        name = next(name for name in chain([base], (f"{base} {n}" for n in count(2))) if name not in taken)
        taken.add(name)
        characteristics = _CHARACTERISTICS.get(one.role, "")
        combination = (one.language, characteristics)
        autoselect = combination not in selected and one.role != "commentary"
        if autoselect or (default and index == 0):
            selected.add(combination)
        named.append(Named(one, name, default and index == 0, autoselect or (default and index == 0), characteristics))
    return named


def _family(audio: Audio) -> Family:
    return audio.codec.partition(".")[0], audio.channels


def _preference(audio: Audio) -> tuple[bool, bool, int, str]:
    """What is first is the default. Nothing here changes while a stream lives, or when its origin starts again."""
    return (
        audio.role != "main",
        not audio.enabled,
        _LAST[::-1].index(audio.role) + 1 if audio.role in _LAST else 0,
        audio.name,
    )


def _members(audios: Iterable[Audio]) -> list[_Member]:
    found: dict[tuple[str, str, str, int], _Member] = {}

    def identity(audio: Audio) -> tuple[str, str, str]:
        # "main" says which is the default, and not that it is another one than its encoding without the word.
        return audio.language, "" if audio.role == "main" else audio.role, audio.label

    def place(audio: Audio) -> tuple[tuple[str, str, str], Family]:
        return identity(audio), _family(audio)

    for (who, family), alike in groupby(sorted(audios, key=place), key=place):
        for rate in _by_rate(list(alike)):
            for number, audio in enumerate(sorted(rate, key=lambda one: one.name)):
                member = found.setdefault((*who, number), _Member())
                member.encodings.setdefault(family, []).append(audio)
    return list(found.values())


def _by_rate(audios: list[Audio]) -> list[list[Audio]]:
    """The tracks of each declared bit rate, the highest first; all together where one declares none."""
    if audios and not all(audio.declared_bps for audio in audios):
        return [audios]
    rates: list[list[Audio]] = []
    for audio in sorted(audios, key=lambda one: -one.declared_bps):
        if rates and 10 * audio.declared_bps >= 9 * rates[-1][0].declared_bps:
            rates[-1].append(audio)
        else:
            rates.append([audio])
    return rates


def _groups(family: Family, families: list[Family], members: list[_Member], named: list[Named]) -> list[Group]:
    own = [audio for member in members for audio in member.encodings.get(family, [])]
    groups: list[Group] = []
    for level in _by_rate([audio for audio in own if audio.declared_bps]) or [own]:
        rate = level[0].declared_bps
        renditions = []
        for member, one in zip(members, named, strict=True):
            there = next(member.encodings[f] for f in (family, *families) if f in member.encodings)
            audio = min(there, key=lambda track: (track not in level, abs(track.declared_bps - rate)))
            renditions.append(replace(one, rendition=audio))
        if all(group.members != tuple(renditions) for group in groups):  # languages at bit rates of their own
            groups.append(Group(min(level, key=_preference).name, rate, tuple(renditions)))
    return groups
