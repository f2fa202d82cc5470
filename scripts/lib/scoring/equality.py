"""Exact mathematical equality, decided in a process of its own.

sympy can be made to compute for ever, in C code that no signal interrupts. The scoring process
therefore starts a worker when the first `math` check comes and talks to it in lines of JSON. It
kills the worker when an expression takes too long; the next check starts another one. Where no
mathematics is checked, sympy is never imported.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import re
import resource
import selectors
import subprocess
import sys
import threading
from functools import lru_cache
from typing import Any

import psutil

from scripts.lib.base.process_lifetime import die_with_parent

MOST_CHARACTERS = 300
# A limit of the worker's own processor time, so that a loaded machine makes no difference. The
# clock is for a worker that hangs without computing.
PROCESSOR_SECONDS = 3.0
CLOCK_SECONDS = 60.0
MEMORY_BYTES = 2 << 30
# A question that the machine kept from being decided is asked again, of another worker.
ATTEMPTS = 2
# Too large to be worked out: a tower of powers, a long exponent, a long factorial, a number of 200
# digits.
_TOO_LARGE = re.compile(
    r"\^\s*\{?\s*-?\w+\s*\}?\s*\^|\^\s*\{[^{}]*\^[^{}]*\{?\d{2,}"
    r"|\^\s*\{?\s*-?\d{5,}"
    r"|\d{4,}\s*!|!\s*!"
    r"|\d{200,}"
)


class Undecidable(Exception):
    """Equality could not be decided; the message says why."""


class _Lost(Exception):
    """The worker ended, or the machine gave it no time: nothing is known of the question."""


class _Worker:
    """The process that decides equality. It is started when it is first asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
            self.process = None

    def _started(self) -> subprocess.Popen[str]:
        """The running process. Raises _Lost where it cannot be started."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.lib.scoring.equality", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            if not self._line(self.process, CLOCK_SECONDS, CLOCK_SECONDS):
                self.close()
                raise _Lost("math-verify could not be started (is it installed?)")
        return self.process

    @staticmethod
    def _line(process: subprocess.Popen[str], processor_s: float, clock_s: float) -> str:
        """The worker's next line; empty where it has died, or hangs by the clock.

        Raises Undecidable where it computes longer than `processor_s`.
        """
        assert process.stdout is not None
        watched = psutil.Process(process.pid)
        begun, waited = sum(watched.cpu_times()[:2]), 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while waited < clock_s:
                if selector.select(0.5):
                    return process.stdout.readline()
                waited += 0.5
                if sum(watched.cpu_times()[:2]) - begun > processor_s:
                    raise Undecidable(f"no decision within {processor_s:g} s of computing")
        return ""

    def ask(self, gold: str, answer: str) -> bool | None:
        """Whether two expressions are equal; None where the second is not an expression.

        Raises Undecidable.
        """
        lost = ""
        with self.lock:
            for _ in range(ATTEMPTS):
                try:
                    reply = self._reply(gold, answer)
                except _Lost as error:
                    lost = str(error)
                    continue
                if reply.get("error"):
                    raise Undecidable(str(reply["error"]))
                equal: bool | None = reply["equal"]
                return equal
        raise Undecidable(lost)

    def _reply(self, gold: str, answer: str) -> dict[str, Any]:
        """What the worker says of two expressions. Raises Undecidable, and _Lost."""
        try:
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps([gold, answer]) + "\n")
            process.stdin.flush()
            reply: dict[str, Any] = json.loads(
                self._line(process, PROCESSOR_SECONDS, CLOCK_SECONDS)
            )
            return reply
        except (OSError, ValueError, psutil.NoSuchProcess) as error:
            self.close()
            raise _Lost("the worker ended, or the machine gave it no time") from error
        except Undecidable:
            self.close()
            raise


_WORKER = _Worker()
atexit.register(_WORKER.close)


@lru_cache(maxsize=1024)
def equal(gold: str, answer: str) -> bool | None:
    """Whether two expressions in LaTeX are equal; None where the second is not an expression.

    Raises Undecidable where this would take too long, or where the worker cannot read the first.
    """
    if gold == answer:
        return True
    if len(answer) > MOST_CHARACTERS:
        return None
    if _TOO_LARGE.search(answer) and not _TOO_LARGE.search(gold):
        raise Undecidable("an expression too large to be worked out")
    return _WORKER.ask(gold, answer)


# --- in the worker ------------------------------------------------------------------------------------------


def _exact(value: Any) -> Any:
    """A value of sympy with its decimal numbers as fractions."""
    import sympy

    return value.xreplace(
        {number: sympy.Rational(str(number)) for number in value.atoms(sympy.Float)}
    )


def _same(gold: Any, answer: Any) -> bool:
    """Whether two values of sympy are exactly equal: numbers, expressions, sets, tuples and matrices of them.

    math-verify decides about values of other kinds.
    """
    import sympy
    from math_verify import verify

    if isinstance(gold, sympy.FiniteSet) and isinstance(answer, sympy.FiniteSet):
        if len(gold) != len(answer):
            return False
        return all(any(_same(mine, other) for other in answer) for mine in gold)
    if isinstance(gold, sympy.Tuple) and isinstance(answer, sympy.Tuple):
        return len(gold) == len(answer) and all(map(_same, gold, answer))
    if isinstance(gold, sympy.MatrixBase) and isinstance(answer, sympy.MatrixBase):
        return gold.shape == answer.shape and all(map(_same, gold, answer))
    if isinstance(answer, sympy.Equality) and not isinstance(gold, sympy.Equality):
        return _same(gold, answer.rhs)
    if isinstance(gold, sympy.Expr) and isinstance(answer, sympy.Expr):
        difference = _exact(gold) - _exact(answer)
        return bool(difference == 0 or sympy.simplify(difference) == 0 or difference.equals(0))
    return bool(verify([gold], [answer], timeout_seconds=None))


def _reply(gold: str, answer: str) -> dict[str, Any]:
    """The worker's reply: `equal` (true, false or null), or an `error` where the reference cannot be read."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    def values(text: str) -> list[Any]:
        kinds = (LatexExtractionConfig(), ExprExtractionConfig())
        found = parse(f"${text}$", extraction_config=kinds, parsing_timeout=None)
        return [value for value in found if not isinstance(value, str)]

    try:
        wanted = values(gold)
        if not wanted:
            return {"error": f"cannot read the reference {gold!r}"}
        found = values(answer)
        return {"equal": _same(wanted[0], found[0]) if found else None}
    except Exception:
        # sympy and antlr raise errors of many kinds for what they cannot read: it does not count as
        # an expression.
        return {"equal": None}


def _limit_computing() -> None:
    """The kernel ends the worker where nobody is left to do so: the limit of one question, with room for the start."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used + 2 * PROCESSOR_SECONDS), most))


def _serve(parent: int) -> None:
    """Reply to each line of standard input: a JSON list of the reference and the answer's expression."""
    die_with_parent(parent)
    # Imported before the first question, so that the question is timed and not the import.
    import math_verify  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print("ready", flush=True)
    for line in sys.stdin:
        _limit_computing()
        print(json.dumps(_reply(*json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
