"""Public benchmarks of multiple choice: ARC, MMLU, GPQA, HellaSwag."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import (
    Item,
    LayoutError,
    Row,
    csv_lines,
    csv_rows,
    files_of,
    identifier,
    json_lines,
    question,
)
from scripts.lib.base.errors import shown

# A choice's label, a letter or a number, -> its letter.
_LETTERS = {
    label: letter
    for number, letter in enumerate("ABCDEFGHIJ", 1)
    for label in (letter, str(number))
}
GPQA_CHOICES = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
# simple-evals' seed for the order of GPQA's choices.
GPQA_SEED = 0
# Marks of WikiHow's articles in HellaSwag's texts.
_MARKS = re.compile(r"\[(?:header|title|step|substeps|subtitle)\]")
_HIGH = re.compile(
    r"college|professional|abstract|formal|econometrics|machine_learning|jurisprudence"
    r"|international_law"
)
_LOW = re.compile(
    r"elementary|high_school|miscellaneous|global_facts|nutrition|marketing|sociology|foreign"
)


def _choice(
    stem: str,
    choices: Mapping[str, str],
    answer: str,
    check: str,
    ending: str = "Answer: {}",
    how: str = "Explain briefly",
) -> dict[str, Any]:
    """The body of a question with lettered choices. `ending` ends an answer, `{}` is the letter."""
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    known = {"choices": dict(choices)} if check == "multiple_choice" else {}
    asked = f'{how} and end with "{ending.format("X")}", X being the letter.'
    return question(
        prompt=f"{stem.strip()}\n\n{listed}\n\n{asked}",
        expected=answer,
        reference=ending.format(answer),
        criterion=f"chooses {answer}",
        check={"type": check, "value": answer, **known},
    )


def read_arc(path: Path) -> Iterator[Item]:
    """ARC-Easy is of tier 1, ARC-Challenge of tier 2."""
    for row in json_lines(path):
        asked, name = Row(f"{row.place}: question", row.value("question")), row.value("id")
        listed = asked.listed("choices")
        choices = {_LETTERS[str(choice["label"])]: choice["text"] for choice in listed}
        answer = _LETTERS[row.text("answerKey")]
        if len(choices) != len(listed) or answer not in choices:
            raise row.problem("answerKey", "one of the choices' labels, all of which differ")
        stem, tier = asked.text("stem"), 1 if "easy" in str(row.file).lower() else 2
        body = _choice(stem, choices, answer, "multiple_choice", "The answer is {}.")
        yield Item(identifier(name), f"{row.place}: {name}", tier, body)


def read_mmlu(path: Path) -> Iterator[Item]:
    """The tier follows the subject's level. The files are named `SUBJECT_test.csv`."""
    for file in files_of(path, "*_test.csv"):
        subject = file.stem.removesuffix("_test")
        tier = 3 if _HIGH.search(subject) else 1 if _LOW.search(subject) else 2
        for number, (place, cells) in enumerate(csv_lines(file), 1):
            if len(cells) != 6 or cells[5].strip() not in tuple("ABCD"):
                expected = "a question, four choices and a letter A-D"
                raise LayoutError(f"{place}: expected {expected}, found {shown(cells)}")
            choices = dict(zip("ABCD", cells[1:5], strict=True))
            body = _choice(cells[0], choices, cells[5].strip(), "mmlu")
            yield Item(f"{identifier(subject)}_{number:04d}", place, tier, body)


def read_gpqa(path: Path) -> Iterator[Item]:
    """The tier follows the writer's estimate, if the file has it.

    The choices have the order that simple-evals draws in its first pass over the file. It does not
    depend on which questions are sampled.
    """
    chance = random.Random(GPQA_SEED)
    for number, row in enumerate(csv_rows(path, ("Question", *GPQA_CHOICES)), 1):
        texts = [row.text(name).strip() for name in GPQA_CHOICES]
        order = chance.sample(range(4), 4)
        choices = {letter: texts[place] for letter, place in zip("ABCD", order, strict=True)}
        answer = next(letter for letter, text in choices.items() if text == texts[0])
        estimate = str(row.raw.get("Writer's Difficulty Estimate") or "").lower()
        tier = 1 if "easy" in estimate else 2 if "undergraduate" in estimate else 3
        name = row.raw.get("Record ID") or f"q{number:03d}"
        body = _choice(row.text("Question"), choices, answer, "gpqa", how="Think step by step")
        yield Item(identifier(name), row.place, tier, body)


def _without_marks(text: str) -> str:
    return " ".join(_MARKS.sub(" ", text.replace(" [title]", ". ")).split())


def read_hellaswag(path: Path) -> Iterator[Item]:
    """Tier 1 if the activity is in the training set, else 2."""
    for number, row in enumerate(json_lines(path)):
        endings = row.texts("endings")
        if len(endings) != 4:
            raise row.problem("endings", "four texts")
        answer = "ABCD"[row.number("label", 0, 3)]
        choices = dict(zip("ABCD", map(_without_marks, endings), strict=True))
        begun = f"{row.text('activity_label').strip()}: {_without_marks(row.text('ctx'))}"
        stem = f"Which ending continues this text best?\n\n{begun} …"
        # The letter alone decides: the words of an ending may be in any answer.
        body = _choice(stem, choices, answer, "mmlu")
        tier = 1 if row.raw.get("split_type") == "indomain" else 2
        yield Item(f"q{number:05d}", row.place, tier, body)
