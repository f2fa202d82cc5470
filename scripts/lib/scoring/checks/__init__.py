"""The check types, one function each: (answer, parameters) -> CheckOutcome.

`check_types.py` lists their parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from scripts.lib.base.timed_regex import PatternTimeout
from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.scoring.checks import marked, published, text
from scripts.lib.scoring.checks.choices import check_multiple_choice
from scripts.lib.scoring.checks.code import check_code
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.checks.cruxeval import check_cruxeval
from scripts.lib.scoring.checks.form import check_constraints
from scripts.lib.scoring.checks.ifeval import check_ifeval
from scripts.lib.scoring.checks.json_schema import check_json_schema
from scripts.lib.scoring.checks.math500 import check_math500
from scripts.lib.scoring.checks.mathematics import check_math
from scripts.lib.scoring.checks.numbers import check_number
from scripts.lib.scoring.checks.plain import check_plain_text
from scripts.lib.scoring.checks.tools import check_tool_call
from scripts.lib.scoring.extract.evidence import Undecided

Check = Callable[[str, Params], CheckOutcome]
_CHECKS: dict[str, Check] = {
    "number": check_number,
    "math": check_math,
    "exact": text.check_exact,
    "normalized": text.check_normalized,
    "items": text.check_items,
    "multiple_choice": check_multiple_choice,
    "regex": text.check_regex,
    "contains": text.check_contains,
    "json_schema": check_json_schema,
    "tool_call": check_tool_call,
    "constraints": check_constraints,
    "code": check_code,
    "needle": text.check_needle,
    "plain_text": check_plain_text,
    "extracted": marked.check_extracted,
    "substring": marked.check_substring,
    "word_overlap": marked.check_word_overlap,
    "em": published.check_em,
    "f1": published.check_f1,
    "cruxeval": check_cruxeval,
    "gsm8k": published.check_gsm8k,
    "mmlu": published.check_mmlu,
    "gpqa": published.check_gpqa,
    "math500": check_math500,
    "hotpot": published.check_hotpot,
    "gaia": published.check_gaia,
    "ifeval": check_ifeval,
}


def _deciding(check: Check) -> Check:
    """The check, with an undecided outcome if it cannot decide."""

    @wraps(check)
    def run(answer: str, params: Params) -> CheckOutcome:
        try:
            return check(answer, params)
        except Undecided as error:
            return CheckOutcome(None, str(error))
        except PatternTimeout as error:
            return CheckOutcome(None, f"gave up on a pattern: {str(error)[:80]}")

    return run


CHECKS = {kind: _deciding(check) for kind, check in _CHECKS.items()}
