"""A service beside the one at the top of the settings file: its hosts, and what differs there."""

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from cdnkit.policy.gate.hosts import DEFAULT, Hostname
from cdnkit.policy.rules.service import Behavior, ErrorPage
from cdnkit.units import ServerUrl, Settings
from cdnkit.vendors import ProfileName


def _name(text: str) -> str:
    if text == DEFAULT or not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", text):
        raise ValueError(f'wanted a name such as "images", other than "{DEFAULT}", of a-z, 0-9 and "-"')
    return text


ServiceName = Annotated[str, AfterValidator(_name)]


class HostedService(Settings):
    """A service with hosts and rules of its own. Its behaviors name the `[token.NAME]` and `[response_headers.NAME]` of
    the file."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    hostnames: tuple[Hostname, ...] = Field(min_length=1)
    """Hosts that it answers for: names, or `*.` and what they end in. Case and port are of no account."""

    profile: ProfileName | None = None
    """Whose habits rule. Left out: those at the top of the file."""

    origin: ServerUrl | None = Field(default=None, pattern=r"^https?://[^/]+/?$")
    """URL of the origin that nodes ask whose parent is "origin". Left out: the file's own."""

    behaviors: tuple[Behavior, ...] = Field(default=(Behavior(path="*"),), alias="behavior")
    """How requests are answered, one `[[service.NAME.behavior]]` each; the first that matches a request rules it."""

    error_pages: tuple[ErrorPage, ...] = Field(default=(), alias="error_page")
    """Pages in place of errors, one `[[service.NAME.error_page]]` each."""
