"""An edge to attack, what stands behind it, and the honest clients who come after the attack."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior
from tests.kit.http import Reply, ask, read_reply
from tests.kit.node import Running, running_node
from tests.kit.origin import running_origin
from tests.real.attacks.witness import Witness

HONEST = b"GET /victim HTTP/1.1\r\nhost: edge\r\n\r\n"


@dataclass
class Lab:
    """`edge` is what clients reach, `origin` what stands last."""

    edge: Running
    origin: Witness

    async def honest(self, target: str, **fields: str) -> Reply:
        """Somebody on a connection of his own, who must be told what he asked for."""
        reply = await ask(self.edge.url, target, **fields)
        assert (reply.status, reply.body) == (200, f"GET {target}".encode()), f"{target}: {reply}"
        return reply

    async def ask(self, sent: bytes) -> Reply:
        """One request on a connection of its own, and its final answer."""
        reader, writer = await asyncio.open_connection(*self.edge.url.removeprefix("http://").split(":"))
        writer.write(sent)
        try:
            while (reply := await read_reply(reader, sent.partition(b" ")[0].decode())).status < 200:
                pass
            return reply
        finally:
            writer.close()

    @asynccontextmanager
    async def attack(self, sent: bytes, answers: int) -> AsyncIterator[list[Reply]]:
        """Bytes on a connection, and so many answers as they come; then, when the block has ended, that no more came."""
        host, _, port = self.edge.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(sent)
            method = "HEAD" if sent.startswith(b"HEAD ") else "GET"
            yield [await read_reply(reader, method) for _ in range(answers)]
            writer.write_eof()
            assert await reader.read() == b"", "the attacker got another answer"
        finally:
            writer.close()


@asynccontextmanager
async def attacked(
    profile: Profile = RFC9111, behaviors: Sequence[Behavior] = (), *, tiers: int = 1, **settings: object
) -> AsyncIterator[Lab]:
    """A witness, `tiers` nodes in front of it, the last of them for viewers; `settings` as `running_node` has them."""
    settings = {"timeouts": {"connect": "30s"}, **settings}  # the machine may be busy
    async with AsyncExitStack() as stack:
        origin = Witness()
        await stack.enter_async_context(running_origin(origin))
        url = origin.url
        for name in ("shield", "fra")[-tiers:]:
            node = await stack.enter_async_context(
                running_node(url, *behaviors, name=name, profile=profile, service={"gate": name == "fra"}, **settings)  # type: ignore[arg-type]
            )
            url = node.url
        yield Lab(node, origin)
