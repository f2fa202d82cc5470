"""One llama-server: started on a free loopback port, watched until it is ready, its log kept, gone with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from scripts.lib.engine_environment import engine_environment
from scripts.lib.engines import EngineFailure
from scripts.lib.errors import BenchError
from scripts.lib.lifetime import PR_SET_PDEATHSIG

HOST = "127.0.0.1"
LAST_LINES = 8
STOP_TIMEOUT_S = 10.0


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _in_child() -> None:
    # The server must not outlive a killed shard: kill -9 of the parent reaches it through the kernel.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class ServerProcess:
    """A running llama-server. Raises EngineFailure with the log's last lines when it dies or never gets ready."""

    def __init__(self, argv: list[str], port: int, log: Path, ready_timeout_s: float):
        self.port, self.log = port, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._sink = log.open("wb")
        try:
            # preexec_fn is unsafe beside threads: a shard's process has none when it starts its server.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=self._sink,
                stderr=subprocess.STDOUT,
                # A judge's and a probe's server are started by processes that are not pinned.
                env=engine_environment(os.environ),
                preexec_fn=_in_child,  # noqa: PLW1509
                # A Ctrl-C goes to the terminal's whole process group; the server ends when its shard says so.
                process_group=0,
            )
        except OSError as error:
            self._sink.close()
            raise BenchError(f"{argv[0]}: cannot be started: {error.strerror}") from error
        try:
            self._wait_ready(ready_timeout_s)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def gone(self) -> bool:
        """True when the process has ended, or does so within a second: a reset connection comes before the exit status."""
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _wait_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.alive():
                raise EngineFailure(f"llama-server ended with {self._exit()} while loading: {self.last_words()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._status("/health") == 200:
                    return
            if time.monotonic() > deadline:
                raise EngineFailure(f"llama-server was not ready within {timeout_s:g} s: {self.last_words()}")
            time.sleep(0.02)

    def _exit(self) -> str:
        code = self._process.returncode
        return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"

    def died(self) -> str:
        """What to say of a server that is gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        return f"llama-server ended with {self._exit()}: {self.last_words()}"

    def last_words(self) -> str:
        """The last lines of the log: the engine's own words."""
        return " | ".join(line.strip() for line in self.log_text().splitlines()[-LAST_LINES:] if line.strip())

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def call(self, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = 60.0) -> dict[str, Any]:
        """One JSON request. Raises EngineFailure for an error status, in the server's own words."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout_s)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise EngineFailure(self.died() if self.gone() else f"llama-server: {path}: {error!r}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise EngineFailure(f"llama-server: {path}: status {response.status}: {_message(text)}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def stream(self, path: str, body: Mapping[str, Any], deadline: float) -> Iterator[dict[str, Any]]:
        """The events of a streamed answer as they arrive. Raises TimeoutError at `deadline` (time.monotonic)."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=max(deadline - time.monotonic(), 0.001))
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                text = response.read().decode("utf-8", "replace")
                raise EngineFailure(f"llama-server: {path}: status {response.status}: {_message(text)}")
            while line := response.readline():
                if time.monotonic() > deadline:
                    raise TimeoutError
                if line.startswith(b"data: ") and line[6:].strip() != b"[DONE]":
                    yield json.loads(line[6:])
                elif line.startswith(b"error: "):
                    raise EngineFailure(f"llama-server: {_message(line[7:].decode('utf-8', 'replace'))}")
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise EngineFailure(self.died() if self.gone() else f"llama-server: {path}: {error!r}") from error
        finally:
            connection.close()

    def stop(self) -> None:
        """Ask it to end, then make it."""
        if self.alive():
            self._process.terminate()
            try:
                self._process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._sink.close()


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:300]
