"""The settings of an S3 server that the origin stores at."""

from typing import Annotated

from pydantic import StringConstraints

from cdnkit.units import ServerUrl, Settings

S3Url = Annotated[
    str, StringConstraints(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/=+@-]*)?$")
]
"""s3://BUCKET or s3://BUCKET/PREFIX."""


class S3(Settings):
    """The S3 server of `storage = "s3://BUCKET/PREFIX"`. Credentials are those of the AWS tools: environment variables
    (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), profile, or the role of the machine."""

    endpoint: ServerUrl | None = None
    """URL of the server, such as "http://127.0.0.1:9090". Left out: Amazon's."""

    region: str | None = None
    """Region of the bucket. Left out: as the AWS tools find it, from `AWS_DEFAULT_REGION` or the profile."""
