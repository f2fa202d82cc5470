"""A stand-in for an OpenAI-compatible server that streams: known delays, slots, and faults."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class StreamingServer:
    """Answers `tokens` pieces: the first after `first_s`, the others `between_s` apart.

    `slots`: so many requests at once; others wait. `fault`: number of the request, from 1 -> status
    and text of its reply, or None for the usual one. `cut`: that request breaks off in the middle.
    """

    tokens: int = 5
    first_s: float = 0.02
    between_s: float = 0.01
    slots: int = 8
    fault: Callable[[int], tuple[int, str] | None] = lambda number: None
    cut: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            body = await reader.readexactly(head.get("content-length", 0))
            if head["path"].endswith("/v1/models"):
                await _whole(writer, 200, '{"data": [{"id": "stand-in"}]}')
                continue
            self.bodies.append(json.loads(body))
            number = len(self.bodies)
            fault = self.fault(number)
            if fault is not None:
                await _whole(writer, *fault)
                continue
            async with self._places:
                await self._stream(writer, number)
            if number == self.cut:
                break
        writer.close()

    async def _stream(self, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        loop = asyncio.get_running_loop()
        due = loop.time() + self.first_s
        for place in range(self.tokens):
            await asyncio.sleep(max(0.0, due - loop.time()))
            due += self.between_s
            event = {"choices": [{"delta": {"content": "word "}}]}
            await _chunk(writer, f"data: {json.dumps(event)}\n\n")
            if number == self.cut and place:
                return
        usage = {"completion_tokens": self.tokens, "prompt_tokens": 7}
        last = json.dumps({"choices": [], "usage": usage})
        await _chunk(writer, f"data: {last}\n\ndata: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @contextmanager
    def running(self) -> Iterator[StreamingServer]:
        """Listens on a free loopback port meanwhile, in a thread of its own."""
        loop = asyncio.new_event_loop()

        async def start() -> asyncio.Server:
            self._places = asyncio.Semaphore(self.slots)
            return await asyncio.start_server(self._serve, "127.0.0.1", 0)

        server = loop.run_until_complete(start())
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def _head(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = (await reader.readline()).decode()
    if not line:
        return {}
    found: dict[str, Any] = {"path": line.split()[1]}
    while header := (await reader.readline()).decode().strip():
        name, _, value = header.partition(":")
        if name.lower() == "content-length":
            found["content-length"] = int(value)
    return found


async def _whole(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    body = text.encode()
    writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
    await writer.drain()


async def _chunk(writer: asyncio.StreamWriter, text: str) -> None:
    data = text.encode()
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
    await writer.drain()
