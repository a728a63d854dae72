"""The servers of the comparison. Each keeps what the origin sends for an hour, and has one worker on one core.

nginx is one process with several listeners over one cache: plain (with and without sendfile: on loopback copying is the
faster), "full" with what our edge does on each hit (secure_link, geo, a buffered log), TLS and HTTP/2. Traffic Server
and Varnish write no log. Our edges check a token and a country and write a record of each request.
"""

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers.processes import Child, free_port
from tests.bench.peers.rows import ATS, EDGE, HYPERCORN, NGINX, NGINX_FULL, SIZES, VARNISH, Channel

NGINX_SENDFILE = "nginx, sendfile"
SERVER_CORE, CLIENT_CORE = 0, 1
FOR_A_DAY = 86_400

_SECRET = b"a secret of the benchmark alone."
_EXTENSION = {"small": "m3u8", "seg200": "ts", "seg1500": "m4s"}


def path_of(size: str, number: int) -> str:
    return f"/{size}/{number}.{_EXTENSION[size]}"


def no_query(path: str) -> str:
    return ""


@dataclass
class Server:
    """One server, as it is asked."""

    name: str
    child: Child
    urls: dict[Channel, str]
    signed: Callable[[str], str] = no_query
    """The query with which it serves a path."""


class Servers:
    """All servers of a run, in a folder of their own; stopped and removed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: dict[str, str] = {}
        """Who is not there, and why."""
        self._children: list[Child] = []
        self._certificate, self._key = folder / "cert.pem", folder / "key.pem"
        self._expires = int(time.time()) + FOR_A_DAY
        folder.chmod(0o755)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self._key, "-out", self._certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.origin = ""
        self.all: list[Server] = []

    def start_edges(self, *workers: int) -> None:
        """Start edges alone, with so many workers each."""
        self.origin = self._start_origin()
        self.all += [self.start_edge(f"workers = {one}", front=True, workers=one) for one in workers]

    def start(self) -> None:
        """Start them all, on the server's core; the origin on the client's."""
        self.origin = self._start_origin()
        for program, start in (
            ("nginx", self._start_nginx), ("varnishd", self._start_varnish), ("traffic_server", self._start_ats),
        ):  # fmt: skip
            if shutil.which(program) is None:
                self.missing[program] = "is not installed"
                continue
            try:
                self.all += start()
            except (RuntimeError, OSError) as error:
                self.missing[program] = str(error)
        self.all.append(self.start_edge(EDGE, front=True))
        self.all.append(self.start_edge(HYPERCORN, front=False))

    def stop(self) -> None:
        for child in reversed(self._children):
            child.stop()

    def _child(self, name: str, command: list[str | Path], ports: list[int], core: int = SERVER_CORE) -> Child:
        child = Child(name, command, core=core, log=self.folder / f"{name}.log", ports=ports)
        self._children.append(child)
        return child

    # ---- nginx, as the origin and as a peer ------------------------------------------------------------------------

    def _start_origin(self) -> str:
        """Any number of objects of each size, all with the same bytes."""
        root, port = self.folder / "www", free_port()
        root.mkdir()
        for size, length in SIZES.items():
            (root / size).write_bytes((b"#EXTM3U\n" + os.urandom(997) * (length // 997 + 1))[:length])
        types = {"small": "application/vnd.apple.mpegurl", "seg200": "video/mp2t", "seg1500": "video/iso.segment"}
        places = "".join(
            f"    location /{size}/ {{ rewrite ^ /{size} break; types {{}} default_type {types[size]}; }}\n"
            for size in SIZES
        )
        text = f"""
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root};
    add_header Cache-Control "public, max-age=3600"; add_header Access-Control-Allow-Origin "*";
{places}  }}
"""
        self._nginx("origin", text, [port], CLIENT_CORE)
        return f"http://127.0.0.1:{port}"

    def _start_nginx(self) -> list[Server]:
        plain, copying, full, tls, h2 = (free_port() for _ in range(5))
        cached = """proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache kept; proxy_cache_valid 200 1h; proxy_cache_lock on; proxy_cache_key $uri;
      add_header X-Cache $upstream_cache_status; add_header Via "1.1 edge"; add_header Cache-Status "edge; hit";
      add_header X-Request-Id $request_id;"""
        copies = "sendfile off; output_buffers 2 512k;"
        text = f"""
  geo $denied {{ default 0; 10.0.0.0/8 1; }}
  proxy_cache_path {self.folder}/nginx-cache levels=1:2 keys_zone=kept:64m max_size=4g inactive=1h use_temp_path=off;
  open_file_cache max=10000 inactive=60s; open_file_cache_valid 30s;
  upstream origin {{ server {self.origin[7:]}; keepalive 32; }}
  server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ {cached} }} }}
  server {{ listen 127.0.0.1:{copying} backlog=4096; {copies} location / {{ {cached} }} }}
  server {{ listen 127.0.0.1:{h2} http2 backlog=4096; {copies} location / {{ {cached} }} }}
  server {{ listen 127.0.0.1:{tls} ssl backlog=4096; {copies} ssl_certificate {self._certificate};
    ssl_certificate_key {self._key}; ssl_protocols TLSv1.2 TLSv1.3; location / {{ {cached} }} }}
  server {{ listen 127.0.0.1:{full} backlog=4096; {copies} location / {{
      secure_link $arg_md5,$arg_exp; secure_link_md5 "$secure_link_expires$uri of the benchmark";
      if ($secure_link = "") {{ return 403; }} if ($secure_link = "0") {{ return 410; }} if ($denied) {{ return 403; }}
      access_log {self.folder}/nginx-access.log combined buffer=64k flush=1s; {cached} }} }}
"""
        child = self._nginx("nginx", text, [plain, copying, full, tls, h2], SERVER_CORE)

        def signed(path: str) -> str:
            digest = hashlib.md5(f"{self._expires}{path} of the benchmark".encode(), usedforsecurity=False).digest()
            return f"?md5={base64.urlsafe_b64encode(digest).decode().rstrip('=')}&exp={self._expires}"

        return [
            Server(
                NGINX, child,
                {Channel.PLAIN: _url(copying), Channel.TLS: _url(tls, "https"), Channel.H2: _url(h2)},
            ),
            Server(NGINX_SENDFILE, child, {Channel.PLAIN: _url(plain)}),
            Server(NGINX_FULL, child, {Channel.PLAIN: _url(full)}, signed),
        ]  # fmt: skip

    def _nginx(self, name: str, http: str, ports: list[int], core: int) -> Child:
        folder = self.folder / f"{name}-run"
        folder.mkdir()
        scratch = "".join(
            f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root; " if os.geteuid() == 0 else ""
        settings = folder / "nginx.conf"
        settings.write_text(f"""daemon off; {user}worker_processes 1; worker_rlimit_nofile 65536; pid {folder}/pid;
error_log {folder}/error.log warn; events {{ worker_connections 4096; }}
http {{
{scratch}  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 75s;
{http}}}
""")
        return self._child(name, ["nginx", "-e", folder / "error.log", "-c", settings], ports, core)

    # ---- Varnish, Traffic Server -----------------------------------------------------------------------------------

    def _start_varnish(self) -> list[Server]:
        port, settings = free_port(), self.folder / "edge.vcl"
        host, _, origin_port = self.origin[7:].partition(":")
        settings.write_text(f"""vcl 4.1;
backend default {{ .host = "{host}"; .port = "{origin_port}"; }}
sub vcl_recv {{ unset req.http.Cookie; return (hash); }}
sub vcl_hash {{ hash_data(regsub(req.url, "\\?.*$", "")); return (lookup); }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
sub vcl_deliver {{ set resp.http.X-Cache = "HIT"; set resp.http.Cache-Status = "edge; hit"; }}
""")
        command: list[str | Path] = [
            "varnishd",
            "-F",
            "-j",
            "none",
            "-n",
            self.folder / "varnish",
            "-a",
            f"127.0.0.1:{port},HTTP",
        ]
        command += ["-f", settings, "-s", "malloc,1g", "-p", "thread_pools=1", "-p", "feature=+http2"]
        child = self._child("varnish", [*command, "-p", "timeout_idle=75"], [port])
        return [Server(VARNISH, child, {Channel.PLAIN: _url(port), Channel.H2: _url(port)})]

    def _start_ats(self) -> list[Server]:
        root, port, installed = self.folder / "ats", free_port(), Path("/etc/trafficserver")
        for name in ("etc", "cache", "log", "run", "plugins"):
            (root / name).mkdir(parents=True)
        shutil.copytree(installed / "body_factory", root / "etc/body_factory")
        shutil.copy(installed / "ip_allow.yaml", root / "etc")
        (root / "runroot.yaml").write_text(
            f"prefix: {root}\nexec_prefix: {root}\nbindir: /usr/bin\nsbindir: /usr/bin\nsysconfdir: {root}/etc\n"
            f"datadir: {root}\nincludedir: {root}\nlibdir: /usr/lib\nlibexecdir: {root}/plugins\n"
            f"localstatedir: {root}/run\nruntimedir: {root}/run\nlogdir: {root}/log\ncachedir: {root}/cache\n"
        )
        records = {
            "http.server_ports STRING": f"{port}:ip-in=127.0.0.1", "exec_thread.autoconfig INT": "0",
            "exec_thread.limit INT": "1", "admin.user_id STRING": "#-1", "log.logging_enabled INT": "0",
            "cache.ram_cache.size INT": str(512 * 2**20), "cache.ram_cache_cutoff INT": str(8 * 2**20),
            "url_remap.remap_required INT": "1", "http.insert_response_via_str INT": "1",
            "http.keep_alive_no_activity_timeout_in INT": "75",
        }  # fmt: skip
        lines = [f"CONFIG proxy.config.{name} {value}\n" for name, value in records.items()]
        texts = {
            "records.config": "".join(lines), "storage.config": f"{root}/cache 2G\n", "remap.config": f"map / {self.origin}/\n",
        }  # fmt: skip
        empty = "plugin.config cache.config hosting.config volume.config parent.config splitdns.config socks.config"
        for name in (*empty.split(), "logging.yaml", "sni.yaml", "ssl_multicert.config", *texts):
            (root / "etc" / name).write_text(texts.get(name, ""))
        child = self._child("ats", ["traffic_server", f"--run-root={root}/runroot.yaml"], [port])
        return [Server(ATS, child, {Channel.PLAIN: _url(port)})]

    # ---- our edge --------------------------------------------------------------------------------------------------

    def start_edge(self, name: str, *, front: bool, workers: int = 1) -> Server:
        folder = self.folder / f"edge-{front}-{workers}"
        folder.mkdir()
        plain, tls, admin = (free_port() for _ in range(3))
        key = base64.b64encode(_SECRET).decode()
        settings = folder / "cdn.toml"
        settings.write_text(f"""profile = "rfc9111"
[[behavior]]
path = "*"
token = "viewer"
ttl = {{ default = "1h" }}
geo = {{ deny = ["KP"], unknown = "allow" }}
[token.viewer]
scheme = "fastly"
key = "{key}"
[[node]]
name = "fra"
listen = "127.0.0.1:{plain}"
listen_tls = "127.0.0.1:{tls}"
tls = {{ certificate = "{self._certificate}", key = "{self._key}" }}
admin = "127.0.0.1:{admin}"
parent = "{self.origin}"
memory = "2GiB"
records = "256MiB"
front = {str(front).lower()}
workers = {workers}
""")
        command: list[str | Path] = [
            Path(sys.executable).with_name("cdnlab"),
            "edge",
            "--config",
            settings,
            "--node",
            "fra",
        ]
        child = self._child(folder.name, [*command, "--records", folder / "fra.jsonl"], [plain, tls])

        def signed(path: str) -> str:
            mac = hmac.digest(_SECRET, f"{path}{self._expires}".encode(), "sha256").hex()
            return f"?token={self._expires}_{mac}"

        urls = {Channel.PLAIN: _url(plain), Channel.TLS: _url(tls, "https"), Channel.H2: _url(plain)}
        return Server(name, child, urls, signed)


def _url(port: int, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{port}"
