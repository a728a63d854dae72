"""The settings of the control API: its address, and the credentials that the vendors' clients use."""

from typing import Self

from pydantic import Field, model_validator

from cdnkit.policy.rules.service import PurgeRequests
from cdnkit.serving import HostName
from cdnkit.units import ListenAddress, Secret, Settings, is_loopback

DUMMY = "cdnlab"
"""The default of every credential. It is public, so only a listener on loopback accepts it; there it is checked."""


class Control(Settings):
    """The control API: the endpoint for `aws cloudfront` and `fastly service purge`."""

    listen: ListenAddress = "127.0.0.1:0"
    """Address of the API; port 0 picks a free port. Beyond loopback, set credentials of your own."""

    hosts: tuple[HostName, ...] = ()
    """Host names by which clients reach it, besides IP addresses, localhost and this machine's own names. A request for
    another host is refused with 421, because a web page can point its own name here (DNS rebinding)."""

    access_key_id: str = Field(default=DUMMY, pattern=r"^[!-.0-~]+$")
    """AWS access key id for requests to the CloudFront API, which are signed with SigV4."""

    secret_access_key: Secret = Field(default=DUMMY, min_length=1)
    """The secret access key. Prefer `${ENVIRONMENT_VARIABLE}` to a secret in this file."""

    fastly_service: str = Field(default=DUMMY, pattern=r"^[A-Za-z0-9_-]+$")
    """Service id of the lab in the Fastly API."""

    fastly_token: Secret = Field(default=DUMMY, pattern=r"^[!-~]+$")
    """API token for requests to the Fastly API, sent in `Fastly-Key`."""

    purge_requests: PurgeRequests | None = None
    """Whose `PURGE` requests to a node's own address purge a URL: "everybody"; "token", those with the `fastly_token`
    in `Fastly-Key`; "nobody": a `PURGE` is then a request like any other. Left out: the profile's, which is "nobody",
    for fastly "everybody"."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        known = [name for name in ("secret_access_key", "fastly_token") if getattr(self, name) == DUMMY]
        if known and not is_loopback(self.listen):
            raise ValueError(
                f"wanted {' and '.join(known)} of your own with a listen address beyond loopback, {self.listen}"
            )
        return self
