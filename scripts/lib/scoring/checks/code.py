"""Check of code: the answer's Python passes the question's tests in the sandbox."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.lib.check_types import Outcome
from scripts.lib.scoring.fences import fenced_blocks

DEFAULT_TIMEOUT_S = 10.0
_MOST_TRIMS = 200
_PYTHON = ("python", "py", "python3", "python2", "pycon", "ipython", "")
_CODE_LINE = re.compile(r"(?:(?:def|class|import|from|async)\b|@\w|\w+\s*=\s*lambda\b)")
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)


def _defines(code: str, entry: str) -> bool:
    name = re.escape(entry)
    return re.search(rf"^\s*(?:async\s+)?(?:def|class)\s+{name}\b|^\s*{name}\s*(?::[^=\n]+)?=", code, re.M) is not None


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _transcript(code: str) -> str:
    """What was typed in a session of the interpreter: lines behind `>>>` and `...`."""
    if not _PROMPT.search(code) or _parses(code):
        return code
    typed = [line.lstrip()[3:].removeprefix(" ") for line in code.split("\n") if _PROMPT.match(line)]
    return "\n".join(typed)


def _bare(answer: str) -> str:
    """Code without a fence: from the first line that looks like code, prose after it cut off."""
    if _parses(answer):
        return answer
    lines = answer.splitlines()
    start = next((i for i, line in enumerate(lines) if _CODE_LINE.match(line)), 0)
    lines = lines[start:]
    for end in range(len(lines), max(0, len(lines) - _MOST_TRIMS), -1):
        code = "\n".join(lines[:end])
        if _parses(code):
            return code
    return answer


def _blocks(answer: str) -> list[str]:
    return [_transcript(body) for language, body in fenced_blocks(answer) if language in _PYTHON and body.strip()]


def candidates(answer: str, entry: str, setup: str = "") -> Iterator[str]:
    """What may be the answer's code, best first: all its Python blocks as one, else the last that defines `entry`.

    An answer that only goes on where `setup` ends (the body of a function that is begun there) is put behind it.
    """
    blocks = _blocks(answer)
    if not blocks:
        bare = _bare(_transcript(answer))
        yield bare if not entry or _defines(bare, entry) or not setup else _continued(setup, answer) or bare
        return
    defining = [block for block in blocks if not entry or _defines(block, entry)]
    if not defining and setup and (continued := _continued(setup, blocks[0])):
        yield continued
        return
    # A block of example output or shell lines makes the whole unreadable; the defining one alone may still be right.
    joined = "\n\n".join(blocks)
    readable = [code for code in dict.fromkeys((joined, *reversed(defining))) if _parses(code)]
    yield from readable[: 2 if len(blocks) > 1 else 1] or [joined]


def _continued(setup: str, body: str) -> str:
    """The function that `setup` begins, with an answer as its body; empty where that is no Python.

    What follows the body is cut off: base models go on with other code.
    """
    lines = body.split("\n")
    for end in range(len(lines), max(0, len(lines) - _MOST_TRIMS), -1):
        code = "\n".join((setup.rstrip(), *lines[:end]))
        if "\n".join(lines[:end]).strip() and _parses(code):
            return code
    return ""


def check_code(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's Python passes `tests` (after `setup`, which is run first); without a sandbox it cannot run."""
    from scripts.lib.scoring.sandbox import run_tests

    entry, setup = str(params.get("entry_point") or ""), str(params.get("setup") or "")
    timeout_s = float(params.get("timeout_s") or DEFAULT_TIMEOUT_S)
    # Blank lines go, but not the first line's indentation: the answer may be a function's body.
    answer = re.sub(r"\A(?:[ \t]*\n)+", "", answer).rstrip()
    if not answer.strip():
        return Outcome(False, "no code")
    verdict = Outcome(False, f"defines no {entry}")
    for code in candidates(answer, entry, setup):
        if entry and not _defines(code, entry):
            continue
        # What goes on where `setup` ends holds it already.
        whole = code if not setup or code.startswith(setup.rstrip()) else f"{setup}\n{code}"
        passed, reason = run_tests(whole, str(params["tests"]), timeout_s)
        verdict = Outcome(passed, reason, code[:200], "the code")
        if passed is not False:
            break
    return verdict
