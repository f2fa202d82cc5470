"""CRUXEval's verdict: a predicted input or output of a function, held against the function itself in the sandbox."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from scripts.lib.prompts.check_types import CheckOutcome

TIMEOUT_S = 3.0
# A longer prediction is none: outputs have a line or two.
_MOST_CHARACTERS = 20_000
# What Python's parser says of text that is no code, or is nested deeper than it goes.
_NO_CODE = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)
_DECORATION = re.compile(r"\A(?:```[a-z]*\n?|`)|(?:\n?```|`)\Z")


def _parsed(text: str) -> ast.expr | None:
    """The expression of a text, or what an assert statement asks for; None where it is neither."""
    try:
        tree = ast.parse(text.strip())
    except _NO_CODE:
        return None
    only = tree.body[0] if len(tree.body) == 1 else None
    if isinstance(only, ast.Assert):
        return only.test
    return only.value if isinstance(only, ast.Expr) else None


def prediction(answer: str, predict: str) -> ast.expr | None:
    """The expression on the side that was asked for: of the text after `[ANSWER]`, else of the last line.

    It is `assert f(…) == …`, that equation alone, or what was asked for alone. None where it is no
    expression.
    """
    _, tag, tagged = answer.partition("[ANSWER]")
    text = tagged.partition("[/ANSWER]")[0] if tag else answer.strip().rpartition("\n")[2]
    said = _parsed(_DECORATION.sub("", text.strip())) if len(text) <= _MOST_CHARACTERS else None
    if isinstance(said, ast.Compare) and [type(each) for each in said.ops] == [ast.Eq]:
        return said.left if predict == "input" else said.comparators[0]
    return said


def check_cruxeval(answer: str, params: Mapping[str, Any]) -> CheckOutcome:
    """The predicted call of `f` gives `output` (`predict: input`), or the predicted value is `output` (`predict: output`).

    An output that calls `f` with the given input is no prediction, nor is an input that is no call
    of `f`.
    """
    from scripts.lib.scoring.sandbox import CodeTests, run_tests

    code, predict, output = (str(params[name]) for name in ("code", "predict", "output"))
    found = prediction(answer, predict)
    try:
        text = ast.unparse(found) if found is not None else ""
    except _NO_CODE:
        text = ""
    if not text:
        return CheckOutcome(False, "no expression after [ANSWER] or in the last line")
    calls_f = (
        isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id == "f"
    )
    if predict == "input" and not calls_f:
        return CheckOutcome(False, "no call of f", text[:200])
    given = _parsed(f"f({params['input']})")
    if predict == "output" and given is not None and ast.unparse(given) in text:
        return CheckOutcome(False, "calls f instead of saying what it gives", text[:200])
    asked = CodeTests(f"assert predicted__() == ({output})")
    passed, reason = run_tests(
        f"{code}\n\ndef predicted__():\n    return ({text})\n", asked, TIMEOUT_S
    )
    return CheckOutcome(passed, reason, text[:200], "the prediction")
