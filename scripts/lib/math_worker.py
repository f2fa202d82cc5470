"""Mathematical equality in a process of its own: sympy can be made to compute for ever, in C, where no signal reaches.

The scoring process starts one worker when the first `math` check comes, talks to it in JSON lines, and kills it when an answer
takes too long; the next check starts another. So importing sympy costs nothing where no mathematics is checked.
"""

from __future__ import annotations

import atexit
import json
import selectors
import subprocess
import sys
import threading
from typing import Any

SECONDS = 6.0
START_SECONDS = 60.0
MEMORY_BYTES = 2 << 30


class MathUnavailable(Exception):
    """The check could not run; the message says why."""


class _Worker:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
            self.process = None

    def _line(self, timeout_s: float) -> str:
        assert self.process is not None and self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline() if selector.select(timeout_s) else ""

    def ask(self, gold: str, answer: str) -> bool:
        with self.lock:
            if self.process is None:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "scripts.lib.math_worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
                if not self._line(START_SECONDS):
                    self.close()
                    raise MathUnavailable("math-verify could not be started (is it installed?)")
            assert self.process.stdin is not None
            try:
                self.process.stdin.write(json.dumps([gold, answer]) + "\n")
                self.process.stdin.flush()
                said = self._line(SECONDS)
            except BrokenPipeError:
                said = ""
            if not said:
                # An expression that cannot be evaluated in seconds is not the closed form that was asked for.
                self.close()
                return False
            reply: dict[str, Any] = json.loads(said)
            if reply.get("error"):
                raise MathUnavailable(str(reply["error"]))
            return bool(reply["equal"])


_WORKER = _Worker()
atexit.register(_WORKER.close)


def equal(gold: str, answer: str) -> bool:
    """Whether the answer's final expression equals `gold` (LaTeX). Raises MathUnavailable where that cannot be told."""
    return _WORKER.ask(gold, answer)


def _serve() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    print("ready", flush=True)
    kinds = (LatexExtractionConfig(), ExprExtractionConfig())
    for line in sys.stdin:
        gold, answer = json.loads(line)
        try:
            wanted = parse(f"${gold}$", parsing_timeout=None)
            found = parse(answer, extraction_config=kinds, parsing_timeout=None)
            reply: dict[str, Any] = {"equal": bool(found) and bool(verify(wanted, found, timeout_seconds=None))}
            if not wanted:
                reply = {"error": f"cannot read the reference {gold!r}"}
        except Exception as error:
            # What sympy and antlr raise at an answer's expression: no expression equal to the reference.
            reply = {"equal": False, "why": type(error).__name__}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    _serve()
