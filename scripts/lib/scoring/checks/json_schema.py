"""Check of JSON against a schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.extract.evidence import tail
from scripts.lib.scoring.extract.json_values import json_values, only_json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_KINDS: dict[Any, type] = {"object": dict, "array": list}


def check_json_schema(answer: str, params: Params) -> CheckOutcome:
    """The answer's JSON is valid against `schema`. With `only`, the answer is only JSON."""
    from jsonschema import Draft202012Validator

    schema = params["schema"]
    if params.get("only") and not only_json(answer):
        return CheckOutcome(False, "not JSON alone")
    kind = _KINDS.get(schema.get("type")) if isinstance(schema, dict) else None
    try:
        readings = json_values(tail(answer), kind)
    except ValueError as error:
        return CheckOutcome(False, f"not JSON: {str(error)[:80]}")
    validator = Draft202012Validator(schema)
    outcomes = [_judged(values, validator) for values in readings]
    # A valid value counts, even beside one of other keys; next comes an undecided one.
    return min(outcomes, key=lambda item: (True, None, False).index(item.passed))


def first_problem(validator: Validator, value: Any) -> ValidationError | None:
    """The first mistake of a value by its place; None if it is valid.

    The validator finds them in an order that changes from process to process.
    """
    return min(
        validator.iter_errors(value),
        key=lambda error: ([str(part) for part in error.absolute_path], error.message),
        default=None,
    )


def _judged(values: list[Any], validator: Validator) -> CheckOutcome:
    """Whether the first value is valid; undecided if some of the values are valid and some not."""
    problems = [first_problem(validator, value) for value in values]
    given = json.dumps(values[0], ensure_ascii=False)[:200]
    if None in problems and any(problems):
        return CheckOutcome(
            None, "two JSON objects of the same keys, one valid and one not", given, "JSON"
        )
    if problems[0] is None:
        return CheckOutcome(True, "valid JSON", given, "JSON")
    return CheckOutcome(False, f"JSON: {problems[0].message[:100]}", given, "JSON")
