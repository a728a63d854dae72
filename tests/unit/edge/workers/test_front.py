"""The scope of a request that is passed on: as hypercorn would make it, so that the lead reads the same request."""

import pytest

from cdnkit.policy.http.messages import RequestHead
from cdnkit.serving import Client, Fields
from cdnkit.settings.edge import Whereabouts
from edge.requests import request_of
from edge.viewers import Viewers
from edge.workers.front import scope_of

ROWS = [  # target, and its path and query
    ("/a", "/a", None),
    ("/a?", "/a", ""),
    ("/a?x=1", "/a", "x=1"),
    ("/a?x=1?y=2#z", "/a", "x=1?y=2#z"),
    ("/%41//b;c", "/%41//b;c", None),
]


@pytest.mark.parametrize(("target", "path", "query"), ROWS)
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_the_lead_reads_the_same_request(target: str, path: str, query: str | None, version: str) -> None:
    lines = [("host", "a.example"), ("x", "é"), ("cookie", "a=b"), ("cookie", "c=d")]
    client = Client("192.0.2.1", 50_000, "https", None)
    client.version = version
    scope = scope_of("HEAD", target, Fields(lines, "a.example", closes=False), client)
    viewers = Viewers(Whereabouts(), trusted=(), believed=())
    read: RequestHead = request_of(scope, viewers, placed=False)
    assert (read.method, read.scheme, read.host, read.path, read.query) == ("HEAD", "https", "a.example", path, query)
    assert read.headers.lines == lines
    assert (read.client_ip, read.client_port, read.version, read.peer_ip) == ("192.0.2.1", 50_000, version, "192.0.2.1")
