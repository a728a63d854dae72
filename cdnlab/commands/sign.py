"""`cdnlab sign`: a URL with the token that its behavior requires."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab sign http://127.0.0.1:8081/live/multivariant.m3u8 --for 1h[/]")(sign)


def sign(
    url: Annotated[str, typer.Argument(help="The URL that the viewer will request.")],
    config: Annotated[Path, typer.Option("--config", help="Settings file with the token.")] = Path("cdn.toml"),
    ttl: Annotated[str, typer.Option("--ttl", "--for", help="How long the URL is valid.")] = "1h",
    starts_in: Annotated[
        str | None, typer.Option("--starts-in", help="Time from now until the URL becomes valid.")
    ] = None,
    path: Annotated[str | None, typer.Option("--path", help="Paths it is valid for: a glob such as '/live/*'.")] = None,
    ip: Annotated[str | None, typer.Option("--ip", help="IP address (or network) it is valid for.")] = None,
    country: Annotated[list[str] | None, typer.Option("--country", help="Country it is valid for; repeat it.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="Sign with this \\[token.NAME], whatever the behaviors require.")
    ] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", help="Without a settings file: fastly, cloudfront, akamai, jwt or cat.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="File with the signing key.")] = None,
    key_id: Annotated[
        str | None, typer.Option("--key-id", help="Id of the key: CloudFront's key-pair id, CAT's kid.")
    ] = None,
    param: Annotated[str | None, typer.Option("--param", help="With --scheme: name of the query parameter.")] = None,
    hash_name: Annotated[
        str | None, typer.Option("--hash", help="CloudFront's Hash-Algorithm: SHA1 or SHA256.")
    ] = None,
    cookies: Annotated[
        bool, typer.Option("--cookies", help="Print the value of a Cookie field instead of the URL.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Sign a URL with the token that its behavior requires, or by a given scheme and key."""
    from cdnlab.client import signing
    from cdnlab.errors import BadUsage

    if hash_name not in (None, "SHA1", "SHA256"):
        raise BadUsage(f"--hash: found {hash_name!r}, wanted SHA1 or SHA256")
    flags = signing.Flags(
        config, token, scheme, key, key_id, param, ttl, starts_in, path, ip, tuple(country or ()), hash_name, cookies,
        as_json,
    )  # fmt: skip
    return signing.run(url, flags)
