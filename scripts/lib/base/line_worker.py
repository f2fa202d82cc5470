"""A worker process that replies to lines of JSON, for computations that may never end."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import threading
from typing import Any, Self

from scripts.lib.base.errors import BenchError


class WorkerLost(Exception):
    """The worker ended, or was killed, before it replied. `code` is its exit code."""

    def __init__(self, code: int):
        super().__init__(f"the worker ended with code {code}")
        self.code = code


class LineWorker:
    """A Python process that replies to each line of JSON with one line.

    It is started at the first question. The worker limits its own processor time. If it does not
    reply within `clock_s` seconds, it is killed.
    """

    clock_s: float | None = None

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def arguments(self) -> list[str]:
        """The arguments of Python that start the worker."""
        raise NotImplementedError

    def ask(self, question: Any) -> Any:
        """The worker's reply. Raises WorkerLost; the next question then starts a new worker.

        Raises BenchError if the worker cannot be started.
        """
        with self._lock:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # It has ended: no line follows.
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                if not selector.select(self.clock_s):
                    process.kill()
            line = process.stdout.readline()
            if not line.endswith("\n"):
                code = process.wait()
                self.close()
                raise WorkerLost(code)
            return json.loads(line)

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None:
            arguments = self.arguments()
            try:
                self.process = subprocess.Popen(
                    [sys.executable, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="utf-8",
                    # A process group of its own: Ctrl-C must not end it while its reply is needed.
                    process_group=0,
                )
            except OSError as error:
                raise BenchError(
                    f"{' '.join(arguments)}: cannot be started: {error.strerror}"
                ) from error
        return self.process

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
