"""Which service a host belongs to, and who came by a connection that is another's."""

import pytest

from cdnkit.policy.gate.hosts import DEFAULT, Hosts, misdirected, unknown
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.vendors import CLOUDFRONT, FASTLY

HOSTS = Hosts(
    {
        DEFAULT: ("www.example.com",),
        "images": ("img.example.com", "*.img.example.com"),
        "wide": ("*.example.com",),
        "v6": ("[::1]",),
    }
)

WHOSE = [  # host as a client sends it, whose it is
    ("www.example.com", DEFAULT),
    ("WWW.Example.COM", DEFAULT),  # RFC 9110 section 4.2.3: hosts have no case
    ("www.example.com:8443", DEFAULT),  # a listener's port is no part of the name
    ("www.example.com.", DEFAULT),  # the same name, fully qualified
    ("img.example.com", "images"),  # an exact name before a wildcard
    ("a.img.example.com", "images"),  # of two wildcards the longer
    ("a.b.img.example.com", "images"),  # CloudFront: "all subdomains", also marketing.product.example.com
    ("other.example.com", "wide"),
    ("example.com", None),  # a wildcard does not stand for the name itself
    ("example.net", None),
    ("wwwxexample.com", None),
    ("[::1]:8081", "v6"),
    ("", None),
]


@pytest.mark.parametrize(("host", "service"), WHOSE)
def test_whose_a_host_is(host: str, service: str | None) -> None:
    assert HOSTS.named(host) == HOSTS.service_of(host) == service


def test_without_names_of_its_own_the_first_service_takes_the_rest() -> None:
    hosts = Hosts({DEFAULT: (), "images": ("img.example.com",)})
    assert [hosts.service_of(host) for host in ("img.example.com", "example.net", "")] == ["images", DEFAULT, DEFAULT]
    assert hosts.named("example.net") is None


SHOWN = ("cdn.localhost", "localhost", "127.0.0.1", "::1", "*.wild.test")

MISDIRECTED = [  # Host, SNI, whether it is answered; RFC 9110 section 15.5.20, RFC 9113 section 9.1.1
    ("cdn.localhost:8441", "cdn.localhost", True),
    ("CDN.localhost", "cdn.localhost", True),
    ("localhost", "cdn.localhost", True),  # another name of the certificate: a client may use the connection for it
    ("127.0.0.1:8441", "cdn.localhost", True),
    ("[::1]:8441", "cdn.localhost", True),
    ("a.wild.test", "cdn.localhost", True),
    ("a.b.wild.test", "cdn.localhost", False),  # RFC 6125 section 6.4.3: a wildcard is one label
    ("wild.test", "cdn.localhost", False),
    ("example.com", "cdn.localhost", False),
    ("example.com", "", True),  # the client named none: a host by its address has no SNI (RFC 6066 section 3)
    ("", "cdn.localhost", True),  # HTTP/1.0 without Host
    ("cdn.example", "cdn.example", True),  # it got another's certificate, and went on all the same
]


@pytest.mark.parametrize(("host", "named", "answered"), MISDIRECTED)
def test_a_connection_is_for_the_hosts_of_its_certificate(host: str, named: str, answered: bool) -> None:
    told = misdirected(host, named, SHOWN)
    assert (told is None) == answered
    assert told is None or (told.status, told.reason) == (421, f"host: this connection is for {named}")


UNKNOWN = [  # profile, status, words
    (RFC9111, 421, ""),
    (CLOUDFRONT, 403, ""),
    (FASTLY, 500, "unknown domain: a.test. Please check that this domain has been added to a service."),
]


@pytest.mark.parametrize(("profile", "status", "words"), UNKNOWN, ids=lambda value: getattr(value, "name", None))
def test_what_is_told_to_one_who_asks_for_nobodys_host(profile: object, status: int, words: str) -> None:
    refusal = unknown("A.test:80", profile.unknown_host)  # type: ignore[attr-defined]
    assert (refusal.status, refusal.reason, refusal.words) == (status, "host: no service here has 'a.test'", words)
