"""Public benchmarks from crafted files: what is asked, how it is scored, what is refused."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.authoring.public.choices import GPQA_CHOICES
from scripts.lib.authoring.public_benchmarks import BENCHMARKS, import_benchmark, read_benchmark
from scripts.lib.base.errors import BenchError
from scripts.lib.prompts.loader import Question, load_suites
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.checks.published import gaia_final, hotpot_f1, short_answer
from scripts.lib.scoring.judge_prompt import material, score_reply
from scripts.lib.scoring.score import score_answer
from tests.factories.commands import call
from tests.factories.public_files import FILES, PUBLISHED

OFFICIAL = Path("tests/data/official")


def imported(name: str, out: Path, source: Path | None = None) -> list[Question]:
    import_benchmark(name, source or PUBLISHED[name](out), out, None, 0)
    return list(load_suites(out)[name].questions)


def score(question: Question, answer: str) -> int | None:
    return score_answer(question, answer, "stop").score


def rows(name: str) -> list[dict[str, Any]]:
    lines = (OFFICIAL / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


# --- verdicts of the published scorers ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "framed"),
    [("gpqa", "{}"), ("hotpot", "{}"), ("gaia", "I looked.\nFINAL ANSWER: {}"), ("math500", "{}")],
)
def test_checks_decide_as_published(kind: str, framed: str) -> None:
    found = [
        (
            row,
            CHECKS[kind](framed.format(row["answer"]), {"value": row["value"]}).passed
            is row["official"],
        )
        for row in rows(kind)
    ]
    # A row that tells why we differ does differ: an entry that became useless is seen.
    assert [row for row, same in found if same is ("differs" in row)] == []
    assert {row["official"] for row, _ in found} == {True, False} and len(found) > 25


def test_hotpots_f1_is_the_published_one() -> None:
    for row in rows("hotpot"):
        assert hotpot_f1(row["answer"], row["value"]) == pytest.approx(row["f1"], abs=1e-6), row
        for least in (0.5, 0.7):
            passed = CHECKS["hotpot"](row["answer"], {"value": row["value"], "least": least}).passed
            assert passed is (row["f1"] >= least), row


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("It was her.\nAnswer: Tamsin Vey", "Tamsin Vey"),
        ("Answer: no\nWait.\n**Answer:** yes", "yes"),
        ("> Final answer: 1984", "1984"),
        (
            "The answer: it is not at a line's beginning",
            "The answer: it is not at a line's beginning",
        ),
        ("Tamsin Vey", "Tamsin Vey"),
        ("Answer:\n", "Answer:\n"),
    ],
)
def test_the_short_answer_stands_behind_the_last_label(text: str, short: str) -> None:
    assert short_answer(text) == short


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("FINAL ANSWER: 3", "3"),
        ("final answer: 1\nFINAL ANSWER: 2, 3\nThat is all.", "2, 3"),
        ("**FINAL ANSWER:** 12", "12"),
        ("**FINAL ANSWER: `north`**", "north"),
        ("FINAL ANSWER:\n\n  north\n", "north"),
        ("FINAL ANSWER:", ""),
        ("The answer is 3", None),
    ],
)
def test_gaias_final_answer_is_found(text: str, final: str | None) -> None:
    assert gaia_final(text) == final


def test_math500_reads_the_last_box_and_never_runs_it(tmp_path: Path) -> None:
    check = CHECKS["math500"]
    assert check(r"First \boxed{3}, then \boxed{4}.", {"value": "4"}).passed
    assert check(r"First \boxed{4}, then \boxed{3}.", {"value": "4"}).passed is False
    assert check("It is 4.", {"value": "4"}).reason == "no \\boxed{…}"
    target = tmp_path / "written"
    assert (
        check(rf'\boxed{{open("{target}","w")}}', {"value": "4"}).passed is False
        and not target.exists()
    )


# --- what is asked --------------------------------------------------------------------------------


def test_gpqas_choices_stand_in_the_published_order(tmp_path: Path) -> None:
    questions = imported("gpqa", tmp_path)
    with (FILES / "gpqa_diamond.csv").open(encoding="utf-8", newline="") as stream:
        published = list(csv.DictReader(stream))
    chance = random.Random(0)
    for question, row in zip(questions, published, strict=True):
        order = chance.sample(range(4), 4)
        listed = [
            f"{letter}. {row[GPQA_CHOICES[place]].strip()}"
            for letter, place in zip("ABCD", order, strict=True)
        ]
        assert "\n".join(listed) in question.prompt and question.expected == "ABCD"[order.index(0)]
        assert score(question, f"So.\nAnswer: {question.expected}") == 3
        assert score(question, f"Answer: {'ABCD'.replace(question.expected, '')[0]}") == 0
    assert [q.id for q in questions] == ["recBall01", "recRing02", "recBase03", "recMass04"]
    assert [q.tier for q in questions] == [1, 2, 3, 3]
    assert "cyclohepta[b]furan" in questions[1].prompt and "from 5 m (g" in questions[0].prompt


def test_a_sample_of_gpqa_asks_the_same_questions(tmp_path: Path) -> None:
    whole = {question.id: question.prompt for question in imported("gpqa", tmp_path / "whole")}
    import_benchmark("gpqa", PUBLISHED["gpqa"](tmp_path), tmp_path / "some", 2, 5)
    some = load_suites(tmp_path / "some")["gpqa"].questions
    assert len(some) == 2 and all(whole[question.id] == question.prompt for question in some)


def test_hellaswag_asks_for_a_letter(tmp_path: Path) -> None:
    first, second = imported("hellaswag", tmp_path)
    assert (first.expected, first.tier, second.expected, second.tier) == ("C", 1, "A", 2)
    assert "[" not in second.prompt and "How to repot a fern. Choose a pot." in second.prompt
    assert score(first, "Answer: C") == 3 and score(first, "Answer: A") == 0
    # The endings are sentences: their words decide nothing.
    assert score(first, "I cannot help with that.") == 0


def test_math500_keeps_level_and_solution(tmp_path: Path) -> None:
    half, name, long = imported("math500", tmp_path)
    assert [q.tier for q in (half, name, long)] == [
        1,
        2,
        3,
    ] and half.id == "test_prealgebra_9001_json"
    assert score(half, r"$\boxed{\dfrac12}$") == 3 and score(half, r"$\boxed{\frac{2}{4}}$") == 0
    assert score(name, r"\boxed{marta}") == 3 and score(name, r"\boxed{Jonas}") == 0
    assert score(long, r"\boxed{22040600}") == 3 and score(long, r"\boxed{22040601}") == 0


def test_simpleqa_is_a_judges(tmp_path: Path) -> None:
    person, number = imported("simpleqa", tmp_path)
    assert person.prompt.endswith('the story "Orrel"?') and number.reference_answer == "212"
    for answer in ("Tamsin Vey", "I do not know.", ""):
        assert score(person, answer) is None
    correct, not_incorrect = person.scoring
    assert (correct.weight, not_incorrect.weight) == (
        85,
        15,
    ) and not correct.checks + not_incorrect.checks
    # A judge's "partly" of the first, with the second met, is no pass.
    assert (0.5 * correct.weight + not_incorrect.weight) / 100 < 0.6 <= correct.weight / 100


@pytest.mark.parametrize(
    ("answer", "verdicts", "attempt", "points", "passed"),
    [
        ("It is Tamsin Vey.", ("met", "met"), "reasonable", [1, 1], True),
        ("I do not know.", ("unmet", "met"), "none", [0, 1], False),
        ("Joram Vey.", ("unmet", "unmet"), "reasonable", [0, 0], False),
        ("Somebody named Vey.", ("partly", "met"), "reasonable", [0.5, 1], False),
    ],
)
def test_simpleqas_three_grades_follow_from_a_judges_two_verdicts(
    tmp_path: Path,
    answer: str,
    verdicts: tuple[str, str],
    attempt: str,
    points: list[float],
    passed: bool,
) -> None:
    question = imported("simpleqa", tmp_path)[0]
    criteria = [
        {
            "number": n,
            "evidence_quote": "" if verdict == "unmet" else answer,
            "reason": "So.",
            "verdict": verdict,
        }
        for n, verdict in enumerate(verdicts, 1)
    ]
    reply = json.dumps({"criteria": criteria, "attempt": attempt, "summary": "So."})
    found = score_reply(material(question, answer, "stop"), reply)
    assert [each.points for each in found.criteria] == points and found.passed is passed


def test_hotpotqa_puts_the_paragraphs_first(tmp_path: Path) -> None:
    office, both = imported("hotpotqa", tmp_path)
    assert office.prompt.startswith(
        "Orrel\nOrrel is an invented island. It was founded by Tamsin Vey.\n\nTamsin Vey\n"
    )
    assert (office.tier, both.tier) == (3, 2)
    scores = {
        "Answer: keeper of the seals": 3,
        "Keeper of the Seals.": 3,
        "Answer: Keeper": 1,
        "Answer: Sailor": 0,
    }
    assert {answer: score(office, answer) for answer in scores} == scores
    assert [score(both, answer) for answer in ("Answer: Yes.", "Answer: yes, both", "no", "")] == [
        3,
        0,
        0,
        0,
    ]


def test_gaia_gives_files_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    lamps, rhyme, square = imported("gaia", tmp_path)
    assert (
        "lamp,lit\nnorth,yes\nsouth,no\neast,yes\n\nHow many lamps" in lamps.prompt
        and lamps.tier == 1
    )
    assert rhyme.tier == 2 and not rhyme.images and "FINAL ANSWER" in str(rhyme.system)
    assert [Path(image).name[-5:] for image in square.images] == ["3.png"] and Path(
        square.images[0]
    ).is_file()
    assert score(lamps, "Two are lit.\nFINAL ANSWER: 2") == 3 and score(lamps, "2") == 0
    assert (
        score(rhyme, "FINAL ANSWER: orrel,vey") == 3
        and score(rhyme, "FINAL ANSWER: Vey, Orrel") == 0
    )
    done = call(
        "scripts.prompts", "import", "gaia", "--source", FILES / "gaia", "--output", tmp_path
    )
    assert done.returncode == 0 and "3 questions (tier 1: 2, tier 2: 1)" in done.stdout
    for part in (
        *("left out (1): models get no .mp3 files here: ", "0004.mp3)"),
        *("left out (1): the attached file is not beside metadata.jsonl: ", "0005.txt)"),
        *("left out (1): the answer is not published: ", "0006"),
    ):
        assert part in done.stderr
    assert "left out (1): the answer is not published" in load_suites(tmp_path)["gaia"].description


def gaia_row(**changes: Any) -> dict[str, Any]:
    return {
        "task_id": "t",
        "Question": "What?",
        "Level": 1,
        "Final answer": "x",
        "file_name": "",
    } | changes


def write(file: Path, *made: Any) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return file


def test_gaias_unreadable_text_is_left_out_and_nothing_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_bytes(b"\xff\xfe\x00")
    source = write(
        tmp_path / "metadata.jsonl",
        gaia_row(file_name="note.txt"),
        gaia_row(task_id="u", **{"Final answer": "?"}),
    )
    with pytest.raises(BenchError, match="no question to ask") as raised:
        import_benchmark("gaia", source, tmp_path / "out", None, 0)
    assert "left out (1): the attached text is not UTF-8: t (note.txt)" in str(raised.value)
    assert (
        "left out (1): the answer is not published: u" in str(raised.value)
        and not (tmp_path / "out").exists()
    )


# --- other layouts --------------------------------------------------------------------------------


def gpqa_csv(file: Path, header: list[str], *cells: list[str]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *cells])
    return file


def without(name: str, key: str, **changes: Any) -> Callable[[Path], Path]:
    """The second object of a crafted file changed, or without a key."""

    def make(folder: Path) -> Path:
        text = PUBLISHED[name](folder).read_text(encoding="utf-8")
        made = (
            json.loads(text)
            if name == "hotpotqa"
            else [json.loads(line) for line in text.splitlines()]
        )
        made[1] = {k: v for k, v in made[1].items() if k != key} | changes
        file = folder / ("f.json" if name == "hotpotqa" else "f.jsonl")
        file.write_text(
            json.dumps(made) if name == "hotpotqa" else "\n".join(map(json.dumps, made)),
            encoding="utf-8",
        )
        return file

    return make


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        (
            "gpqa",
            lambda f: gpqa_csv(f / "g.csv", ["Question", "answer"]),
            r"g.csv:1: expected the columns Correct Answer, ",
        ),
        (
            "gpqa",
            lambda f: gpqa_csv(
                f / "g.csv",
                ["Question", *GPQA_CHOICES],
                ["two\nlines", "1", "2", "3", "4"],
                ["x", "1"],
            ),
            r"g.csv:4: expected 5 cells, found 2",
        ),
        (
            "gpqa",
            lambda f: gpqa_csv(f / "g.csv", ["Question", *GPQA_CHOICES], ["x", "1", "2", " ", "4"]),
            r"g.csv:2: Incorrect Answer 2: expected a text, found ' '",
        ),
        (
            "hellaswag",
            without("hellaswag", "label"),
            r"f.jsonl:2: expected the key 'label', found the keys ind, ",
        ),
        (
            "hellaswag",
            without("hellaswag", "", label=4),
            r"f.jsonl:2: label: expected a whole number from 0 to 3, found 4",
        ),
        (
            "hellaswag",
            without("hellaswag", "", endings=["a", "b"]),
            r"f.jsonl:2: endings: expected four texts, found \['a'",
        ),
        (
            "math500",
            without("math500", "answer", anwser="2"),
            r"f.jsonl:2: expected the key 'answer', .*did you mean 'anwser'",
        ),
        (
            "math500",
            without("math500", "", level="Level 5"),
            r"f.jsonl:2: level: expected a whole number from 1 to 5, found",
        ),
        (
            "simpleqa",
            lambda f: gpqa_csv(f / "s.csv", ["question", "answer"]),
            r"s.csv:1: expected the columns problem, found",
        ),
        (
            "simpleqa",
            lambda f: gpqa_csv(f / "s.csv", []),
            r"s.csv:1: expected the columns problem, answer, found nothing",
        ),
        (
            "hotpotqa",
            without("hotpotqa", "answer"),
            r"f.json\[1\]: expected the key 'answer', found the keys _id, ",
        ),
        (
            "hotpotqa",
            without("hotpotqa", "", context=[["Orrel", "text"]]),
            r"f.json\[1\]: context: expected a list of \[title",
        ),
        (
            "hotpotqa",
            without("hotpotqa", "", level="harder"),
            r"f.json\[1\]: level: expected one of easy, medium, hard",
        ),
        (
            "hotpotqa",
            lambda f: write(f / "h.json", {"a": 1}),
            r"h.json: expected a JSON list of objects, found \{'a': 1\}",
        ),
        (
            "hotpotqa",
            lambda f: write(f / "h.json", [1]),
            r"h.json\[0\]: expected a JSON object, found 1",
        ),
        (
            "hotpotqa",
            lambda f: write(f / "h.json", [1], [2]),
            r"h.json:2: expected a JSON list, found no JSON",
        ),
        (
            "gaia",
            lambda f: write(f / "metadata.jsonl", gaia_row(Level=4)),
            r"metadata.jsonl:1: Level: expected a whole number",
        ),
        (
            "gaia",
            lambda f: write(f / "m.jsonl", gaia_row(file_name="../secret.txt")),
            r"m.jsonl:1: file_name: expected the",
        ),
        ("gaia", lambda f: f, r"expected metadata.jsonl files, found none"),
    ],
)
def test_another_layout_is_one_message_with_place_and_layout(
    tmp_path: Path, name: str, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(BenchError, match=message) as raised:
        read_benchmark(name, make(tmp_path))
    assert str(raised.value).startswith(f"{name}: not in the published layout: ")
    assert f"; expected {BENCHMARKS[name].layout}" in str(raised.value)


@pytest.mark.parametrize("name", ["hotpotqa", "simpleqa"])
def test_a_file_that_is_not_utf8_is_named_without_all_its_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"problem,answer\n" + b"x" * 100_000 + b"\xe9")
    with pytest.raises(BenchError, match=r"not UTF-8: byte 0xe9, ") as raised:
        read_benchmark(name, tmp_path / "file")
    assert len(str(raised.value)) < 500


def test_a_suite_too_large_to_be_read_names_a_size_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.lib.authoring.public_benchmarks.MOST_BYTES", 1500)
    with pytest.raises(
        BenchError, match=r"4 questions make a suite .*; draw a sample: --sample-size [1-3]$"
    ):
        import_benchmark("gpqa", PUBLISHED["gpqa"](tmp_path), tmp_path / "out", None, 0)
    assert not (tmp_path / "out").exists()


def test_files_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    for name in ("gpqa", "math500", "hotpotqa"):
        source = tmp_path / PUBLISHED[name](tmp_path).name
        source.write_bytes(b"\xef\xbb\xbf" + PUBLISHED[name](tmp_path).read_bytes())
        marked = read_benchmark(name, source).items
        assert [item.body for item in marked] == [
            item.body for item in read_benchmark(name, PUBLISHED[name](tmp_path)).items
        ]


def test_a_folder_of_gaia_is_searched_for_its_metadata(tmp_path: Path) -> None:
    shutil.copytree(FILES / "gaia", tmp_path / "2023" / "validation")
    assert len(read_benchmark("gaia", tmp_path).items) == 3
