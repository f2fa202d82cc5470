"""Public benchmarks: verdicts equal the published scorers' (tests/data/official/README.md)."""

from __future__ import annotations

import csv
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.authoring import public_benchmarks
from scripts.lib.authoring.public_benchmarks import import_benchmark, read_benchmark
from scripts.lib.base.errors import BenchError
from scripts.lib.prompts.check_types import INSTRUCTIONS as KNOWN
from scripts.lib.prompts.loader import Question, load_suites
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.checks.ifeval import INSTRUCTIONS
from scripts.lib.scoring.checks.published import check_em, check_f1, squad_f1, squad_normalize

OFFICIAL = Path("tests/data/official")
Row = Mapping[str, Any]


def rows(name: str) -> list[Row]:
    with (OFFICIAL / f"{name}.jsonl").open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def write_jsonl(file: Path, made: Iterable[Row]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8"
    )
    return file


def imported(name: str, source: Path, out: Path) -> list[Question]:
    """The questions of a source, in its order."""
    import_benchmark(name, source, out, None, 0)
    return list(load_suites(out)[name].questions)


def verdict(question: Question, answer: str) -> bool | None:
    """What the checks of a question's criteria say of an answer as the model gave it."""
    checks = [check for criterion in question.scoring for check in criterion.checks]
    said = [CHECKS[check.type](answer, check.params).passed for check in checks]
    return None if None in said or not said else all(said)


def differing(pairs: Iterable[tuple[Question, Row]]) -> list[tuple[str, bool | None, bool]]:
    found = [
        (row["answer"], verdict(question, row["answer"]), row["official"])
        for question, row in pairs
    ]
    return [(answer, ours, official) for answer, ours, official in found if ours is not official]


# --- IFEval ---------------------------------------------------------------------------------------


def grouped(made: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by instruction and settings."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in made:
        groups[json.dumps([row["instruction"], row["kwargs"]])].append(row)
    return groups


def test_ifeval_decides_as_published(tmp_path: Path) -> None:
    groups = grouped(rows("ifeval"))
    every = sorted({key for row in rows("ifeval") for key in row["kwargs"]})
    source = []
    for number, group in enumerate(groups.values()):
        # The second publication of the data lists every setting, those of other instructions as
        # null.
        settings = group[0]["kwargs"] if number % 2 else dict.fromkeys(every) | group[0]["kwargs"]
        one = {
            "prompt": "Write.",
            "instruction_id_list": [group[0]["instruction"]],
            "kwargs": [settings],
        }
        source.append({"key": 1000 + number, **one})
    questions = imported(
        "ifeval", write_jsonl(tmp_path / "input_data.jsonl", source), tmp_path / "out"
    )
    asked = zip(questions, groups.values(), strict=True)
    pairs = [(question, row) for question, group in asked for row in group]
    assert differing(pairs) == []
    both = {(row["instruction"], row["official"]) for row in rows("ifeval")}
    assert (
        both == {(name, passed) for name in KNOWN for passed in (True, False)} and len(pairs) >= 60
    )


def test_every_known_instruction_is_decided() -> None:
    assert set(INSTRUCTIONS) == set(KNOWN) and len(INSTRUCTIONS) == 25


def test_a_prompt_is_followed_when_all_its_instructions_are(tmp_path: Path) -> None:
    names = ["punctuation:no_comma", "startend:quotation"]
    row = {"key": 1, "prompt": "Write.", "instruction_id_list": names, "kwargs": [{}, {}]}
    (question,) = imported(
        "ifeval", write_jsonl(tmp_path / "input_data.jsonl", [row]), tmp_path / "out"
    )
    answers = {'"One two."': True, '"One, two."': False, "One two.": False, "": False}
    assert {answer: verdict(question, answer) for answer in answers} == answers


@pytest.mark.parametrize(
    ("name", "kwargs", "reason"),
    [
        ("length_constraints:number_words", {"relation": "at least"}, "num_words is None"),
        (
            "length_constraints:number_words",
            {"relation": "at most", "num_words": 3},
            "relation is 'at most'",
        ),
        (
            "length_constraints:number_sentences",
            {"relation": "at least", "num_sentences": -1},
            "draws a number",
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "x"},
            "draws",
        ),
        ("keywords:existence", {"keywords": []}, "expected texts"),
        ("keywords:existence", {"keywords": ["(a"]}, "not a regular expression"),
        ("keywords:existence", {"keywords": ["(a+)+$"]}, "gave up on the pattern"),
        (
            "keywords:letter_frequency",
            {"letter": "ab", "let_relation": "at least", "let_frequency": 1},
            "draws one",
        ),
        ("language:response_language", {}, "language is None"),
        ("keywords:unheard_of", {}, "unknown instruction"),
    ],
)
def test_what_ifeval_leaves_to_chance_is_undecided(name: str, kwargs: Row, reason: str) -> None:
    found = CHECKS["ifeval"]("a" * 5000 + "!", {"instruction": name, "kwargs": kwargs})
    assert found.passed is None and reason in found.reason


@pytest.mark.slow
def test_no_answer_stalls_an_instruction() -> None:
    settings = {row["instruction"]: row["kwargs"] for row in rows("ifeval")}
    size, start = 40_000, time.process_time()
    for piece in (
        "\n",
        " ",
        "*",
        "<",
        "[",
        "a. ",
        "!",
        '"',
        "*\n",
        "{",
        "p. p. ",
        "http://",
        "\u0301",
    ):
        answer = piece * (size // len(piece)) + "x"
        for name in KNOWN:
            assert CHECKS["ifeval"](
                answer, {"instruction": name, "kwargs": settings[name]}
            ).passed in (
                True,
                False,
            )
    assert time.process_time() - start < 60.0


# --- GSM8K, SQuAD ---------------------------------------------------------------------------------


def test_gsm8k_decides_as_published(tmp_path: Path) -> None:
    golds = list(dict.fromkeys(row["gold"] for row in rows("gsm8k")))
    made = [{"question": "How many?", "answer": gold} for gold in golds]
    source = write_jsonl(tmp_path / "test.jsonl", made)
    questions = dict(zip(golds, imported("gsm8k", source, tmp_path / "out"), strict=True))
    assert differing((questions[row["gold"]], row) for row in rows("gsm8k")) == []
    for gold, question in questions.items():
        assert (
            question.reference_answer.splitlines()[-1] == gold.splitlines()[-1]
            and "<<" not in question.reference_answer
        )
        assert verdict(question, question.reference_answer) and not verdict(
            question, question.prompt_text()
        )
    negative = questions[next(gold for gold in golds if "-1,234" in gold)]
    assert negative.scoring[0].checks[0].params["value"] == "-1234"


def test_squad_scores_as_published() -> None:
    for row in rows("squad"):
        params = {"value": row["golds"][0], "any_of": row["golds"][1:]}
        score = max(squad_f1(row["answer"], gold) for gold in row["golds"])
        assert squad_normalize(row["answer"]) == row["normalized"], row
        assert score == pytest.approx(row["f1"], abs=1e-6), row
        assert check_em(row["answer"], params).passed is row["official"], row
        assert check_f1(row["answer"], {**params, "least": 0.7}).passed is (row["f1"] >= 0.7), row


def test_an_empty_answer_passes_neither_of_squads_checks() -> None:
    for answer in ("", " \n"):
        assert not check_em(answer, {"value": "the"}).passed
        assert not check_f1(answer, {"value": "the", "least": 0}).passed
    assert check_em("An", {"value": "the"}).passed
    told = check_f1(
        "Broncos Denver won", {"value": "x", "any_of": ["Denver Broncos"], "least": 0.9}
    )
    assert (told.passed, told.reason) == (False, "F1 0.80")


# --- MMLU, ARC ------------------------------------------------------------------------------------


def test_mmlu_decides_as_published(tmp_path: Path) -> None:
    letters, choices = ("A", "B", "D"), ["one", "two, or so", "three", "four"]
    with (tmp_path / "anatomy_test.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(["Which, then?", *choices, letter] for letter in letters)
    questions = dict(zip(letters, imported("mmlu", tmp_path, tmp_path / "out"), strict=True))
    assert [question.expected for question in questions.values()] == list(letters)
    assert differing((questions[row["key"]], row) for row in rows("mmlu")) == []
    asked = [row for row in rows("mmlu") if row["asked"]]
    for row in asked:
        params = {"value": row["key"], "choices": dict(zip("ABCD", choices, strict=True))}
        assert CHECKS["multiple_choice"](row["answer"], params).passed is row["official"], row
    assert len(asked) >= 6


def test_arc_decides_as_published(tmp_path: Path) -> None:
    texts, source = ("iron", "wood", "heat", "air", "light"), []
    kinds = list(dict.fromkeys((tuple(row["labels"]), row["key"]) for row in rows("arc")))
    for number, (labels, key) in enumerate(kinds):
        choices = [
            {"label": label, "text": text} for label, text in zip(labels, texts, strict=False)
        ]
        question = {"stem": "Which?", "choices": choices}
        source.append({"id": f"Q{number}", "question": question, "answerKey": key})
    questions = imported(
        "arc", write_jsonl(tmp_path / "ARC-Easy/test.jsonl", source), tmp_path / "out"
    )
    assert [question.expected for question in questions] == ["C", "C", "A", "E"]
    by_kind = dict(zip(kinds, questions, strict=True))
    assert differing((by_kind[tuple(row["labels"]), row["key"]], row) for row in rows("arc")) == []


@pytest.mark.parametrize(("labels", "key"), [("AB", "C"), ("AA", "A"), ("1A", "A"), ("XY", "X")])
def test_arcs_labels_are_letters_or_places(tmp_path: Path, labels: str, key: str) -> None:
    choices = [{"label": label, "text": label} for label in labels]
    row = {"id": "Q", "question": {"stem": "Which?", "choices": choices}, "answerKey": key}
    with pytest.raises(BenchError, match=r"answerKey|layout"):
        read_benchmark("arc", write_jsonl(tmp_path / "test.jsonl", [row]))


# --- HumanEval ------------------------------------------------------------------------------------


def test_humaneval_decides_as_published(tmp_path: Path) -> None:
    questions = imported("humaneval", OFFICIAL / "humaneval_problems.jsonl", tmp_path / "out")
    by_task = {question.id: question for question in questions}
    pairs = [(by_task[row["task_id"].replace("/", "_")], row) for row in rows("humaneval")]
    assert verdict(pairs[0][0], pairs[0][1]["answer"]) is not None, "bubblewrap does not work here"
    assert differing(pairs) == []
    assert all(
        "    " in str(question.scoring[0].checks[0].params["setup"]) for question in questions
    )


# --- ids, and what a failed import leaves ---------------------------------------------------------


def colliding(name: str, folder: Path) -> tuple[Path, list[str]]:
    """A source with two questions whose ids come out alike, and what the message names them by."""
    if name == "mmlu":
        for part in ("a", "b"):
            (folder / part).mkdir()
            (folder / part / "anatomy_test.csv").write_text("Which?,1,2,3,4,B\n")
        return folder, ["a/anatomy_test.csv:1", "b/anatomy_test.csv:1"]
    if name == "arc":
        question = {"stem": "Which?", "choices": [{"label": "A", "text": "x"}]}
        made = [{"id": raw, "question": question, "answerKey": "A"} for raw in ("Q 1", "Q-1")]
        return write_jsonl(folder / "test.jsonl", made), ["Q 1", "Q-1"]
    if name == "ifeval":
        made = [
            {
                "key": key,
                "prompt": "x",
                "instruction_id_list": ["punctuation:no_comma"],
                "kwargs": [{}],
            }
            for key in (7, "7.")
        ]
        return write_jsonl(folder / "input_data.jsonl", made), ["key 7", "key 7."]
    problem = rows("humaneval_problems")[0]
    made = [{**problem, "task_id": task} for task in ("HumanEval/1", "HumanEval_1")]
    return write_jsonl(folder / "HumanEval.jsonl", made), ["HumanEval/1", "HumanEval_1"]


@pytest.mark.parametrize("name", ["humaneval", "arc", "mmlu", "ifeval"])
def test_ids_that_become_one_are_an_error_that_names_both(tmp_path: Path, name: str) -> None:
    (tmp_path / "source").mkdir()
    source, names = colliding(name, tmp_path / "source")
    with pytest.raises(BenchError, match="would have the same id") as raised:
        import_benchmark(name, source, tmp_path / "out", 1, 0)
    assert all(part in str(raised.value) for part in names) and not (tmp_path / "out").exists()


def gsm8k_line(number: int) -> bytes:
    return json.dumps({"question": "x?", "answer": f"y\n#### {number}"}).encode() + b"\n"


def broken(kind: str, folder: Path) -> tuple[str, Path]:
    """A benchmark and a source whose reading fails, the first questions being sound."""
    folder.mkdir()
    source = folder / ("test.jsonl.gz" if kind in ("truncated", "not gzip") else "test.jsonl")
    data = {
        "half a line": gsm8k_line(1) + gsm8k_line(2)[:20],
        "truncated": gzip.compress(gsm8k_line(1) * 50)[:-12],
        "not gzip": gsm8k_line(1),
        "not UTF-8": gsm8k_line(1) + b"\xff\xfe\n",
        "another object": gsm8k_line(1) + b"[1, 2]\n",
        "no number": gsm8k_line(1) + b'{"question": "x", "answer": "y"}\n',
        "nested": gsm8k_line(1) + b"[" * 100_000 + b"\n",
    }
    if kind in data:
        source.write_bytes(data[kind])
        return "gsm8k", source
    if kind == "bad row":
        (folder / "anatomy_test.csv").write_text("Which?,1,2,3,4,B\nWhich?,1,2,3,4,E\n")
        return "mmlu", folder
    row = {"key": 1, "prompt": "x", "instruction_id_list": ["punctuation:no_coma"], "kwargs": [{}]}
    sound = {**row, "key": 0, "instruction_id_list": ["startend:quotation"]}
    return "ifeval", write_jsonl(source, [sound, row])


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "half a line",
            "truncated",
            "not gzip",
            "not UTF-8",
            "another object",
            "no number",
            "nested",
            "bad row",
        ),
        "unknown instruction",
    ],
)
@pytest.mark.parametrize("before", [None, "what was there"])
def test_a_failed_import_leaves_everything_as_it_was(
    tmp_path: Path, kind: str, before: str | None
) -> None:
    name, source = broken(kind, tmp_path / "source")
    out = tmp_path / "out"
    if before is not None:
        out.mkdir()
        (out / f"{name}.yaml").write_text(before)
    with pytest.raises(BenchError) as raised:
        import_benchmark(name, source, out, None, 0)
    if kind == "unknown instruction":
        assert "did you mean 'punctuation:no_comma'" in str(raised.value)
    if before is None:
        assert not out.exists()
    else:
        assert [(file.name, file.read_text()) for file in out.iterdir()] == [
            (f"{name}.yaml", before)
        ]


def test_a_write_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "test.jsonl"
    source.write_bytes(gsm8k_line(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        import_benchmark("gsm8k", source, tmp_path / "out", None, 0)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_import_reads_all_before_it_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test.jsonl").write_bytes(b"".join(map(gsm8k_line, range(30))) + b"{")
    written: list[Path] = []
    monkeypatch.setattr(public_benchmarks, "write_atomic", lambda path, text: written.append(path))
    with pytest.raises(BenchError, match=":31: expected a JSON object"):
        import_benchmark("gsm8k", tmp_path / "test.jsonl", tmp_path / "out", 2, 0)
    assert written == []
