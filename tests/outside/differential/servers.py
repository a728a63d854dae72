"""A real nginx and a real Varnish, started in a folder of their own, stopped by their process."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.kit.late import GUARD_S
from tests.kit.ports import free_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin")
VARNISH = shutil.which("varnishd", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin")

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

# What a careful operator would switch on, and nothing that overrides the origin's words.
_NGINX_CONF = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  {temporary}
  proxy_cache_path {folder}/cache keys_zone=all:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {origin};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache all;
      proxy_cache_key $request_uri;
      proxy_cache_revalidate on;
      proxy_cache_lock on;
      proxy_cache_background_update on;
    }}
  }}
}}
"""


@asynccontextmanager
async def running_nginx(origin: str, folder: Path) -> AsyncIterator[str]:
    """nginx with a cache in front of `origin`; its URL."""
    port = free_port()
    temporary = "\n  ".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    conf = folder / "nginx.conf"
    _write(conf, _NGINX_CONF.format(folder=folder, port=port, origin=origin, temporary=temporary))
    async with _running(str(NGINX), "-p", str(folder), "-c", str(conf), port=port, log=folder / "out.log"):
        yield f"http://127.0.0.1:{port}"


# No cache: it answers by itself, and reads a request's body because it passes it on.
_NGINX_PARENT_CONF = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  {temporary}
  server {{
    listen 127.0.0.1:{port} {listen};
    {directives}
    location / {{ return 200 $request_uri; }}
    location /read {{ proxy_pass http://127.0.0.1:{port_behind}; }}
  }}
  server {{
    listen 127.0.0.1:{port_behind};
    location / {{ return 200 $request_method; }}
  }}
}}
"""


@asynccontextmanager
async def running_nginx_parent(folder: Path, directives: str, *, listen: str = "http2") -> AsyncIterator[str]:
    """nginx as a parent that answers with the path asked for; its host and port. `listen`: how, such as "ssl http2"."""
    port, port_behind = free_port(), free_port()
    temporary = "\n  ".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    conf = folder / "nginx.conf"
    text = _NGINX_PARENT_CONF.format(
        folder=folder, port=port, port_behind=port_behind, temporary=temporary, listen=listen, directives=directives
    )
    _write(conf, text)
    async with _running(str(NGINX), "-p", str(folder), "-c", str(conf), port=port, log=folder / "out.log"):
        yield f"127.0.0.1:{port}"


@asynccontextmanager
async def running_varnish(origin: str, folder: Path) -> AsyncIterator[str]:
    """Varnish with its built-in VCL in front of `origin`; its URL.

    Its own default lifetime and grace are switched off: they would answer for the origin. What is stale is kept for a
    minute, so that it can be validated.
    """
    port = free_port()
    _write(folder / "out.log", "")
    async with _running(
        str(VARNISH), "-F", "-j", "none", "-n", str(folder / "work"), "-a", f"127.0.0.1:{port}",
        "-b", origin.removeprefix("http://"), "-s", "malloc,16m",
        "-p", "default_ttl=0", "-p", "default_grace=0", "-p", "default_keep=60", port=port, log=folder / "out.log",
    ):  # fmt: skip
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _running(*command: str, port: int, log: Path) -> AsyncIterator[None]:
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        async with asyncio.timeout(GUARD_S):
            while not await _accepts(port):
                if process.returncode is not None:
                    raise RuntimeError(f"{command[0]} ended with {process.returncode}: {_end_of(log)}")
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
