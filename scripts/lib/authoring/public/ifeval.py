"""IFEval: one criterion for each instruction, decided by the check `ifeval`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import Item, identifier, json_lines


def criteria(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One criterion per instruction, of equal weight; the first one also gets the remainder.

    Its text: `length_constraints:number_words (relation at least, num_words 300)`.
    """
    made: list[dict[str, Any]] = []
    for name, given in zip(names, settings, strict=True):
        # One publication lists the settings of all instructions, with null if they do not apply.
        known = {key: value for key, value in given.items() if value is not None}
        check = {"type": "ifeval", "instruction": name, **({"kwargs": known} if known else {})}
        listed = ", ".join(f"{key} {value}" for key, value in known.items())
        text = f"{name} ({listed})" if listed else name
        remainder = 0 if made else 100 % len(names)
        weight = 100 // len(names) + remainder
        made.append({"criterion": text, "weight": weight, "checks": [check]})
    return made


def read_ifeval(path: Path) -> Iterator[Item]:
    """The tier follows the number of instructions."""
    for row in json_lines(path):
        key, names = row.value("key"), row.texts("instruction_id_list")
        settings = row.listed("kwargs")
        if len(settings) != len(names):
            raise row.problem("kwargs", f"settings for each of {len(names)} instructions")
        body = {
            "prompt": row.text("prompt"),
            "expected": ", ".join(names),
            "scoring": criteria(names, settings),
        }
        yield Item(f"q{identifier(key)}", f"key {key}", min(len(names), 3), body)
