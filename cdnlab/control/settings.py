"""Where the vendors' clients reach a lab, and with which credentials."""

from typing import Self

from pydantic import Field, model_validator

from cdnkit.policy.rules.service import PurgeRequests
from cdnkit.serving import HostName
from cdnkit.units import ListenAddress, Secret, Settings, is_loopback

DUMMY = "cdnlab"
"""Every credential that is left out: known to all, so good on loopback only, and checked like any other there."""


class Control(Settings):
    """The control API: what `aws cloudfront` and `fastly service purge` are pointed at."""

    listen: ListenAddress = "127.0.0.1:0"
    """Where it is served; port 0 takes any free port. Beyond loopback the credentials must be your own."""

    hosts: tuple[HostName, ...] = ()
    """Names by which it is reached, beside addresses, localhost and this machine's own: requests for another host are
    refused with 421, since a web page can point its own name here."""

    access_key_id: str = Field(default=DUMMY, pattern=r"^[!-.0-~]+$")
    """AWS access key id that requests to the CloudFront API are signed with (SigV4)."""

    secret_access_key: Secret = Field(default=DUMMY, min_length=1)
    """Its secret. Prefer `${ENVIRONMENT_VARIABLE}` to a secret in this file."""

    fastly_service: str = Field(default=DUMMY, pattern=r"^[A-Za-z0-9_-]+$")
    """Service id that the Fastly API knows the lab by."""

    fastly_token: Secret = Field(default=DUMMY, pattern=r"^[!-~]+$")
    """API token that requests to the Fastly API carry as `Fastly-Key`."""

    purge_requests: PurgeRequests | None = None
    """Whose `PURGE` requests to a node's own address purge a URL: everybody's, those with the `fastly_token` as
    `Fastly-Key`, or nobody's: then they are requests like any other. Left out: the profile's, which is "nobody", for
    fastly "everybody"."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        known = [name for name in ("secret_access_key", "fastly_token") if getattr(self, name) == DUMMY]
        if known and not is_loopback(self.listen):
            raise ValueError(
                f"wanted {' and '.join(known)} of your own with a listen address beyond loopback, {self.listen}"
            )
        return self
