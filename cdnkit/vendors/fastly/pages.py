"""The synthetic page of a Fastly error: a small XHTML document, its shape as captured."""

from html import escape
from http import HTTPStatus

from cdnkit.policy.rules.profile import Incident, Page
from cdnkit.vendors.fastly.names import server_identity


def error_page(incident: Incident) -> Page:
    """Status and words, then the node and the moment. Source: recorded responses; wording may change."""
    words = escape(incident.words or _phrase(incident.status))
    title = f"{incident.status} {words}"
    number = int(incident.request_id[:8], 16) if _is_hex(incident.request_id[:8]) else 0
    return Page(
        "text/html; charset=utf-8",
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n'
        f"<html>\n  <head>\n    <title>{title}</title>\n  </head>\n  <body>\n    <h1>Error {title}</h1>\n"
        f"    <p>{words}</p>\n    <h3>Guru Mediation:</h3>\n"
        f"    <p>Details: {escape(server_identity(incident.node))} {int(incident.now)} {number}</p>\n"
        "    <hr />\n    <p>Varnish cache server</p>\n  </body>\n</html>\n",
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "error"


def _is_hex(text: str) -> bool:
    return bool(text) and all(character in "0123456789abcdef" for character in text)
