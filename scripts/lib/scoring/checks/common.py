"""Shared by several checks: parameters, and the wording of an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.prompts.check_types import CheckOutcome, texts

Params = Mapping[str, Any]


def accepted(params: Params) -> list[str]:
    """The texts that a check accepts: `value` and those of `any_of`."""
    return [*texts(params["value"]), *texts(params.get("any_of"))]


def compared(
    right: bool, found: str, wanted: object, extracted: str, evidence: str = ""
) -> CheckOutcome:
    """An outcome; its reason says what was found, and if that is wrong, what was expected."""
    reason = found if right else f"{found}, expected {wanted}"
    return CheckOutcome(right, reason, extracted, evidence)
