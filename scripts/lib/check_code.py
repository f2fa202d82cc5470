"""Check of code: the answer's Python passes the question's tests in the sandbox."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from scripts.lib.answers import fenced_blocks
from scripts.lib.check_types import Outcome

DEFAULT_TIMEOUT_S = 10.0
_MOST_TRIMS = 200


def _defines(code: str, entry: str) -> bool:
    return (
        re.search(rf"^\s*(?:async\s+)?(?:def|class)\s+{re.escape(entry)}\b|^{re.escape(entry)}\s*=", code, re.M)
        is not None
    )


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _bare(answer: str) -> str:
    """Code without a fence: from the first line that looks like code, prose after it cut off."""
    if _parses(answer):
        return answer
    lines = answer.splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"(?:(?:def|class|import|from|async)\b|@\w)", line)), 0)
    lines = lines[start:]
    for end in range(len(lines), max(0, len(lines) - _MOST_TRIMS), -1):
        code = "\n".join(lines[:end])
        if _parses(code):
            return code
    return answer


def candidates(answer: str, entry: str) -> list[str]:
    """What may be the answer's code, best first: all its Python blocks as one, else the last that defines `entry`."""
    blocks = [body for language, body in fenced_blocks(answer) if language in ("python", "py", "python3", "")]
    if not blocks:
        return [_bare(answer)]
    joined = "\n\n".join(blocks)
    if len(blocks) == 1:
        return [joined]
    defining = [block for block in blocks if not entry or _defines(block, entry)]
    # A block of example output or shell lines makes the whole unreadable; the defining one alone may still be right.
    return [code for code in (joined, *defining[-1:]) if _parses(code)] or [joined]


def check_code(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's Python passes `tests` (after `setup`, before the answer's code); without a sandbox it cannot run."""
    from scripts.lib.sandbox import run_tests

    entry, setup = str(params.get("entry_point") or ""), str(params.get("setup") or "")
    if not answer.strip():
        return Outcome(False, "no code")
    verdict = Outcome(False, f"defines no {entry}")
    for code in candidates(answer, entry):
        if entry and not _defines(code, entry):
            continue
        timeout_s = float(params.get("timeout_s") or DEFAULT_TIMEOUT_S)
        passed, reason = run_tests(f"{setup}\n{code}" if setup else code, str(params["tests"]), timeout_s)
        verdict = Outcome(passed, reason)
        if passed is not False:
            break
    return verdict
