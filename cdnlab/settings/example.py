"""The commented settings file that `cdnlab init` writes and that `cdnlab up` uses when there is no cdn.toml.

In `example.toml`, a line that starts with `#` and a space is prose. A line that starts with `#` and a key is a setting
at its default, ready to uncomment. A test keeps the file complete.
"""

import base64
import secrets
from importlib.resources import files


def text() -> str:
    """The file's text, with a signing key of its own."""
    template = files("cdnlab.settings").joinpath("example.toml").read_text(encoding="utf-8")
    return template.replace("@KEY@", base64.b64encode(secrets.token_bytes(32)).decode())
