"""TLS with the local CA and with pairs of files: real handshakes, by Python's own client."""

import asyncio
import socket
import ssl
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cdnkit.serving import CLIENT_NAMES, Listener, ListenerLimits, bind
from cdnkit.serving.authority import LEAF_DAYS, Authority, BadAuthority, Contexts, NotOurs, make, may_sign, write_new
from cdnkit.serving.certificates import flaw_of, server_context
from tests.kit.client_certificates import Clients
from tests.kit.http import read_reply
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.listener import FRONTED, LOG, Fronted, Pouring, hello, served_by  # noqa: F401  (a fixture)

NOW = 1_800_000_000.0
DAY = 86_400.0


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The test as pytest runs it, with its fixtures."""

    @wraps(test)
    def runs(*args: Any, **kwargs: Any) -> None:
        async def run() -> None:
            await test(*args, **kwargs)

        asyncio.run(run())

    return runs


class Now:
    """A clock to set; TLS clients read the wall's, so handshakes begin there."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def wall() -> Now:
    return Now(time.time())


@pytest.fixture
def authority(tmp_path: Path, wall: Now) -> Authority:
    return make(tmp_path / "ca", wall())


@asynccontextmanager
async def over_tls(context: ssl.SSLContext, app: Any = hello, **limits: Any) -> AsyncIterator[int]:
    """Serve `app` over TLS; the port."""
    front = Fronted() if FRONTED.get() else None
    listener = Listener(app, LOG, limits=ListenerLimits(**limits), front=front)
    listening = bind("127.0.0.1:0", "test.listen_tls")
    await listener.start(listening, context)
    try:
        yield listening.getsockname()[1]
    finally:
        await listener.close()


def client(authority: Authority, *protocols: str) -> ssl.SSLContext:
    """A client that trusts the CA and nobody else."""
    context = ssl.create_default_context(cafile=str(authority.certificate_file))
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


MAY_SIGN = [  # host, whether: RFC 2606, RFC 6761; the constraints of RFC 5280 section 4.2.1.10
    ("localhost", True),
    ("cdn.localhost", True),
    ("a.b.test", True),
    ("www.example.com", True),
    ("127.0.0.1", True),
    ("127.9.9.9", True),
    ("::1", True),
    ("notlocalhost", False),
    ("example.com.evil.net", False),
    ("192.168.1.1", False),
    ("0.0.0.0", False),
    ("*.localhost", False),  # each host has a leaf of its own
    ("a..localhost", False),
    ("", False),
    ("a/../b.localhost", False),
]


@pytest.mark.parametrize(("host", "may"), MAY_SIGN)
def test_whom_it_signs_for(host: str, may: bool, tmp_path: Path) -> None:
    assert may_sign(host) is may
    authority = make(tmp_path, NOW)
    if may:
        leaf = x509.load_pem_x509_certificate(authority.issue((host,), NOW)[0])
        assert (leaf.not_valid_after_utc.timestamp() - NOW) / DAY == LEAF_DAYS
    else:
        with pytest.raises(NotOurs):
            authority.issue((host,), NOW)


def test_the_key_is_its_owners_alone_and_nothing_is_written_over(tmp_path: Path) -> None:
    made = make(tmp_path / "ca", NOW)
    assert stat.S_IMODE(made.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    key = made.key_file.read_bytes()
    with pytest.raises(FileExistsError):
        make(tmp_path / "ca", NOW)
    assert made.key_file.read_bytes() == key
    assert Authority(tmp_path / "ca").fingerprint == made.fingerprint


def test_an_authority_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadAuthority, match="there is no local CA"):
        Authority(tmp_path)
    mine, other = make(tmp_path / "mine", NOW), make(tmp_path / "other", NOW)
    mine.key_file.write_bytes(other.key_file.read_bytes())
    with pytest.raises(BadAuthority, match="key and certificate do not match"):
        Authority(tmp_path / "mine")
    mine.key_file.write_text("nothing")
    with pytest.raises(BadAuthority, match="no CA of cdnlab's"):
        Authority(tmp_path / "mine")
    with pytest.raises(BadAuthority, match="expired"):
        other.issue(("localhost",), NOW + 6 * 365 * DAY)


@pytest.mark.parametrize("host", ["localhost", "cdn.localhost", "www.example.com", "127.0.0.1"])
@in_a_loop
async def test_a_client_that_trusts_the_ca_is_shown_a_leaf_for_its_host(
    authority: Authority, wall: Now, host: str
) -> None:
    async with over_tls(Contexts(authority, wall).context) as port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client(authority, "http/1.1"), server_hostname=host
        )
        writer.write(f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        reply = await read_reply(reader)
        assert (reply.status, reply.body) == (200, b"hello")
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()


@in_a_loop
async def test_others_are_refused_by_the_client(authority: Authority, wall: Now, tmp_path: Path) -> None:
    async with over_tls(Contexts(authority, wall).context) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await asyncio.open_connection("127.0.0.1", port, ssl=client(authority), server_hostname="www.fastly.com")
        stranger = make(tmp_path / "stranger", wall())
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=client(stranger), server_hostname="localhost")


@in_a_loop
async def test_alpn_chooses_http2(authority: Authority, wall: Now) -> None:
    async with over_tls(Contexts(authority, wall).context) as port:
        for offered, chosen in [
            (("h2", "http/1.1"), "h2"),
            (("http/1.1",), "http/1.1"),
            (("spdy/3",), None),
            ((), None),
        ]:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client(authority, *offered), server_hostname="localhost"
            )
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
            writer.close()


def _serial(context: ssl.SSLContext, host: str) -> int:
    """Of the leaf that a server's context shows: a handshake between two buffers."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    curious = ssl.create_default_context()
    curious.check_hostname, curious.verify_mode = False, ssl.CERT_NONE
    asks = curious.wrap_bio(to_client, to_server, server_hostname=host)
    shows = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (asks, shows):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    leaf = asks.getpeercert(binary_form=True)
    assert leaf is not None
    return x509.load_der_x509_certificate(leaf).serial_number


def test_a_leaf_is_kept_and_made_anew_in_the_last_third_of_its_life(authority: Authority, wall: Now) -> None:
    began = wall.at
    contexts = Contexts(authority, wall).context
    first = _serial(contexts, "cdn.localhost")
    assert first != _serial(contexts, "other.localhost")
    wall.at = began + LEAF_DAYS * DAY * 2 / 3 - 1
    assert _serial(contexts, "cdn.localhost") == first
    wall.at += 1
    assert _serial(contexts, "cdn.localhost") != first


def _pair(authority: Authority, folder: Path, now: float, name: str = "leaf") -> tuple[Path, Path]:
    certificate, key = authority.issue(("localhost",), now)
    files = folder / f"{name}.pem", folder / f"{name}-key.pem"
    write_new(files[0], certificate)
    write_new(files[1], key, secret=True)
    return files


def test_what_is_wrong_with_a_pair_of_files(tmp_path: Path) -> None:
    authority = make(tmp_path / "ca", NOW)
    certificate, key = _pair(authority, tmp_path, NOW)
    _, other_key = _pair(authority, tmp_path, NOW, "other")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("-----BEGIN NOTHING-----\n")
    rows = [  # certificate, key, days from now, which is wrong, why
        (certificate, key, 0, None, ""),
        (certificate, key, 31, certificate, "expired on 2027-02-14"),
        (certificate, key, -1, certificate, "not valid before 2027-01-15"),
        (certificate, other_key, 0, other_key, f"not the key of {certificate}"),
        (certificate, tmp_path / "none", 0, tmp_path / "none", "No such file or directory"),
        (tmp_path, key, 0, tmp_path, "Is a directory"),
        (nonsense, key, 0, nonsense, "no certificate in PEM"),
        (certificate, nonsense, 0, nonsense, "no private key in PEM"),
        (certificate, certificate, 0, certificate, "no private key in PEM"),
    ]
    for one, other, days, wrong, why in rows:
        flaw = flaw_of(one, other, NOW + days * DAY)
        assert flaw == (None if wrong is None else (wrong, why))


@in_a_loop
async def test_a_pair_of_files_serves(authority: Authority, wall: Now, tmp_path: Path) -> None:
    async with over_tls(server_context(*_pair(authority, tmp_path, wall()))) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client(authority), server_hostname="localhost")
        assert writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
        writer.close()


# ---- the limits hold over TLS as they do without ---------------------------------------------------------------------


async def shaken(port: int, authority: Authority) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection over TLS; Late if the server would not wait for the handshake."""
    try:
        return await asyncio.open_connection("127.0.0.1", port, ssl=client(authority), server_hostname="localhost")
    except OSError as error:
        raise Late(f"no handshake: {error}") from error


def test_a_head_too_large_and_a_head_too_late(authority: Authority, wall: Now) -> None:
    rows = [(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20_000, 431), (b"GET / HTTP/1.1\r\nhost:", 408)]

    async def run(within: float) -> None:
        async with over_tls(Contexts(authority, wall).context, head="8KiB", head_within=within) as port:
            for sent, status in rows:
                reader, writer = await shaken(port, authority)
                writer.write(sent)
                reply = await asyncio.wait_for(read_reply(reader), GUARD_S)
                if reply.status == 408 != status:
                    raise Late("it had no time to write its head")
                assert reply.status == status and reply["connection"] == "close"
                assert await reader.read() == b""
                writer.close()

    judged(lambda within: asyncio.run(run(within)), 0.3)


def test_a_handshake_that_does_not_come_is_ended(authority: Authority, wall: Now) -> None:
    async def run(within: float) -> None:
        async with over_tls(Contexts(authority, wall).context, head_within=within) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await asyncio.wait_for(reader.read(), GUARD_S) == b""
            writer.close()
            # What is no TLS at all ends at once, and the next client is served.
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await asyncio.wait_for(reader.readexactly(1000), GUARD_S)
            writer.close()
            _, writer = await shaken(port, authority)
            writer.close()

    judged(lambda within: asyncio.run(run(within)), 0.3)


@in_a_loop
async def test_one_who_takes_nothing_is_dropped(authority: Authority, wall: Now) -> None:
    pouring = Pouring()
    async with over_tls(Contexts(authority, wall).context, pouring, stalled="300ms") as port:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", port))
        raw.settimeout(GUARD_S)
        tls = await asyncio.to_thread(client(authority).wrap_socket, raw, server_hostname="localhost")
        tls.sendall(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n")
        error = await asyncio.wait_for(pouring.ended, GUARD_S)
        assert error is not None
        # Two pieces in the kernel, what it could not send, and asyncio's own buffers for TLS: no more.
        assert pouring.sent_bytes < 2 * 2**20
        tls.close()


async def _who(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the names in the client's certificate."""
    body = " ".join(sorted(scope["extensions"].get(CLIENT_NAMES, ()))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("made", ["by the local CA", "of files"])
@in_a_loop
async def test_a_client_may_prove_who_it_is(
    authority: Authority, wall: Now, tmp_path: Path, made: str, version: ssl.TLSVersion
) -> None:
    """Also by the leaf that the local CA makes for the host that the client names."""
    clients, strangers = Clients(tmp_path / "clients"), Clients(tmp_path / "strangers")
    if made == "of files":
        context: ssl.SSLContext = server_context(*_pair(authority, tmp_path, wall()), clients.file)
    else:
        context = Contexts(authority, wall, clients.file).context

    async def ask(shown: tuple[Path, Path] | None) -> bytes:
        own = client(authority, "http/1.1")
        own.minimum_version = own.maximum_version = version
        if shown is not None:
            own.load_cert_chain(*shown)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=own, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        try:
            return (await read_reply(reader)).body
        finally:
            writer.close()

    async with over_tls(context, _who) as port:
        assert await ask(None) == b""
        assert await ask(clients.issue("Encoder7")) == b"encoder7"
        assert await ask(clients.issue("e8", "e8.test", "e8.example")) == b"e8 e8.example e8.test"
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await ask(strangers.issue("Encoder7"))
