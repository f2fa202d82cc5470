"""So many requests in flight at once, counted at the socket: a slot is held from a request's first byte to its reply's.

What the client computes before and after (the SDK, HTTP, JSON) then costs no slot. A reply that is not streamed starts when it
is finished, so the vendor never has more to do than the limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2


class Deadline:
    """So many seconds from `start`, retries included; until then it does not run."""

    def __init__(self, seconds: float):
        self._left_s, self.timeout = seconds, asyncio.timeout(None)

    def start(self) -> None:
        if self.timeout.when() is None:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self._left_s)

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Run while a connection is made, and wait again when it is; a failed attempt is followed by retries, which count."""
        if self.timeout.when() is not None:
            yield
            return
        self.start()
        yield
        until = self.timeout.when()
        assert until is not None
        self._left_s = until - asyncio.get_running_loop().time()
        self.timeout.reschedule(None)


# The deadline of the request that a task is sending; it runs from when the request gets its slot, and while it connects.
DEADLINE: ContextVar[Deadline] = ContextVar("deadline")


def _connecting() -> contextlib.AbstractContextManager[None]:
    deadline = DEADLINE.get(None)
    return contextlib.nullcontext() if deadline is None else deadline.connecting()


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection whose requests wait for a slot: each is sent whole, in one piece, when its reply is asked for."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream, slots: asyncio.Semaphore):
        self._inner, self._slots = inner, slots
        self._request, self._has_served = b"", False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._request += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._request:
            return await self._inner.read(max_bytes, timeout)
        request, self._request = self._request, b""
        async with self._slots:
            if (deadline := DEADLINE.get(None)) is not None:
                deadline.start()
            # What comes before a request is sent is the server's end of an idle connection (or, on a new one, TLS's own).
            if self._has_served and self._inner.get_extra_info("is_readable"):
                raise httpcore2.ConnectError(
                    "the server closed the connection while its next request waited for a slot"
                )
            await self._inner.write(request, timeout)
            reply = await self._inner.read(max_bytes, timeout)
        self._has_served = True
        # The request that waited for this slot goes out before the reply is looked at.
        await asyncio.sleep(0)
        return reply

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        with _connecting():
            return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._slots)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.AsyncNetworkBackend):
    """Makes connections that share the slots."""

    def __init__(self, inner: httpcore2.AsyncNetworkBackend, slots: asyncio.Semaphore):
        self._inner, self._slots = inner, slots

    async def connect_tcp(self, *where: Any, **how: Any) -> httpcore2.AsyncNetworkStream:
        with _connecting():
            return _Stream(await self._inner.connect_tcp(*where, **how), self._slots)

    async def connect_unix_socket(self, *where: Any, **how: Any) -> httpcore2.AsyncNetworkStream:
        with _connecting():
            return _Stream(await self._inner.connect_unix_socket(*where, **how), self._slots)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def limit(client: httpx2.AsyncClient, concurrency: int) -> None:
    """Let a client have so many requests in flight, its proxies' included.

    Put into the client that the SDK makes: one given a transport of its own would know no proxy of the environment.
    """
    slots = asyncio.Semaphore(concurrency)
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            pool: Any = transport._pool  # type: ignore[attr-defined]
            pool._network_backend = _Backend(pool._network_backend, slots)
