"""Exact mathematical equality, decided in a process of its own.

sympy can compute forever, in C code that no signal handler interrupts. So a worker process decides.
It limits its own processor time: if an expression takes too long, the kernel ends it, and the next
check starts another worker. sympy is imported only if mathematics is checked.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import re
import resource
import signal
import sys
import time
from functools import lru_cache
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.line_worker import LineWorker, WorkerLost
from scripts.lib.base.process_lifetime import die_with_parent
from scripts.lib.scoring.extract.evidence import Undecided

MOST_CHARACTERS = 300
# The limit is for the worker's own processor time, so a busy machine makes no difference. The clock
# limit is for a worker that hangs without computing.
PROCESSOR_SECONDS = 3.0
CLOCK_SECONDS = 60.0
MEMORY_BYTES = 2 << 30
# When a worker is lost, another one is asked.
ATTEMPTS = 2
# Too large to compute: towers of powers, long exponents, long factorials, numbers of 200 digits.
_TOO_LARGE = re.compile(
    r"\^\s*\{?\s*-?\w+\s*\}?\s*\^|\^\s*\{[^{}]*\^[^{}]*\{?\d{2,}"
    r"|\^\s*\{?\s*-?\d{5,}"
    r"|\d{4,}\s*!|!\s*!"
    r"|\d{200,}"
)


class Worker(LineWorker):
    """The process that decides equality."""

    clock_s = CLOCK_SECONDS

    def arguments(self) -> list[str]:
        """The worker is this module, with the number of its parent and its limit."""
        return ["-m", "scripts.lib.scoring.equality", str(os.getpid()), str(PROCESSOR_SECONDS)]

    def equal(self, gold: str, answer: str) -> bool | None:
        """Whether two expressions are equal; None if the second is not an expression.

        Raises Undecided.
        """
        why = ""
        for _ in range(ATTEMPTS):
            try:
                reply = self.ask([gold, answer])
            except BenchError as error:
                why = str(error)
            except WorkerLost as lost:
                if lost.code == -signal.SIGXCPU:
                    late = f"no decision within {PROCESSOR_SECONDS:g} s of computing"
                    raise Undecided(late) from lost
                why = "the worker ended, or the machine gave it no time"
                if lost.code > 0:
                    why = "math-verify could not be started (is it installed?)"
            else:
                if "error" in reply:
                    raise Undecided(str(reply["error"]))
                equal: bool | None = reply["equal"]
                return equal
        raise Undecided(why)


_WORKER = Worker()
atexit.register(_WORKER.close)


@lru_cache(maxsize=1024)
def equal(gold: str, answer: str) -> bool | None:
    """Whether two expressions in LaTeX are equal; None if the second is not an expression.

    Raises Undecided if this would take too long, or if the worker cannot read the first.
    """
    if gold == answer:
        return True
    if len(answer) > MOST_CHARACTERS:
        return None
    if _TOO_LARGE.search(answer) and not _TOO_LARGE.search(gold):
        raise Undecided("the expression is too large to compute")
    return _WORKER.equal(gold, answer)


# --- in the worker --------------------------------------------------------------------------------


def _exact(value: Any) -> Any:
    """A value of sympy with its decimal numbers as fractions."""
    import sympy

    return value.xreplace(
        {number: sympy.Rational(str(number)) for number in value.atoms(sympy.Float)}
    )


def _same(gold: Any, answer: Any) -> bool:
    """Whether two sympy values are exactly equal: numbers, expressions, sets, tuples, matrices.

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
    """The worker's reply: `equal` (true, false or null), or `error` for an unreadable reference."""
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


def _serve(parent: int, processor_s: float) -> None:
    """Reply to each line of standard input: a JSON list of the reference and the expression.

    `processor_s` limits the computing for one line; beyond it the kernel ends the process by
    SIGXCPU.
    """
    die_with_parent(parent)
    # Imported before the first question, so that the limit is for the question alone.
    import math_verify  # noqa: F401

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    for line in sys.stdin:
        limit = math.ceil(time.process_time() + processor_s)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, most))
        print(json.dumps(_reply(*json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
