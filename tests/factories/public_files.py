"""Crafted files in the layouts of public benchmarks: benchmark -> maker of a source in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

FILES = Path("tests/data/public")
_NAMES = {
    "gpqa": "gpqa_diamond.csv",
    "hellaswag": "hellaswag_val.jsonl",
    "math500": "math500_test.jsonl",
    "simpleqa": "simple_qa_test_set.csv",
    "hotpotqa": "hotpot_dev_distractor_v1.json",
    "gaia": "gaia",
}


def _at(file: Path) -> Callable[[Path], Path]:
    def source(_: Path) -> Path:
        return file

    return source


PUBLISHED: Mapping[str, Callable[[Path], Path]] = {
    name: _at(FILES / file) for name, file in _NAMES.items()
}
