"""Content steering: which edge players are to use, and how playlists offer the edges (HLS draft -22, 4.4.6.6). Pure.

The steering manifest is the same for HLS (draft-pantos-content-steering) and DASH (ETSI TS 103 998). Every pathway is
in the multivariant playlist; one that was added while the origin runs is a clone of another for players that had the
playlist before.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from cdnkit.settings import steering as settings
from origin.errors import Refused, printable

STEERING = "steering.json"
"""Beside the multivariant playlist and the MPDs: a token for the stream's folder is good for it."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GROUP = re.compile(r'(?<=[:,])(GROUP-ID|AUDIO|VIDEO|SUBTITLES)="([^"]*)"')
_URI = re.compile(r'(?<=[:,])URI="([^"]*)"')
_OF_PATHWAY = ("#EXT-X-STREAM-INF:", "#EXT-X-I-FRAME-STREAM-INF:")


@dataclass(frozen=True, slots=True)
class Steering:
    """Pathways, and what players are told of them."""

    pathways: dict[str, str]
    """Base URLs, scheme and host alone, by Pathway ID; at least one."""
    priority: tuple[str, ...]
    """The preferred one first; at least one. Players leave those that are not in it."""
    ttl: int
    """Seconds."""
    added: frozenset[str] = frozenset()
    """Pathways that playlists of an earlier time do not have."""

    @property
    def lifetime(self) -> float:
        """Of the steering manifest in caches, seconds."""
        return float(max(1, self.ttl // 2))

    def listed(self) -> list[str]:
        """All pathways, those that are preferred first."""
        return [*self.priority, *(one for one in self.pathways if one not in self.priority)]

    def base(self, pathway: str, stream: str) -> str:
        """The URL of the stream's folder there."""
        return f"{self.pathways[pathway]}/{stream}/"

    def manifest(self, stream: str) -> str:
        """The steering manifest."""
        values: dict[str, Any] = {
            "VERSION": 1,
            "TTL": self.ttl,
            # Players ask the edge that they are to use: the one they leave may be switched off.
            "RELOAD-URI": self.base(self.priority[0], stream) + STEERING,
            "PATHWAY-PRIORITY": list(self.priority),
        }
        clones = [
            {"BASE-ID": self._like(one), "ID": one, "URI-REPLACEMENT": {"HOST": urlsplit(self.pathways[one]).netloc}}
            for one in self.pathways
            if one in self.added
        ]
        return json.dumps({**values, "PATHWAY-CLONES": clones} if clones else values, indent=2) + "\n"

    def _like(self, added: str) -> str:
        """The pathway that an added one is a clone of: URI-REPLACEMENT changes the host, and not the scheme."""
        scheme = urlsplit(self.pathways[added]).scheme
        return next(
            one for one, url in self.pathways.items() if one not in self.added and urlsplit(url).scheme == scheme
        )

    def steered(self, multivariant: str, stream: str) -> str:
        """The multivariant playlist with its renditions once for each pathway, and with the address of the manifest."""
        common: list[str] = []
        own: list[str] = []
        for line in multivariant.splitlines():
            is_own = not line.startswith("#") or line.startswith(_OF_PATHWAY)
            (own if is_own or (line.startswith("#EXT-X-MEDIA:") and _URI.search(line)) else common).append(line)
        first = self.priority[0]
        common.append(f'#EXT-X-CONTENT-STEERING:SERVER-URI="{STEERING}",PATHWAY-ID="{first}"')
        # Groups before all that refers to them, as in the playlist that it was.
        own.sort(key=lambda line: not line.startswith("#EXT-X-MEDIA:"))
        lines = [_at(line, one, self.base(one, stream)) for one in self.listed() for line in own]
        return "\n".join([*common, *lines]) + "\n"


def _at(line: str, pathway: str, base: str) -> str:
    if not line.startswith("#"):
        return urljoin(base, line)
    line = _GROUP.sub(lambda match: f'{match[1]}="{match[2]}-{pathway}"', line)
    line = _URI.sub(lambda match: f'URI="{urljoin(base, match[1])}"', line)
    return f'{line},PATHWAY-ID="{pathway}"' if line.startswith(_OF_PATHWAY) else line


def steering_of(chosen: settings.Steering, values: Mapping[str, Any]) -> Steering:
    """What the settings say, with what an order changes of it. `Refused` says what is wrong with that.

    `values`: `PATHWAYS` that are added, with their base URLs; `PATHWAY-PRIORITY`; `TTL`.
    """
    if unknown := values.keys() - {"PATHWAYS", "PATHWAY-PRIORITY", "TTL"}:
        name = printable(sorted(unknown)[0], 80)
        raise Refused(400, f"{name}: found no such name, wanted PATHWAY-PRIORITY, TTL and PATHWAYS.")
    added = _added(chosen, values.get("PATHWAYS", {}))
    pathways = {**chosen.pathways, **added}
    priority = values.get("PATHWAY-PRIORITY", list(chosen.priority) or list(pathways))
    if not isinstance(priority, list) or not priority or any(one not in pathways for one in map(str, priority)):
        raise Refused(400, f"PATHWAY-PRIORITY: found {_shown(priority)}, wanted some of {', '.join(pathways)}.")
    if len(set(map(str, priority))) < len(priority):
        raise Refused(400, f"PATHWAY-PRIORITY: found {_shown(priority)}, wanted each pathway once.")
    ttl = values.get("TTL", int(chosen.ttl))
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 1 <= ttl <= 3600:
        raise Refused(400, f"TTL: found {_shown(ttl)}, wanted whole seconds from 1 to 3600.")
    return Steering(pathways, tuple(map(str, priority)), ttl, frozenset(added))


def _added(chosen: settings.Steering, value: object) -> dict[str, str]:
    wanted = 'such as {"ams": "https://ams.example.com"}'
    if not isinstance(value, dict):
        raise Refused(400, f"PATHWAYS: found {_shown(value)}, wanted Pathway IDs with their base URLs, {wanted}.")
    if (count := len(chosen.pathways) + len(value)) > settings.MOST_PATHWAYS:
        found = f"found {count} with those of the settings"
        raise Refused(429, f"PATHWAYS: {found}, wanted at most {settings.MOST_PATHWAYS}.")
    schemes = {urlsplit(url).scheme for url in chosen.pathways.values()}
    added = {}
    for one, url in value.items():
        if not _ID.fullmatch(one):
            raise Refused(400, f"PATHWAYS: found the ID {_shown(one)}, wanted letters, digits and . - _, at most 64.")
        if one in chosen.pathways:
            raise Refused(409, f"PATHWAYS.{one}: found an ID of the settings, wanted another.")
        try:
            added[one] = settings.check_base(url if isinstance(url, str) else json.dumps(url))
        except ValueError as error:
            raise Refused(400, f"PATHWAYS.{one}: {printable(str(error), 240)}.") from None
        if urlsplit(added[one]).scheme not in schemes:
            wanted = f"{' or '.join(sorted(schemes))}, as in the settings: players make its URLs from theirs"
            raise Refused(400, f"PATHWAYS.{one}: found {_shown(url)}, wanted {wanted}.")
    return added


def _shown(value: object) -> str:
    return printable(json.dumps(value), 120)
