"""IFEval: one criterion for each instruction, decided by the check `ifeval`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import Benchmark, Item, identifier, json_lines


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


def read_ifeval(path: Path) -> Iterator[Item]:
    """`key`, `prompt`, `instruction_id_list`, `kwargs`; the tier by the number of instructions."""
    for row in json_lines(path):
        key, names, settings = (
            row.value("key"),
            row.texts("instruction_id_list"),
            row.listed("kwargs"),
        )
        if len(settings) != len(names):
            raise row.problem("kwargs", f"settings for each of {len(names)} instructions")
        body = {
            "prompt": row.text("prompt"),
            "expected": ", ".join(names),
            "scoring": criteria(names, settings),
        }
        yield Item("ifeval", f"q{identifier(key)}", f"key {key}", min(len(names), 3), body)


ROWS: Mapping[str, Benchmark] = {
    "ifeval": Benchmark(
        "input_data.jsonl: key, prompt, instruction_id_list, kwargs",
        read_ifeval,
        "IFEval, Apache-2.0",
    ),
}
