"""The checks against the labelled answers, and one answer tried from the command line."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.harness.answers_corpus import (
    FOLDER,
    RIGHT,
    UNDECIDABLE,
    WRONG,
    answers,
    kinds,
    questions,
    verdict,
)
from benchmarks.harness.scoring import accuracy, ours
from scripts.lib.authoring.prompt_lint import checked_weight
from scripts.lib.prompts.loader import Question
from scripts.lib.scoring.answer.echo import ECHO_CHARACTERS
from scripts.lib.scoring.score import score_answer
from tests.factories.commands import call
from tests.factories.plans import SUITES

pytestmark = pytest.mark.slow

HELD_OUT = FOLDER / "held_out"
ITEMS = [item for kind in kinds() for item in answers(kind)]
BUILT_IN = [q for suite in SUITES.values() for q in suite.questions]


def test_the_corpus_is_whole() -> None:
    for folder, least in ((FOLDER, 2000), (HELD_OUT, 700)):
        rows = [
            json.loads(line)
            for file in folder.glob("*.jsonl")
            for line in file.read_text("utf-8").split("\n")
            if line
        ]
        assert len(rows) >= least
        assert (
            len({row["id"] for row in rows})
            == len(rows)
            == len({(row["question"], row["answer"]) for row in rows})
        )
        for row in rows:
            assert {row["first"], row["second"], row["verdict"]} <= {RIGHT, WRONG, UNDECIDABLE}, (
                row["id"]
            )
            assert row["question"] in questions(folder), row["id"]
            assert row["first"] == row["second"] == row["verdict"] or row["note"], row["id"]


@pytest.mark.parametrize("folder", [FOLDER, HELD_OUT], ids=["corpus", "held out"])
def test_every_check_is_a_good_instrument(folder: Path) -> None:
    found = {kind: list(answers(kind, folder)) for kind in kinds(folder)}
    together = [item for items in found.values() for item in items]
    own = ours(together, folder)
    overall = accuracy(together, own)
    assert overall.passed_right >= (0.99 if folder is FOLDER else 0.97) * overall.right
    assert overall.stopped_wrong >= (0.995 if folder is FOLDER else 0.98) * overall.wrong
    for kind, items in found.items():
        one = accuracy(items, own)
        assert one.passed_right >= 0.93 * one.right, kind
        assert one.stopped_wrong >= 0.8 * one.wrong, kind


def test_an_instrument_that_passes_everything_is_found_out() -> None:
    everything = accuracy(ITEMS, {item.id: True for item in ITEMS})
    assert everything.passed_right == everything.right and everything.stopped_wrong == 0
    nothing = accuracy(ITEMS, {})
    assert nothing.passed_right == 0 and nothing.unscored == nothing.right + nothing.wrong


def restated(question: Question) -> str:
    """The prompt without its last sentence."""
    return re.split(r"(?<=[.?!:])\s+(?=\S[^.?!]*[.?!:]?\s*\Z)", question.prompt_text().strip())[0]


@pytest.mark.parametrize(
    "question",
    [
        q
        for q in BUILT_IN
        if checked_weight(q) and ECHO_CHARACTERS < len(restated(q)) < len(q.prompt_text())
    ],
    ids=lambda q: q.name_in_full,
)
def test_a_restated_problem_takes_nothing_from_the_answer(question: Question) -> None:
    plain = score_answer(question, question.reference_answer, "stop")
    after = score_answer(question, f"{restated(question)}\n\n{question.reference_answer}", "stop")
    assert after.fraction == plain.fraction == 1.0, after.reason


def tried(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))):
        return call("scripts.prompts", "try", *arguments)


def test_an_answer_is_tried_from_the_command_line(tmp_path: Path) -> None:
    text = (
        "To answer this, start with 12 apples. As a result he has 9.\n\n9 + 5 = 14\n\n"
        "I hope this helps!"
    )
    arguments = ("math/t1_q1_apples", "--answer", "-", "--format", "json")
    made = subprocess.run(
        [sys.executable, "-m", "scripts.prompts", "try", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(made.stdout)
    (check,) = found["criteria"][0]["checks"]
    assert (found["score"], found["passed"], check["verdict"], check["extracted"]) == (
        3,
        True,
        "passed",
        "14",
    )
    assert "9 + 5 = 14" in check["evidence"]
    answer = tmp_path / "answer.txt"
    answer.write_text("The answer is 9.\n\nThe answer is 14.")
    shown = tried("math/t1_q1_apples", "--answer", str(answer)).stdout
    assert "unscored" in shown and "states both '9.' and '14.'" in shown


def test_a_corpus_question_is_tried_as_the_corpus_scores_it(tmp_path: Path) -> None:
    for item in [next(answers(kind)) for kind in ("number", "multiple_choice", "json_schema")]:
        made = tried(
            item.question,
            "--answer",
            "-",
            "--prompts",
            str(FOLDER / "suites"),
            "--format",
            "json",
            stdin=item.answer.encode(),
        )
        passed = json.loads(made.stdout)["passed"]
        assert {True: RIGHT, False: WRONG, None: UNDECIDABLE}[passed] == verdict(item)


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("math/t1_q1_aples", "--answer", "-"), b"14", "did you mean 'math/t1_q1_apples'?"),
        (("math/t1_q1_apples", "--answer", "no_such_file"), b"", "no_such_file: cannot be read"),
        (("math/t1_q1_apples", "--answer", "-"), b"caf\xe9", "expected UTF-8 text"),
        (
            ("math/t1_q1_apples", "--answer", "-", "--prompts", "nowhere"),
            b"14",
            "nowhere: expected a folder of suites",
        ),
    ],
)
def test_bad_input_is_one_clear_message(
    arguments: tuple[str, ...], stdin: bytes, said: str
) -> None:
    made = tried(*arguments, stdin=stdin)
    assert made.returncode == 1 and said in made.stderr and "Traceback" not in made.stderr
