"""What a request names: forms of targets (RFC 9112 §3.2), hosts (RFC 3986 §3.2.2), and what is no HTTP at all."""

from dataclasses import fields, replace

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.target import malformed, names_host, origin_form

FORMS = [  # target, Host                                          path and host
    (("/a", "edge"), ("/a", "edge")),
    (("http://other/a", "edge"), ("/a", "other")),  # the target names the host (§3.2.2)
    (("HTTPS://other:8/a", ""), ("/a", "other:8")),
    (("http://other", "edge"), ("/", "other")),
    (("http://user@other/a", "edge"), ("/a", "user@other")),  # which names_host refuses
    (("//other/a", "edge"), ("//other/a", "edge")),  # a path that begins with an empty segment
    (("*", "edge"), ("*", "edge")),
    (("ftp://other/a", "edge"), ("ftp://other/a", "edge")),
]


@pytest.mark.parametrize(("given", "found"), FORMS)
def test_a_target_in_absolute_form_names_the_host(given: tuple[str, str], found: tuple[str, str]) -> None:
    assert origin_form(*given) == found


@pytest.mark.parametrize(
    "host", ["", "edge", "a_b.example", "edge:8080", "edge:", "127.0.0.1:1", "[::1]:8080", "a%20b"]
)
def test_hosts(host: str) -> None:
    assert names_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "a b",
        "a,b",
        "a, b",
        "u@a",
        "a/b",
        "a?b",
        "a#b",
        "a:b",
        "a:65536",
        "a:123456",
        "[::1",
        "[a]b",
        "a\tb",
        "ä",
        "a\\b",
    ],
)
def test_no_hosts(host: str) -> None:
    assert not names_host(host)


FAULTS = [  # method, path, query, a field's value                 what of it
    ("GET", '/a%00|\\^`{}"<>~', None, "a\tb \xe9", None),
    ("GET", "/a", None, "\x80\x85\xad", None),  # no characters to print, but none of HTTP's controls either
    ("OPTIONS", "*", None, "", None),
    ("GET", "*", None, "", "a target"),
    ("GET", "a/b", None, "", "a target"),
    ("GET", "@other/a", None, "", "a target"),
    ("GET", "ftp://other/a", None, "", "a target"),
    ("GET", "/a b", None, "", "a target"),
    ("GET", "/a#b", None, "", "a target"),
    ("GET", "/a\x7f", None, "", "a target"),
    ("GET", "/a", "b c", "", "a query"),
    ("GET", "/a", "b\tc", "", "a query"),
    ("GET", "/a", "b\x7f", "", "a query"),
    ("GET", "/a", "caf\xe9", "", "a query"),
    ("GET", "/a", "token=#4e306db7c36bcfb0", "", None),  # as records write it (`cdnkit/policy/record/secrets.py`)
    ("GE T", "/a", None, "", "a method"),
    ("GET /x HTTP/1.1", "/a", None, "", "a method"),
    ("GET", "/a", None, "a\x07b", "a control character in x"),
    ("GET", "/a", None, "a\nb", "a control character in x"),
    ("GET", "/a", None, "a\x7f\xe9", "a control character in x"),
]


@pytest.mark.parametrize(("method", "path", "query", "value", "fault"), FAULTS)
def test_what_http_does_not_have(method: str, path: str, query: str | None, value: str, fault: str | None) -> None:
    found = malformed(RequestHead(method, "http", "edge", path, query, Headers([("x", value)])))
    assert found is None if fault is None else found is not None and found.startswith(fault)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x(y", "a/b", "caf\xe9", "a\n"])
def test_a_field_is_named_by_a_token(name: str) -> None:
    """HTTP/2 carries others, too; an HTTP/1.1 parser behind may stumble over them, or see two fields."""
    found = malformed(RequestHead("GET", "http", "edge", "/a", None, Headers([("ok", ""), (name, "x")])))
    assert found == "a field whose name is no token"


def test_asking_for_another_target_keeps_all_else() -> None:
    request = RequestHead(**{field.name: object() for field in fields(RequestHead)})  # type: ignore[arg-type]
    bare = Headers([("a", "b")])
    assert request.with_target("/b", "q", bare) == replace(request, path="/b", query="q", headers=bare)
