"""Check of code: the answer's Python is run against the question's tests in the sandbox."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from itertools import dropwhile, takewhile

from scripts.lib.base.errors import BenchError
from scripts.lib.prompts.check_types import CheckOutcome, texts
from scripts.lib.scoring.cases import read_cases
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.extract.evidence import Undecided
from scripts.lib.scoring.extract.fences import fenced_blocks

DEFAULT_TIMEOUT_S = 10.0
# Prose after code is cut off line by line, at most this many lines.
_MOST_TRIMS = 200
# At most this many characters are parsed in all.
_MOST_TRIED_CHARACTERS = 400_000
# The languages of blocks that may hold Python; many blocks name none.
_PYTHON = ("python", "py", "python3", "python2", "pycon", "ipython", "")
_CODE_LINE = re.compile(r"(?:(?:def|class|import|from|async)\b|@\w|\w+\s*=\s*lambda\b)")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")
# What may follow a function's body without indentation.
_AFTER_BODY = re.compile(r"(?:async def|def|class|import|from)\s|@\w|if __name__|[)\]}#]")
_FENCE_LINE = re.compile(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_INLINE_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)(?P<code>[^`\n]+)\1(?!`)")
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)


def _defines(code: str, entry: str) -> bool:
    """Whether code defines a name: as a function, a class or a variable."""
    name = re.escape(entry)
    definition = (
        rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{name}\b|^[ \t]*{name}[ \t]*(?::[^=\n]+)?="
    )
    return re.search(definition, code, re.MULTILINE) is not None


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _transcript(code: str) -> str:
    """The code after `>>>` and `...` in an interpreter's transcript; other code as it is."""
    if not _PROMPT.search(code) or _parses(code):
        return code
    typed = [
        line.lstrip()[3:].removeprefix(" ") for line in code.split("\n") if _PROMPT.match(line)
    ]
    return "\n".join(typed)


def _beginnings(lines: list[str]) -> Iterator[list[str]]:
    """All lines, then all but the last, and so on."""
    length, tried = sum(map(len, lines)) + len(lines), 0
    for end in range(len(lines), max(0, len(lines) - _MOST_TRIMS), -1):
        yield lines[:end]
        tried += length
        length -= len(lines[end - 1]) + 1
        if tried + length > _MOST_TRIED_CHARACTERS:
            return


def _is_indented(line: str) -> bool:
    """Whether a line is indented or blank."""
    return not line.strip() or line[0] in " \t"


def _dedented(code: str, entry: str) -> str:
    """Code without the indentation that all its definitions share; other code is not changed."""
    dedented = textwrap.dedent(code)
    if dedented == code:
        return code
    name = re.escape(entry) if entry else r"\w+"
    defines = re.search(rf"^(?:async[ \t]+)?(?:def|class)[ \t]+{name}\b", dedented, re.MULTILINE)
    return dedented if defines else code


def _is_indented_code(line: str) -> bool:
    """Whether an indented line begins a definition."""
    return line[:1] in (" ", "\t") and line.lstrip().startswith(
        ("def ", "async def ", "class ", "@")
    )


def _unfenced_code(answer: str) -> str:
    """Code without a fence: from the first line that looks like code, up to the prose after it."""
    if _parses(answer):
        return answer
    lines = answer.splitlines()
    start = next((number for number, line in enumerate(lines) if _CODE_LINE.match(line)), None)
    if start is None:
        # Indented lines after prose are Markdown's other code blocks.
        indented = list(
            takewhile(_is_indented, dropwhile(lambda line: not _is_indented_code(line), lines))
        )
        lines, start = (
            (textwrap.dedent("\n".join(indented)).split("\n"), 0) if indented else (lines, 0)
        )
    for beginning in _beginnings(lines[start:]):
        code = "\n".join(beginning)
        if _parses(code):
            return code
    return answer


def _blocks(answer: str, entry: str) -> list[str]:
    """The answer's code blocks that may hold Python."""
    blocks = [
        body for language, body in fenced_blocks(answer) if language in _PYTHON and body.strip()
    ]
    return [_dedented(_transcript(body), entry) for body in blocks]


def candidates(answer: str, entry: str, setup: str = "") -> Iterator[str]:
    """The possible codes of an answer, the best one first.

    First all its Python blocks as one, then the last block that defines `entry`. An answer may also
    continue `setup`, as the body of a function that begins there; it is then put after `setup`.
    """
    blocks = _blocks(answer, entry)
    if not blocks:
        yield _without_blocks(answer, entry, setup)
        return
    defining = [block for block in blocks if not entry or _defines(block, entry)]
    if not defining and setup:
        # The body may begin before the first fence, which then only ends it.
        before = answer[: fence.start()] if (fence := _FENCE_LINE.search(answer)) else ""
        bodies = (before, blocks[0]) if before.strip() and _is_indented(before) else (blocks[0],)
        if continued := next(filter(None, (_continued(setup, body) for body in bodies)), ""):
            yield continued
            return
    # A block of example output or shell lines is not Python. The defining block alone may be right.
    joined = "\n\n".join(blocks)
    readable = [code for code in dict.fromkeys((joined, *reversed(defining))) if _parses(code)]
    yield from readable[: 2 if len(blocks) > 1 else 1] or [joined]


def first_block(answer: str) -> str:
    """The first Python block, else the first block, else all from the first `def` or `class`."""
    blocks = fenced_blocks(answer)
    if blocks:
        return next((body for language, body in blocks if language == "python"), blocks[0][1])
    definition = re.search(r"^(?:def|class)\s", answer, re.MULTILINE)
    return answer[definition.start() :] if definition is not None else answer


def _without_blocks(answer: str, entry: str, setup: str) -> str:
    """The code of an answer that has no code blocks."""
    code = _unfenced_code(_dedented(_transcript(answer), entry))
    if (not entry or not _defines(code, entry)) and (inline := _inline_code(answer, entry)):
        return inline
    if not entry or not setup or _defines(code, entry):
        return code
    fence = _FENCE_LINE.search(answer)
    return _continued(setup, answer[: fence.start()] if fence is not None else answer) or code


def _inline_code(answer: str, entry: str) -> str:
    """The last code between backticks in a line that defines `entry`; empty if there is none."""
    pieces = [match["code"].strip() for match in _INLINE_CODE.finditer(answer)]
    defining = (
        code for code in reversed(pieces) if entry and _defines(code, entry) and _parses(code)
    )
    return next(defining, "")


def _body_lines(answer: str) -> list[str]:
    """The lines of an answer that may be a function's body and the definitions after it.

    A sentence may come before the body. Prose after it is cut off, even if it happens to be Python.
    """
    lines = answer.split("\n")
    before = list(takewhile(lambda line: not line.strip() or not _is_indented(line), lines))
    if any(map(_AFTER_BODY.match, before)):
        # What is indented is the body of another function.
        return []
    body = lines[len(before) :]
    return list(
        takewhile(lambda line: _is_indented(line) or _AFTER_BODY.match(line) is not None, body)
    )


def _continued(setup: str, answer: str) -> str:
    """The function that `setup` begins, with an answer as its body; empty if that is not Python.

    Lines after the body are cut off: base models continue with other code.
    """
    for beginning in _beginnings(_body_lines(answer)):
        code = "\n".join((setup.rstrip(), *beginning))
        if "\n".join(beginning).strip() and _parses(code):
            return code
    return ""


def check_code(answer: str, params: Params) -> CheckOutcome:
    """The answer's Python passes `tests`, after `setup`; or as a program it passes each of `cases`.

    Undecided without a sandbox, or without the file of cases.
    """
    from scripts.lib.scoring.sandbox import CodeTests, run_tests

    entry, setup = str(params.get("entry_point") or ""), str(params.get("setup") or "")
    timeout_s = float(params.get("timeout_s") or DEFAULT_TIMEOUT_S)
    driver = str(params.get("driver") or "")
    try:
        cases = read_cases(params.get("cases"))
    except BenchError as error:
        raise Undecided(str(error)) from error
    tests = CodeTests(
        str(params.get("tests") or ""),
        setup,
        entry,
        texts(params.get("forbidden")),
        cases,
        str(params.get("compare") or "stripped"),
    )
    # Leading blank lines are removed, but not the first line's indentation: the answer may be a
    # function's body.
    answer = _LEADING_BLANK_LINES.sub("", answer).rstrip()
    if not answer.strip():
        return CheckOutcome(False, "no code")
    verdict = CheckOutcome(False, f"defines no {entry}")
    only_first = params.get("block") == "first"
    for code in (first_block(answer),) if only_first else candidates(answer, entry, setup):
        if entry and not _defines(code, entry):
            continue
        # Code that continues `setup` already contains it.
        whole = code if not setup or code.startswith(setup.rstrip()) else f"{setup}\n{code}"
        passed, reason = run_tests(f"{whole}\n{driver}" if driver else whole, tests, timeout_s)
        verdict = CheckOutcome(passed, reason, code[:200], "the code")
        if passed is not False:
            break
    return verdict
