"""One llama-server process: started, watched until it is ready, logged, ended with its parent.

The server chooses its port; the kernel says on which port this process listens. So no other server
can answer instead of it. A random key keeps out the requests of others.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import psutil
from tqdm import tqdm

from scripts.lib.base.errors import BenchError
from scripts.lib.base.process_lifetime import die_with_parent
from scripts.lib.engines.protocol import EngineDied, EngineFailure
from scripts.lib.engines.server_client import ConnectionLost, ServerClient
from scripts.lib.engines.server_reply import Event
from scripts.lib.llama_build.variables import engine_environment

# For the key: any user of the machine can read a command line, but not the environment.
KEY_VARIABLE = "LLAMA_API_KEY"
LAST_LINES = 8
STOP_TIMEOUT_S = 10.0


class NoReply(EngineFailure):
    """The server did not reply in time."""


def listening_port(pid: int) -> int | None:
    """The TCP port that a process listens on, according to the kernel."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.Process(pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
    return None


class ServerProcess:
    """A running llama-server.

    Raises EngineFailure with the log's last lines if it ends by itself or does not get ready, and
    EngineDied if it is killed.
    """

    def __init__(self, argv: Sequence[str], log: Path, ready_timeout_s: float):
        self.argv, self.log = argv, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._sink = log.open("wb")
        key = secrets.token_hex(16)
        try:
            # The server must not outlive a killed shard. preexec_fn is unsafe with threads, but a
            # shard's process has none when it starts its server.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=self._sink,
                stderr=subprocess.STDOUT,
                # The servers of judges and probes are not pinned, and inherit all variables.
                env=engine_environment() | {KEY_VARIABLE: key},
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
                # Ctrl-C reaches the terminal's whole process group, but only the shard may end its
                # server.
                process_group=0,
            )
        except OSError as error:
            self._sink.close()
            raise BenchError(f"{argv[0]}: cannot be started: {error.strerror}") from error
        try:
            self.client = ServerClient(self._wait_ready(key, ready_timeout_s), key)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    def gone(self) -> bool:
        """True if the process has ended, or ends within a second.

        (When a process dies, its connections are reset before there is an exit status.)
        """
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _wait_ready(self, key: str, timeout_s: float) -> int:
        """The port of the server, once it has loaded its model."""
        start = time.monotonic()
        with tqdm(
            desc="llama-server loads its model",
            total=round(timeout_s),
            unit="s",
            leave=False,
            disable=None,
        ) as bar:
            while True:
                if not self.alive():
                    self._fail_loading()
                port = listening_port(self.pid)
                if port is not None and ServerClient(port, key).healthy():
                    return port
                waited = time.monotonic() - start
                if waited > timeout_s:
                    raise EngineFailure(
                        f"llama-server was not ready within {timeout_s:g} s: {self.last_words()}"
                    )
                bar.update(int(waited) - bar.n)
                time.sleep(0.02)

    def _fail_loading(self) -> None:
        words = f"llama-server ended with {self._exit()} while loading: {self.last_words()}"
        # A server that ended by itself would do so again. A killed one may be started again.
        raise EngineDied(words) if self._process.returncode < 0 else EngineFailure(words)

    def _exit(self) -> str:
        code = self._process.returncode
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"

    def died(self) -> EngineDied:
        """The exception for a server that has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        return EngineDied(f"llama-server ended with {self._exit()}: {self.last_words()}")

    def last_words(self) -> str:
        """The last lines of the log: the engine's own words."""
        return " | ".join(
            line.strip() for line in self.log_text().splitlines()[-LAST_LINES:] if line.strip()
        )

    def log_text(self) -> str:
        """The whole log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raises EngineDied if the server is gone, even if the request succeeded."""
        try:
            yield
        except ConnectionLost as lost:
            if self.gone():
                raise self.died() from lost
            raise
        if not self.alive():
            raise self.died()

    def call(
        self, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = 60.0
    ) -> Mapping[str, Any]:
        """One JSON request. Raises EngineFailure in the server's own words, or NoReply."""
        with self.watched():
            try:
                return self.client.call(path, body, timeout_s)
            except TimeoutError:
                raise NoReply(
                    f"llama-server: {path}: no whole reply within {timeout_s:g} s: "
                    f"{self.last_words()}"
                ) from None

    def stream(self, path: str, body: Mapping[str, Any], deadline: float) -> Iterator[Event]:
        """The events of a streamed answer. Raises TimeoutError at `deadline` (time.monotonic)."""
        with self.watched():
            yield from self.client.stream(path, body, deadline)

    def stop(self) -> None:
        """Terminate the server; kill it if that does not help."""
        if self.alive():
            self._process.terminate()
            try:
                self._process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._sink.close()
