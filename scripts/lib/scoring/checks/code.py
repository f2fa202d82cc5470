"""Check of code: the answer's Python is run against the question's tests in the sandbox."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.lib.check_types import Outcome
from scripts.lib.scoring.fences import fenced_blocks

DEFAULT_TIMEOUT_S = 10.0
# Prose after code is cut off line by line, this many lines at most.
_MOST_TRIMS = 200
# The languages of blocks that may hold Python; many blocks name none.
_PYTHON = ("python", "py", "python3", "python2", "pycon", "ipython", "")
_CODE_LINE = re.compile(r"(?:(?:def|class|import|from|async)\b|@\w|\w+\s*=\s*lambda\b)")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)


def _defines(code: str, entry: str) -> bool:
    """Whether code defines a name: as a function, a class or a variable."""
    name = re.escape(entry)
    definition = rf"^\s*(?:async\s+)?(?:def|class)\s+{name}\b|^\s*{name}\s*(?::[^=\n]+)?="
    return re.search(definition, code, re.MULTILINE) is not None


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _transcript(code: str) -> str:
    """The code that was typed in an interpreter session, after `>>>` and `...`; other code stays as it is."""
    if not _PROMPT.search(code) or _parses(code):
        return code
    typed = [line.lstrip()[3:].removeprefix(" ") for line in code.split("\n") if _PROMPT.match(line)]
    return "\n".join(typed)


def _beginnings(lines: list[str]) -> Iterator[list[str]]:
    """All lines, then all but the last, and so on."""
    for end in range(len(lines), max(0, len(lines) - _MOST_TRIMS), -1):
        yield lines[:end]


def _unfenced_code(answer: str) -> str:
    """Code without a fence: from the first line that looks like code, without the prose after it."""
    if _parses(answer):
        return answer
    lines = answer.splitlines()
    start = next((number for number, line in enumerate(lines) if _CODE_LINE.match(line)), 0)
    for beginning in _beginnings(lines[start:]):
        code = "\n".join(beginning)
        if _parses(code):
            return code
    return answer


def _blocks(answer: str) -> list[str]:
    """The answer's code blocks that may hold Python."""
    blocks = [body for language, body in fenced_blocks(answer) if language in _PYTHON and body.strip()]
    return [_transcript(body) for body in blocks]


def candidates(answer: str, entry: str, setup: str = "") -> Iterator[str]:
    """What may be the answer's code, the best first.

    That is all its Python blocks as one, then the last that defines `entry`. An answer may only continue
    `setup`, as the body of a function that is begun there. It is put after it.
    """
    blocks = _blocks(answer)
    if not blocks:
        yield _without_blocks(answer, entry, setup)
        return
    defining = [block for block in blocks if not entry or _defines(block, entry)]
    if not defining and setup and (continued := _continued(setup, blocks[0])):
        yield continued
        return
    # A block of example output or shell lines makes the whole unreadable. The defining block alone may still
    # be right.
    joined = "\n\n".join(blocks)
    readable = [code for code in dict.fromkeys((joined, *reversed(defining))) if _parses(code)]
    yield from readable[: 2 if len(blocks) > 1 else 1] or [joined]


def _without_blocks(answer: str, entry: str, setup: str) -> str:
    """The code of an answer that has no code blocks."""
    code = _unfenced_code(_transcript(answer))
    if not entry or not setup or _defines(code, entry):
        return code
    return _continued(setup, answer) or code


def _continued(setup: str, body: str) -> str:
    """The function that `setup` begins, with an answer as its body; empty where that is not Python.

    Lines after the body are cut off: base models continue with other code.
    """
    for beginning in _beginnings(body.split("\n")):
        code = "\n".join((setup.rstrip(), *beginning))
        if "\n".join(beginning).strip() and _parses(code):
            return code
    return ""


def check_code(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's Python passes `tests`, after `setup`. Unscored where there is no sandbox to run it in."""
    from scripts.lib.scoring.sandbox import run_tests

    entry, setup = str(params.get("entry_point") or ""), str(params.get("setup") or "")
    timeout_s = float(params.get("timeout_s") or DEFAULT_TIMEOUT_S)
    # Leading blank lines go, but not the first line's indentation: the answer may be a function's body.
    answer = _LEADING_BLANK_LINES.sub("", answer).rstrip()
    if not answer.strip():
        return Outcome(False, "no code")
    verdict = Outcome(False, f"defines no {entry}")
    for code in candidates(answer, entry, setup):
        if entry and not _defines(code, entry):
            continue
        # Code that continues `setup` holds it already.
        whole = code if not setup or code.startswith(setup.rstrip()) else f"{setup}\n{code}"
        passed, reason = run_tests(whole, str(params["tests"]), timeout_s)
        verdict = Outcome(passed, reason, code[:200], "the code")
        if passed is not False:
            break
    return verdict
