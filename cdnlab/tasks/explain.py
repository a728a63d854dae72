"""`cdnlab explain`: asks a node's admin listener what the node would do with a request now."""

import json
import re
from urllib.parse import urlencode

from cdnkit.policy.record.secrets import Veil
from cdnlab.client.viewer import ask
from cdnlab.errors import BadUsage, Failed
from cdnlab.lab.nodes import Listener, credentials
from cdnlab.screen.explanation import show


def run(
    listener: Listener,
    url: str,
    headers: list[str],
    *,
    method: str,
    client_ip: str | None,
    as_json: bool,
    reveal: bool,
) -> int:
    """Prints what the node would do with a request for `url` now. Returns the exit status.

    `client_ip`: the client's address, None for this machine's; `reveal`: show the secrets in keys, which the node does
    for its `admin_token` only.
    """
    for header in headers:
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\s*:.*", header, re.DOTALL):
            raise BadUsage(f"--header: found {header!r}, wanted a field such as 'Range: bytes=0-99'")
    parameters = [("url", url), ("method", method), *(("header", header) for header in headers)]
    parameters += [("reveal", "1")] if reveal else []
    parameters += [("client_ip", client_ip)] if client_ip is not None else []
    # What was typed may be no UTF-8: its octets are sent as they are.
    query = urlencode(parameters, errors="surrogateescape")
    response = ask(f"{listener.admin}/explain?{query}", headers=credentials())
    if response.status != 200:
        raise Failed(f"{listener.name}: answers {response.status}: {response.text().strip()[:200]}")
    explanation = response.json()
    if as_json:
        print(json.dumps(explanation, indent=2))
    else:
        show(explanation, f"{method} {url if reveal else _veiled(url)}")
    return 0


def _veiled(url: str) -> str:
    """The URL without its secrets: others may see the screen."""
    return Veil((), ()).target(url)
