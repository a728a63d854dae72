"""A service beside the one at the top of the settings file: its hosts, profile, origin, rules and error pages."""

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
    """A service with its own hosts and rules. Its behaviors may use every `[token.NAME]` and
    `[response_headers.NAME]`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    hostnames: tuple[Hostname, ...] = Field(min_length=1)
    """Hosts that the service serves: names, or `*.` and a suffix. Case and port do not matter."""

    profile: ProfileName | None = None
    """The vendor profile. Left out: the one at the top of the file."""

    origin: ServerUrl | None = Field(default=None, pattern=r"^https?://[^/]+/?$")
    """URL of the origin, for nodes whose parent is "origin". Left out: the file's own `[origin]`."""

    behaviors: tuple[Behavior, ...] = Field(default=(Behavior(path="*"),), alias="behavior")
    """Rules for requests, one `[[service.NAME.behavior]]` each; the first whose `path` matches a request applies."""

    error_pages: tuple[ErrorPage, ...] = Field(default=(), alias="error_page")
    """Pages that replace error responses, one `[[service.NAME.error_page]]` each."""
