"""`cdnlab explain`: what a node would do with a request now, asked at its admin listener."""

import json
import re
from urllib.parse import urlencode

from cdnkit.policy.record.secrets import Veil
from cdnlab.client.viewer import Answer, ask
from cdnlab.errors import BadUsage, Failed
from cdnlab.lab.nodes import Listener, credentials
from cdnlab.screen import explanation


def explain(
    listener: Listener,
    url: str,
    headers: list[str],
    *,
    method: str,
    client_ip: str | None,
    as_json: bool,
    reveal: bool = False,
) -> int:
    """Prints what the node would do with a request for `url` now; `client_ip` None: from this machine.

    `reveal`: with the secrets in keys; for who has the node's `admin_token`.
    """
    for header in headers:
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\s*:.*", header, re.DOTALL):
            raise BadUsage(f"--header: found {header!r}, wanted a field such as 'Range: bytes=0-99'")
    asked = [("url", url), ("method", method), *(("header", header) for header in headers)]
    asked += [("reveal", "1")] if reveal else []
    # What is typed may be no UTF-8: its octets go as they are.
    query = urlencode(asked if client_ip is None else [*asked, ("client_ip", client_ip)], errors="surrogateescape")
    told = _good(ask(f"{listener.admin}/explain?{query}", headers=credentials()), listener).json()
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        explanation.show(told, f"{method} {url if reveal else _shown(url)}")
    return 0


def _shown(url: str) -> str:
    """The URL as it may stand on a screen that others see."""
    return Veil((), ()).target(url)


def _good(answer: Answer, listener: Listener) -> Answer:
    if answer.status != 200:
        raise Failed(f"{listener.name}: answers {answer.status}: {answer.text().strip()[:200]}")
    return answer
