"""Public benchmarks of multiple choice: ARC, MMLU, GPQA, HellaSwag."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import (
    Benchmark,
    Item,
    LayoutError,
    Row,
    csv_lines,
    csv_rows,
    files_of,
    identifier,
    json_lines,
    one,
)
from scripts.lib.base.errors import shown

LETTERS = "ABCDEFGHIJ"
GPQA_CHOICES = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
# simple-evals' seed for the order of GPQA's choices.
GPQA_SEED = 0
# What WikiHow's articles have left in HellaSwag's texts.
_MARKS = re.compile(r"\[(?:header|title|step|substeps|subtitle)\]")
_HIGH = re.compile(
    r"college|professional|abstract|formal|econometrics|machine_learning|jurisprudence|international_law"
)
_LOW = re.compile(
    r"elementary|high_school|miscellaneous|global_facts|nutrition|marketing|sociology|foreign"
)


def _choice(
    stem: str,
    choices: Mapping[str, str],
    answer: str,
    ending: str,
    check: str,
    how: str = "Explain briefly",
) -> dict[str, Any]:
    """The body of a question with lettered choices. `ending` ends an answer, `{}` being the letter."""
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    known = {"choices": dict(choices)} if check == "multiple_choice" else {}
    asked = f'{how} and end with "{ending.format("X")}", X being the letter.'
    return {
        "prompt": f"{stem.strip()}\n\n{listed}\n\n{asked}",
        "expected": answer,
        "reference_answer": ending.format(answer),
        "scoring": one(f"chooses {answer}", {"type": check, "value": answer, **known}),
    }


def _letter(label: str) -> str:
    """A choice's letter: its label, or the letter in its place where labels are numbers, as they may be."""
    return (
        label if label in tuple(LETTERS) else LETTERS[range(1, len(LETTERS) + 1).index(int(label))]
    )


def _arc(row: Row, tier: int) -> Item:
    question = Row(f"{row.place}: question", row.value("question"))
    listed = question.listed("choices")
    choices = {_letter(choice["label"]): choice["text"] for choice in listed}
    answer = _letter(row.text("answerKey"))
    if len(choices) != len(listed) or answer not in choices:
        raise row.problem("answerKey", "one of the choices' labels, all of which differ")
    body = _choice(question.text("stem"), choices, answer, "The answer is {}.", "multiple_choice")
    return Item("arc", identifier(row.value("id")), f"{row.place}: {row.value('id')}", tier, body)


def read_arc(path: Path) -> Iterator[Item]:
    """`id`, `question` {`stem`, `choices` [{`label`, `text`}]}, `answerKey`; ARC-Easy is of tier 1."""
    for file in files_of(path, "*.jsonl"):
        tier = 1 if "easy" in str(file).lower() else 2
        yield from (_arc(row, tier) for row in json_lines(file))


def read_mmlu(path: Path) -> Iterator[Item]:
    """`SUBJECT_test.csv` without header: question, four choices, letter; the tier by the subject's level."""
    for file in files_of(path, "*_test.csv"):
        subject = file.stem.removesuffix("_test")
        tier = 3 if _HIGH.search(subject) else 1 if _LOW.search(subject) else 2
        for number, (place, cells) in enumerate(csv_lines(file), 1):
            if len(cells) != 6 or cells[5].strip() not in tuple("ABCD"):
                raise LayoutError(
                    f"{place}: expected a question, four choices and a letter A-D, found {shown(cells)}"
                )
            choices = dict(zip("ABCD", cells[1:5], strict=True))
            body = _choice(cells[0], choices, cells[5].strip(), "Answer: {}", "mmlu")
            yield Item("mmlu", f"{identifier(subject)}_{number:04d}", place, tier, body)


def read_gpqa(path: Path) -> Iterator[Item]:
    """`Question`, `Correct Answer`, three incorrect ones; the tier by the writer's estimate, where the file has it.

    The choices stand in the order that simple-evals draws for the file's first pass, whatever is
    sampled of them.
    """
    # The standard generator: its order is the published one, and nothing depends on its being hard
    # to guess.
    chance = random.Random(GPQA_SEED)
    for number, row in enumerate(csv_rows(path, ("Question", *GPQA_CHOICES)), 1):
        texts = [row.text(name).strip() for name in GPQA_CHOICES]
        order = chance.sample(range(4), 4)
        choices = {letter: texts[place] for letter, place in zip("ABCD", order, strict=True)}
        answer = next(letter for letter, text in choices.items() if text == texts[0])
        estimate = str(row.raw.get("Writer's Difficulty Estimate") or "").lower()
        tier = 1 if "easy" in estimate else 2 if "undergraduate" in estimate else 3
        body = _choice(
            row.text("Question"), choices, answer, "Answer: {}", "gpqa", "Think step by step"
        )
        yield Item(
            "gpqa", identifier(row.raw.get("Record ID") or f"q{number:03d}"), row.place, tier, body
        )


def _without_marks(text: str) -> str:
    return " ".join(_MARKS.sub(" ", text.replace(" [title]", ". ")).split())


def read_hellaswag(path: Path) -> Iterator[Item]:
    """`activity_label`, `ctx`, four `endings`, `label` (0-3); tier 1 where training saw the activity, else 2."""
    for number, row in enumerate(json_lines(path)):
        endings = row.texts("endings")
        if len(endings) != 4:
            raise row.problem("endings", "four texts")
        answer = "ABCD"[row.number("label", 0, 3)]
        choices = dict(zip("ABCD", map(_without_marks, endings), strict=True))
        begun = f"{row.text('activity_label').strip()}: {_without_marks(row.text('ctx'))}"
        stem = f"Which ending continues this text best?\n\n{begun} …"
        # By its letter alone: endings are sentences, whose words any answer may have.
        body = _choice(stem, choices, answer, "Answer: {}", "mmlu")
        tier = 1 if row.raw.get("split_type") == "indomain" else 2
        yield Item("hellaswag", f"q{number:05d}", row.place, tier, body)


ROWS: Mapping[str, Benchmark] = {
    "arc": Benchmark(
        "ARC-Easy/*.jsonl, ARC-Challenge/*.jsonl: id, question {stem, choices}, answerKey",
        read_arc,
        "ARC, CC BY-SA 4.0",
    ),
    "mmlu": Benchmark(
        "a folder of SUBJECT_test.csv without header: question, A, B, C, D, letter",
        read_mmlu,
        "MMLU, MIT",
    ),
    "gpqa": Benchmark(
        "gpqa_diamond.csv: Question, Correct Answer, Incorrect Answer 1, Incorrect Answer 2, Incorrect Answer 3",
        read_gpqa,
        "GPQA, CC BY 4.0",
    ),
    "hellaswag": Benchmark(
        "hellaswag_val.jsonl: activity_label, ctx, endings (four), label (0-3)",
        read_hellaswag,
        "HellaSwag, MIT",
    ),
}
