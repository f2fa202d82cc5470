"""IFEval's instructions as criteria: one for each, decided by the check `ifeval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def criteria(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One criterion per instruction, of equal weight (the first takes what is left over)."""
    if not names:
        return []
    share = 100 // len(names)
    made = []
    for index, (name, given) in enumerate(zip(names, settings, strict=True)):
        # One publication lists every setting of every instruction, those of the others as null.
        known = {key: value for key, value in given.items() if value is not None}
        check = {"type": "ifeval", "instruction": name, **({"kwargs": known} if known else {})}
        weight = share + (100 - share * len(names) if index == 0 else 0)
        made.append({"criterion": _wording(name, known), "weight": weight, "checks": [check]})
    return made


def _wording(name: str, settings: Mapping[str, Any]) -> str:
    """`length_constraints:number_words (relation at least, num_words 300)`."""
    told = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{name} ({told})" if told else name
