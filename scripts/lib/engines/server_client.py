"""Requests to one llama-server. Each ends at its deadline and reads a limited number of bytes."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.lib.engines.protocol import EngineFailure
from scripts.lib.engines.server_reply import Event, message, parse

HOST = "127.0.0.1"
# The limit for one reply, or one event of a stream.
MOST_BYTES = 64 << 20
_TOO_LONG = f"the reply is longer than {MOST_BYTES >> 20} MiB"


class ConnectionLost(EngineFailure):
    """The connection was lost, or none could be made: the server may have ended."""


class _Socket(socket.socket):
    """A connection with a deadline: a timeout alone would start again with every byte."""

    deadline = 0.0

    def set_time_left(self) -> None:
        """Set the timeout to the time that is left. Raises TimeoutError at the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)

    def recv_into(self, *arguments: Any) -> int:
        self.set_time_left()
        return super().recv_into(*arguments)


class _Connection(http.client.HTTPConnection):
    def __init__(self, port: int, deadline: float):
        super().__init__(HOST, port)
        self._deadline = deadline

    def connect(self) -> None:
        connection = _Socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock = connection
        connection.deadline = self._deadline
        connection.set_time_left()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect((self.host, self.port))


class ServerClient:
    """Talks to the llama-server on a loopback port, with its own key."""

    def __init__(self, port: int, key: str):
        self._port = port
        self.url, self.key = f"http://{HOST}:{port}", key
        self.headers = {"Authorization": f"Bearer {key}"}

    @contextlib.contextmanager
    def _reply(
        self, path: str, body: Mapping[str, Any] | None, deadline: float
    ) -> Iterator[http.client.HTTPResponse]:
        """The reply to a request. `deadline` is a time of time.monotonic.

        Raises TimeoutError at the deadline, EngineFailure for an error status.
        """
        connection = _Connection(self._port, deadline)
        payload = None if body is None else json.dumps(body)
        headers = {**self.headers, "Content-Type": "application/json"}
        try:
            connection.request("GET" if body is None else "POST", path, payload, headers)
            response = connection.getresponse()
            if response.status != 200:
                said = message(response.read(MOST_BYTES).decode("utf-8", "replace"))
                raise EngineFailure(f"llama-server: {path}: status {response.status}: {said}")
            yield response
        except TimeoutError:
            raise
        # ValueError: the length of a chunk is not a number.
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionLost(
                f"llama-server: {path}: the connection broke off ({error!r})"
            ) from error
        finally:
            connection.close()

    def call(
        self, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = 60.0
    ) -> Mapping[str, Any]:
        """One JSON request. Raises TimeoutError, or EngineFailure in the server's own words."""
        with self._reply(path, body, time.monotonic() + timeout_s) as response:
            data = response.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise EngineFailure(f"llama-server: {path}: {_TOO_LONG}")
        return parse(data, path)

    def stream(self, path: str, body: Mapping[str, Any], deadline: float) -> Iterator[Event]:
        """The events of a streamed answer. Raises TimeoutError at `deadline` (time.monotonic)."""
        with self._reply(path, body, deadline) as response:
            while (line := response.readline(MOST_BYTES)).endswith(b"\n"):
                if time.monotonic() > deadline:
                    raise TimeoutError
                if line.startswith(b"data: "):
                    event = Event.of(parse(line[6:], path), path)
                    yield event
                    if event.last:
                        return
                elif line.startswith(b"error: "):
                    raise EngineFailure(
                        f"llama-server: {message(line[7:].decode('utf-8', 'replace'))}"
                    )
            if len(line) == MOST_BYTES:
                raise EngineFailure(f"llama-server: {path}: {_TOO_LONG}")
            raise ConnectionLost(
                f"llama-server: {path}: the answer broke off before its last event"
            )

    def healthy(self) -> bool:
        """True if the server has loaded its model."""
        try:
            with self._reply("/health", None, time.monotonic() + 5):
                return True
        except (EngineFailure, TimeoutError):
            return False
