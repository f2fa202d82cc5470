"""So many requests in flight at once, counted at the socket: a slot is held from a request's first byte to its reply's.

What the client computes before and after (the SDK, HTTP, JSON) then costs no slot. A reply that is not streamed starts when it
is finished, so the vendor never has more to do than the limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2

# Whoever sits in between gave up waiting: the vendor may have answered.
GAVE_UP_WAITING = frozenset({408, 502, 504, *range(520, 528)})


class Sending:
    """How one request is sent, retries included: for how long at most, and how many of the times it went out may be billed.

    `seconds` run from when it first goes out, and while it connects. Each time that was not refused may have been answered
    and is to be paid for; before it goes out once more, `pay_again` sets that money aside, or says that there is none.
    """

    def __init__(self, seconds: float, pay_again: Callable[[], bool]):
        self._left_s, self.timeout = seconds, asyncio.timeout(None)
        self._pay_again = pay_again
        self.may_be_billed, self.set_aside = 0, 1

    def go_out(self) -> None:
        """Note that the request is sent now. Raises ConnectError, which is tried again later, without the money for it."""
        if self.may_be_billed == self.set_aside:
            if not self._pay_again():
                raise httpcore2.ConnectError("a reply was lost, and max_usd has no room for another try")
            self.set_aside += 1
        self.may_be_billed += 1
        self._start()

    def _start(self) -> None:
        if self.timeout.when() is None:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self._left_s)

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Let the time run while a connection is made, not while the request then waits for a slot.

        It goes on after a failed attempt: what follows are retries.
        """
        if self.timeout.when() is not None:
            yield
            return
        clock = asyncio.get_running_loop().time
        begin = clock()
        self._start()
        yield
        self._left_s -= clock() - begin
        self.timeout.reschedule(None)


# How the request that a task is about is sent; requests without one have neither a deadline nor a price.
SENDING: ContextVar[Sending] = ContextVar("sending")


def _connecting() -> contextlib.AbstractContextManager[None]:
    sending = SENDING.get(None)
    return contextlib.nullcontext() if sending is None else sending.connecting()


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection whose requests wait for a slot: each is sent whole, in one piece, when its reply is asked for."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream, slots: asyncio.Semaphore):
        self._inner, self._slots = inner, slots
        self.unsent, self._has_served = b"", False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.unsent += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        request, self.unsent = self.unsent, b""
        if not request:
            return await self._inner.read(max_bytes, timeout)
        if request.startswith(b"CONNECT "):  # asks a proxy for a tunnel: the vendor has nothing to do yet
            with _connecting():
                await self._inner.write(request, timeout)
                return await self._inner.read(max_bytes, timeout)
        async with self._slots:
            # What comes before a request is sent is the server's end of an idle connection (or, on a new one, TLS's own).
            if self._has_served and self._inner.get_extra_info("is_readable"):
                raise httpcore2.ConnectError(
                    "the server closed the connection while its next request waited for a slot"
                )
            if (sending := SENDING.get(None)) is not None:
                sending.go_out()
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


async def _look(response: httpx2.Response) -> None:
    """Take a refused request off those that may be billed. Raises RemoteProtocolError for a reply to no request of ours."""
    stream = response.extensions.get("network_stream")
    if isinstance(stream, _Stream) and stream.unsent:
        raise httpx2.RemoteProtocolError("a reply came before its request was sent: it belongs to another")
    refused = not (response.is_success or response.status_code in GAVE_UP_WAITING)
    if refused and (sending := SENDING.get(None)) is not None:
        sending.may_be_billed -= 1


def limit(client: httpx2.AsyncClient, concurrency: int) -> None:
    """Let a client have so many requests in flight, its proxies' included, and tell each task's Sending of them.

    Put into the client that the SDK makes: one given a transport of its own would know no proxy of the environment.
    """
    slots = asyncio.Semaphore(concurrency)
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            pool: Any = transport._pool  # type: ignore[attr-defined]
            pool._network_backend = _Backend(pool._network_backend, slots)
    client.event_hooks["response"].append(_look)
