"""CRUXEval: a predicted input or output of a function is tried on the function in the sandbox."""

from __future__ import annotations

import ast
import re

from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.scoring.checks.common import Params

TIMEOUT_S = 3.0
# A longer text is not a prediction: outputs have a line or two.
_MOST_CHARACTERS = 20_000
# What Python's parser raises for text that is not code, or is nested too deeply.
_NO_CODE = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)
_DECORATION = re.compile(r"\A(?:```[a-z]*\n?|`)|(?:\n?```|`)\Z")


def _parsed(text: str) -> ast.expr | None:
    """The expression of a text, or the condition of an assert statement; None for other texts."""
    try:
        tree = ast.parse(text.strip())
    except _NO_CODE:
        return None
    only = tree.body[0] if len(tree.body) == 1 else None
    if isinstance(only, ast.Assert):
        return only.test
    return only.value if isinstance(only, ast.Expr) else None


def prediction(answer: str, predict: str) -> ast.expr | None:
    """The predicted expression: in the text after `[ANSWER]`, else in the last line.

    The text may be `assert f(…) == …`, just the equation, or just the expression. Of an equation,
    the side that was asked for is used. None if there is no expression.
    """
    _, tag, tagged = answer.partition("[ANSWER]")
    text = tagged.partition("[/ANSWER]")[0] if tag else answer.strip().rpartition("\n")[2]
    said = _parsed(_DECORATION.sub("", text.strip())) if len(text) <= _MOST_CHARACTERS else None
    if isinstance(said, ast.Compare) and [type(each) for each in said.ops] == [ast.Eq]:
        return said.left if predict == "input" else said.comparators[0]
    return said


def check_cruxeval(answer: str, params: Params) -> CheckOutcome:
    """The prediction is right: its call of `f` gives `output`, or its value is `output`.

    `predict` says which of the two was asked for. An output that calls `f` with the given input
    fails, and so does an input that is not a call of `f`.
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
        return CheckOutcome(False, "calls f instead of giving its output", text[:200])
    asked = CodeTests(f"assert predicted__() == ({output})")
    passed, reason = run_tests(
        f"{code}\n\ndef predicted__():\n    return ({text})\n", asked, TIMEOUT_S
    )
    return CheckOutcome(passed, reason, text[:200], "the prediction")
