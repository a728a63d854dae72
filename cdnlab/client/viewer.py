"""One HTTP request, for commands that talk to a node."""

import http.client
import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from cdnkit.settings.parent_url import parent_url
from cdnlab.errors import BadUsage, Failed

CLIENT_IP = "CDNLab-Client-IP"
"""The request field with which a viewer on this machine poses as one at another address."""


@dataclass(frozen=True)
class Response:
    """An HTTP response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """The body as JSON. Raises `Failed` when it is not."""
        try:
            return cast(dict[str, Any], json.loads(self.body))
        except ValueError:
            raise Failed(f"found {self.body[:80]!r}, wanted JSON from the admin listener") from None


def split_url(url: str) -> SplitResult:
    """A typed URL in its parts. Raises `BadUsage` for one that has none, such as "http://[::1"."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018, urlsplit checks the port only here
    except ValueError as error:
        raise BadUsage(f"found {url!r}, wanted a URL such as http://127.0.0.1:8081/live/ ({error})") from None
    return parts


def admin_url(text: str) -> str:
    """The URL that `--admin` names. Raises `BadUsage` for what is not the URL of a listener."""
    if parent_url(text) is None:
        raise BadUsage(f"--admin: found {text!r}, wanted the URL of a listener, such as http://127.0.0.1:8181")
    return text.rstrip("/")


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 10.0,
) -> Response:
    """Sends one request on a connection of its own. Raises `Failed` without a response, `BadUsage` for a bad `url`."""
    parts = split_url(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadUsage(f"found {url!r}, wanted an http:// URL")
    maker = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = maker(parts.hostname, parts.port, timeout=timeout)
    except (ValueError, http.client.InvalidURL) as error:
        raise BadUsage(f"found {url!r}, wanted an http:// URL ({error})") from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=headers or {})
        found = connection.getresponse()
        return Response(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Failed(f"{parts.scheme}://{parts.netloc}: no answer ({why})") from None
    except ValueError as error:
        raise BadUsage(f"found {url!r}, wanted an http:// URL ({error})") from None
    finally:
        connection.close()
