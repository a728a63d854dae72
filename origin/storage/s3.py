"""A bucket as a `Store`, at Amazon S3 or any server that speaks its API (aiobotocore).

An object appears whole when its PUT is answered, and not at all before: S3 needs no renaming. A 200 also says that it
outlives the machine, so there is nothing to settle. One origin at a time has a prefix: S3 has no locks, so that is for
whoever starts origins to see to.

Whether an earlier run could not reach the server for a while, nobody can know who only sees the bucket. So a run that
ended without warning is always taken to have published more than is here.

Credentials are those of the AWS tools: environment, profile, or the role of the machine.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from hashlib import md5
from typing import Any

from cdnkit.settings.s3 import S3
from origin.errors import StorageFailed

CONNECT_S, READ_S = 2.0, 5.0
ATTEMPTS = 3
"""Of a request, with pauses between that grow and are never the same; then `Backlog` goes on."""
MOST_KEYS = 1_000
"""In one request to delete objects (S3)."""
MOST_CONNECTIONS = 32


class S3Store:
    """`Store`: the objects of one bucket whose keys begin with a prefix."""

    def __init__(self, url: str, settings: S3) -> None:
        """`url`: s3://BUCKET or s3://BUCKET/PREFIX."""
        self.faltered = True
        self.bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._settings = settings
        self._open = AsyncExitStack()
        self._client: Any = None

    def place(self, name: str) -> str:
        return f"s3://{self.bucket}/{self._prefix}{name}"

    async def prepare(self) -> None:
        """Also checks that objects can be written. ModuleNotFoundError: the extra `s3` is not installed."""
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session

        config = AioConfig(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            max_pool_connections=MOST_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # A server of one's own has no DNS name for each bucket, and not all know the newer checksums.
            s3={"addressing_style": "path" if self._settings.endpoint else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        logging.getLogger("asyncio").addFilter(_is_told)
        with _Mapped(self.place("")):
            client = get_session().create_client(
                "s3", endpoint_url=self._settings.endpoint, region_name=self._settings.region, config=config
            )
            self._client = await self._open.enter_async_context(client)
            self._client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
            await self._client.head_bucket(Bucket=self.bucket)
        await self.write("writable", b"")
        await self.delete(["writable"])

    async def list(self, prefix: str) -> dict[str, int]:
        found: dict[str, int] = {}
        with _Mapped(self.place(prefix)):
            pages = self._client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=self.bucket, Prefix=self._prefix + prefix):
                for one in page.get("Contents", ()):
                    found[one["Key"].removeprefix(self._prefix)] = one["Size"]
        return found

    async def write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        """`secret` says nothing here: who may read a bucket is its policy's to say."""
        with _Mapped(self.place(name)):
            await self._client.put_object(Bucket=self.bucket, Key=self._prefix + name, Body=data)

    async def settle(self, prefix: str) -> None:
        pass

    async def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        if end is not None and end <= first:
            return b""
        span = {} if first == 0 and end is None else {"Range": f"bytes={first}-{'' if end is None else end - 1}"}
        from botocore.exceptions import ClientError

        with _Mapped(self.place(name)):
            try:
                found = await self._client.get_object(Bucket=self.bucket, Key=self._prefix + name, **span)
                async with found["Body"] as body:
                    data: bytes = await body.read()
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    return None
                if _code(error) == "InvalidRange":
                    return b""
                raise
        return data

    async def delete(self, names: Collection[str]) -> None:
        keys = [{"Key": self._prefix + name} for name in names]
        for at in range(0, len(keys), MOST_KEYS):
            batch = keys[at : at + MOST_KEYS]
            with _Mapped(self.place(next(iter(names)))):
                found = await self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True})
            for error in found.get("Errors", ()):
                where = f"s3://{self.bucket}/{error.get('Key')}"
                raise StorageFailed(where, f"not deleted ({error.get('Code')})", "the right s3:DeleteObject")

    async def copy(self, names: Mapping[str, str]) -> None:
        for name, other in names.items():
            with _Mapped(self.place(other)):
                source = {"Bucket": self.bucket, "Key": self._prefix + name}
                await self._client.copy_object(Bucket=self.bucket, Key=self._prefix + other, CopySource=source)

    def falter(self) -> None:
        pass

    def recover(self) -> None:
        pass

    async def release(self) -> None:
        logging.getLogger("asyncio").removeFilter(_is_told)
        await self._open.aclose()


def _with_md5(request: Any, **_: object) -> None:
    """The digest that S3 has always wanted of this request; servers of others know no newer one."""
    request.headers["Content-MD5"] = b64encode(md5(request.body, usedforsecurity=False).digest()).decode()


def _is_told(record: logging.LogRecord) -> bool:
    """aiohttp writes a request's body in a task that nobody awaits once the response, or an error, is there."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return type(error).__name__ not in ("ClientConnectionResetError", "ClientOSError")


class _Mapped:
    """Makes `StorageFailed` of what botocore raises, with where and why."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from aiohttp import ClientError as ConnectionFailed
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            found = f"{status} {_code(error)}: {error.response.get('Error', {}).get('Message', '')}".rstrip(": ")
            wanted = _WANTED.get(_code(error), "an S3 server that takes it")
            raise StorageFailed(self._where, found, wanted) from error
        if isinstance(error, (BotoCoreError, ConnectionFailed, OSError, asyncio.TimeoutError, ValueError)):
            found = str(error).partition("\n")[0] or type(error).__name__
            raise StorageFailed(self._where, found, "an S3 server that answers, and credentials for it") from error


_WANTED = {
    "NoSuchBucket": "a bucket that exists",
    "404": "a bucket that exists",
    "403": "credentials that may use the bucket",
    "AccessDenied": "credentials that may read, write, list and delete here",
    "InvalidAccessKeyId": "credentials that the server knows",
    "SignatureDoesNotMatch": "the secret that belongs to the access key",
}


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
