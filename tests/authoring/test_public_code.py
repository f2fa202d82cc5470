"""Public benchmarks of code: crafted files; answers are scored in the sandbox as in their papers.

The rows are of our own making.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.authoring.public.programs import MOST_OUTPUT, pickled_text
from scripts.lib.authoring.public.rows import LeftOut
from scripts.lib.authoring.public_benchmarks import import_benchmark, read_benchmark
from scripts.lib.base.errors import BenchError
from scripts.lib.prompts.loader import Question, load_suites
from scripts.lib.scoring.score import score_answer
from tests.factories.public_layouts_code import (
    BIGCODEBENCH,
    CRUXEVAL,
    EVALUATED,
    HEAD,
    MBPP,
    METHOD,
    PROGRAM,
    SANITIZED,
    SHARD,
    TREE,
    USACO,
    cases,
    packed,
    usaco,
    write_json,
    write_lines,
)

Row = Mapping[str, Any]


def imported(name: str, source: Path, out: Path) -> dict[str, Question]:
    import_benchmark(name, source, out, None, 0)
    return {question.id: question for question in load_suites(out)[name].questions}


def passes(question: Question, answer: str) -> bool | None:
    """Whether an answer gets the question's points; None where it is unscored."""
    return score_answer(question, answer, "stop").passed


def block(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\n"


def layout_error(name: str, source: Path) -> str:
    with pytest.raises(BenchError) as raised:
        read_benchmark(name, source)
    return str(raised.value)


# --- MBPP -----------------------------------------------------------------------------------------


def test_mbpp_is_decided_by_its_tests(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "mbpp.jsonl", [MBPP, TREE])
    questions = imported("mbpp", source, tmp_path / "out")
    double, tree = questions["mbpp_11"], questions["mbpp_12"]
    assert MBPP["text"] in double.prompt and all(
        test in double.prompt for test in MBPP["test_list"]
    )
    assert MBPP["challenge_test_list"][0] not in double.prompt
    assert double.expected == "doubled" and tree.expected == "total"
    assert passes(double, double.reference_answer) and passes(tree, tree.reference_answer)
    assert passes(double, block("def doubled(x): return [n + n for n in x]")) is True
    assert passes(double, block("def doubled(x): return x + x")) is False
    assert passes(double, block("def twice(x): return [2 * n for n in x]")) is False
    assert passes(tree, block(TREE["code"].replace("+ total", "- total"))) is False


def test_sanitized_mbpp_is_read_too(tmp_path: Path) -> None:
    source = write_json(tmp_path / "sanitized-mbpp.json", [SANITIZED])
    (question,) = imported("mbpp", source, tmp_path / "out").values()
    assert passes(question, question.reference_answer)
    assert passes(question, block("def area(r): return 3.1416 * r ** 2")) is True
    assert passes(question, block("def area(r): return 3 * r ** 2")) is False


def test_of_mbpp_the_questions_for_evaluation_are_asked(tmp_path: Path) -> None:
    rows = [{**MBPP, "task_id": number} for number in (1, 10, 11, 510, 511, 974)]
    reading = read_benchmark("mbpp", write_lines(tmp_path / "mbpp.jsonl", rows))
    assert [item.id for item in reading.items] == ["mbpp_11", "mbpp_510"]
    assert [left.origin for left in reading.left_out] == [
        "task_id 1",
        "task_id 10",
        "task_id 511",
        "task_id 974",
    ]
    assert {left.reason for left in reading.left_out} == {
        "MBPP has them for prompts and training, not for evaluation"
    }
    few = read_benchmark("mbpp", write_lines(tmp_path / "mbpp.jsonl", rows[:2]))
    assert [item.id for item in few.items] == ["mbpp_1", "mbpp_10"] and few.left_out == ()


# --- CRUXEval -------------------------------------------------------------------------------------


def test_cruxevals_predictions_are_held_against_the_function(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "cruxeval.jsonl", CRUXEVAL)
    questions = imported("cruxeval", source, tmp_path / "out")
    assert list(questions) == [
        "sample_0_input",
        "sample_0_output",
        "sample_1_input",
        "sample_1_output",
    ]
    gives, takes = questions["sample_0_output"], questions["sample_0_input"]
    assert (
        "assert f([3, 1, 2], 2) == ??" in gives.prompt and "assert f(??) == [1, 2]" in takes.prompt
    )
    assert "[1, 2]" not in gives.prompt and "[3, 1, 2]" not in takes.prompt
    for question in questions.values():
        assert passes(question, question.reference_answer), question.id
        assert passes(question, question.prompt) is False
    for answer, right in (
        ("Sorted it is 1, 2, 3.\n[ANSWER]assert f([3, 1, 2], 2) == [1, 2][/ANSWER]", True),
        ("[ANSWER]\n[1, 2]\n[/ANSWER]", True),
        ("[ANSWER]`[1,2]`[/ANSWER]\nDone.", True),
        ("[ANSWER]```python\nassert f([3, 1, 2], 2) == [1, 2]\n```[/ANSWER]", True),
        ("The first two are kept, so\n[1, 2]", True),
        ("[ANSWER][1, 2, 3][/ANSWER]", False),
        ("[ANSWER](1, 2)[/ANSWER]", False),
        ("[ANSWER]f([3, 1, 2], 2)[/ANSWER]", False),
        ("[ANSWER]f([3,1,2], 2)[/ANSWER]", False),
        ("[ANSWER]it is [1, 2][/ANSWER]", False),
        ("", False),
    ):
        assert passes(gives, answer) is right, answer
    for answer, right in (
        ("[ANSWER]assert f([2, 1], 7) == [1, 2][/ANSWER]", True),
        ("[ANSWER]f([1, 2, 9], n=2)[/ANSWER]", True),
        ("[ANSWER]f([1, 2, 9], 3)[/ANSWER]", False),
        ("[ANSWER][1, 2][/ANSWER]", False),
        ("[ANSWER][1, 2] if f else 0[/ANSWER]", False),
        ("[ANSWER]f([1, 2][/ANSWER]", False),
    ):
        assert passes(takes, answer) is right, answer


@pytest.mark.parametrize("predict", ["input", "output"])
def test_either_of_cruxevals_two_tasks_is_a_suite_of_its_own(tmp_path: Path, predict: str) -> None:
    source = write_lines(tmp_path / "cruxeval.jsonl", CRUXEVAL)
    questions = imported(f"cruxeval_{predict}", source, tmp_path / "out")
    assert list(questions) == [f"sample_0_{predict}", f"sample_1_{predict}"]


# --- BigCodeBench ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bigcodebench", "bigcodebench_complete"])
def test_bigcodebench_is_decided_by_its_unit_tests(tmp_path: Path, name: str) -> None:
    source = write_lines(tmp_path / "BigCodeBench.jsonl", [BIGCODEBENCH])
    question = imported(name, source, tmp_path / "out")["BigCodeBench_7"]
    key = "instruct_prompt" if name == "bigcodebench" else "complete_prompt"
    assert str(BIGCODEBENCH[key]).strip() in question.prompt
    right = HEAD + BIGCODEBENCH["canonical_solution"]
    assert passes(question, question.reference_answer) is True
    # What a program of its own would do is left undone, and what is printed decides nothing.
    assert (
        passes(
            question,
            block(f"{right}\nprint('loaded', end='')\nif __name__ == '__main__':\n    input()"),
        )
        is True
    )
    # The question's own imports are there.
    assert passes(question, block(right.replace("import os\n", ""))) is True
    for wrong in (
        right.replace("[1]", "[0]"),
        right.replace("os.listdir", "sorted"),
        right.replace("task_func", "task"),
        f"{right}\nimport sys\nsys.exit(0)",
        f"{right}\nimport os\nos._exit(0)",
    ):
        assert passes(question, block(wrong)) is False, wrong


def test_bigcodebenchs_questions_without_their_libraries_are_left_out_by_name(
    tmp_path: Path,
) -> None:
    rows = [
        BIGCODEBENCH,
        {**BIGCODEBENCH, "task_id": "BigCodeBench/8", "libs": "['os', 'pandas']"},
        {
            **BIGCODEBENCH,
            "task_id": "BigCodeBench/9",
            "test": f"import numpy.testing as t\n{BIGCODEBENCH['test']}",
        },
        {**BIGCODEBENCH, "task_id": "BigCodeBench/10", "libs": ["json"]},
    ]
    reading = read_benchmark("bigcodebench", write_lines(tmp_path / "BigCodeBench.jsonl", rows))
    assert [item.origin for item in reading.items] == ["BigCodeBench/7", "BigCodeBench/10"]
    reason = "the sandbox's Python has the standard library alone"
    left = (LeftOut("BigCodeBench/8 (pandas)", reason), LeftOut("BigCodeBench/9 (numpy)", reason))
    assert reading.left_out == left


# --- LiveCodeBench --------------------------------------------------------------------------------


PAIRS = METHOD["starter_code"] + "return [x[i:i + n] for i in range(len(x) - n + 1)] if x else []"


def test_livecodebenchs_programs_and_methods_are_run_on_all_their_cases(tmp_path: Path) -> None:
    questions = imported(
        "livecodebench", write_lines(tmp_path / "test.jsonl", [PROGRAM, METHOD]), tmp_path / "out"
    )
    half, pairs = questions["abc999_a"], questions["3999"]
    assert (half.tier, pairs.tier) == (1, 3) and METHOD["starter_code"].strip() in pairs.prompt
    assert "3.5" not in half.prompt
    for answer, right in (
        ("print(int(input()) / 2)", True),
        # Numbers are compared as numbers, and what contests' programs import is there.
        ("print(f'{int(stdin.readline()) / 2:.6f}  ')", True),
        ("print(1.5)", False),
        ("print(int(input()) // 2)", False),
        ("print(int(input()) / 2, 'done')", False),
        ("def half(n): return n / 2", False),
    ):
        assert passes(half, block(answer)) is right, answer
    for answer, right in (
        (PAIRS, True),
        (PAIRS.replace("x[i:i + n] for", "tuple(x[i:i + n]) for"), True),
        (f"{PAIRS}\nif __name__ == '__main__':\n    print(input())", True),
        (f"print('hello')\n{PAIRS}", True),
        (PAIRS.partition("\n")[2].replace("self, ", "").replace("    def", "def"), True),
        (PAIRS.replace("+ 1", "+ 2"), False),
        (PAIRS.replace("pairs", "pair"), False),
        (PAIRS.replace("return ", "print(x)\n        yield "), False),
    ):
        assert passes(pairs, block(answer)) is right, answer


def test_livecodebenchs_cases_go_into_files_of_the_questions_that_are_taken(tmp_path: Path) -> None:
    rows = [{**PROGRAM, "question_id": f"q{number}"} for number in range(4)]
    made = import_benchmark(
        "livecodebench", write_lines(tmp_path / "test.jsonl", rows), tmp_path / "out", 2, 1
    )
    files = sorted(file.name for file in (tmp_path / "out/livecodebench.cases").iterdir())
    assert files == sorted(f"{item.id}.jsonl.gz" for item in made.items) and len(files) == 2
    (first, _) = load_suites(tmp_path / "out")["livecodebench"].questions
    (tmp_path / "out/livecodebench.cases" / f"{first.id}.jsonl.gz").unlink()
    assert passes(first, block("print(int(input()) / 2)")) is None


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("was run",))


@pytest.mark.parametrize("value", [Harmful(), ["a text"], {"a": "b"}, 7, b"bytes", ("a", "b")])
def test_of_a_pickle_nothing_but_a_text_is_taken_and_nothing_is_run(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickled_text(pickle.dumps("[1, 2] \N{SNOWMAN}", protocol)) == "[1, 2] \N{SNOWMAN}"
        with pytest.raises(ValueError, match="not a single text"):
            pickled_text(pickle.dumps(value, protocol))
    assert "was run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("private", "said"),
    [
        (packed(Harmful()), "a pickle that is not a single text"),
        (packed([1]), "a pickle that is not a single text"),
        ("not base64!", "base64"),
        (base64.b64encode(b"no zlib").decode(), "Error -3"),
        (packed(cases("stdin", ("1", "1")))[:-40], "private_test_cases: expected JSON"),
        (packed("no JSON"), "private_test_cases: expected JSON"),
        ("[1]", "private_test_cases: expected JSON"),
        ('[{"input": "1", "testtype": "stdin"}]', "private_test_cases: expected JSON"),
    ],
)
def test_cases_that_are_packed_otherwise_are_an_error(
    tmp_path: Path, private: str, said: str
) -> None:
    source = write_lines(
        tmp_path / "test.jsonl", [PROGRAM, {**PROGRAM, "private_test_cases": private}]
    )
    message = layout_error("livecodebench", source)
    assert f"{source}:2: private_test_cases: expected JSON of a list" in message and said in message


def test_cases_too_large_for_the_sandbox_leave_their_question_out(tmp_path: Path) -> None:
    large = {
        **PROGRAM,
        "question_id": "big",
        "private_test_cases": packed(cases("stdin", ("1", "x" * (MOST_OUTPUT + 1)))),
    }
    reading = read_benchmark(
        "livecodebench", write_lines(tmp_path / "test.jsonl", [large, PROGRAM])
    )
    assert [item.id for item in reading.items] == ["abc999_a"]
    reason = (
        "their cases are too large for the sandbox (at most 2 MiB for an output, 64 MiB for all)"
    )
    assert reading.left_out == (LeftOut("big", reason),)


# --- USACO ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["{}.in {}.out", "I.{} O.{}"])
def test_usaco_is_decided_by_its_test_files(tmp_path: Path, names: str) -> None:
    question = imported("usaco", usaco(tmp_path / "data", names), tmp_path / "out")[
        "999_silver_counting_cows"
    ]
    assert question.tier == 2 and USACO["description"] in question.prompt
    assert passes(question, question.reference_answer) is True
    for wrong in (
        "print(3)",
        "print(sum(map(int, input().split())), 'cows')",
        "n = bytearray(300_000_000)\nprint(sum(map(int, input().split())))",
        "while True: pass",
    ):
        assert passes(question, block(wrong)) is False, wrong


def test_a_problem_without_its_test_files_is_left_out(tmp_path: Path) -> None:
    folder = usaco(tmp_path / "data", num_tests=3)
    reason = f"some of their test files are not in {folder / 'usaco_v3/tests'}"
    left = (LeftOut("999_silver_counting_cows (2 of 3)", reason),)
    assert read_benchmark("usaco", folder).left_out == left


# --- DebugBench -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "row", "key"),
    [
        ("python3_missing colons.json", SHARD, "missing_colons_0_add_numbers"),
        ("eval.json", EVALUATED, "missing_colons_0_add_numbers"),
    ],
)
def test_debugbench_is_decided_by_the_statements_examples(
    tmp_path: Path, file: str, row: Row, key: str
) -> None:
    question = imported("debugbench", write_json(tmp_path / file, [row]), tmp_path / "out")[key]
    assert (
        str(SHARD["buggy_code"]).strip() in question.prompt
        and str(SHARD["oracle_code"]) not in question.prompt
    )
    assert question.scoring[0].criterion == "passes the statement's examples (not LeetCode's tests)"
    assert passes(question, question.reference_answer) is True
    assert passes(question, block(str(SHARD["buggy_code"]))) is False
    assert passes(question, block(str(SHARD["oracle_code"]).replace("== 0", "== 1"))) is False
    cases = [case["stdin"] for case in question.scoring[0].checks[0].params["cases"]]
    assert cases == ["[1, 2]\ntrue\n1.0", '[1, 1]\n"two  blanks"\n2.5']


@pytest.mark.parametrize(
    "change",
    [
        {
            "oracle_code": "class Solution:\n"
            "    def add(self, head: Optional[ListNode]) -> int:\n        return 0"
        },
        {"description": "You may return the answer in any order."},
        {"description": "Find and return any number that is neither of them."},
        {"examples": ["Input: see the picture\nOutput: 3"]},
        {"examples": ["Input: nums = [1, 2], flag = true, scale = 1\nOutput: three"]},
        {"examples": []},
        {
            "oracle_code": "class Solution:\n"
            "    def add(self, nums, flag, scale) -> None:\n        nums.sort()"
        },
        {"oracle_code": "class Adder:\n    def add(self, nums, flag, scale): pass"},
        {"oracle_code": "class Solution:\n  def add(self, nums, flag, scale:"},
    ],
)
def test_what_only_leetcodes_judge_can_decide_is_left_out_by_name(
    tmp_path: Path, change: Row
) -> None:
    source = tmp_path / "shards"
    write_json(source / "python3_other error.json", [SHARD, {**SHARD, **change}])
    write_json(source / "java_other error.json", [SHARD])
    reading = read_benchmark("debugbench", source)
    assert [item.id for item in reading.items] == ["other_error_0_add_numbers"]
    assert [left.origin for left in reading.left_out] == [
        "java_other error.json[0] add-numbers",
        "python3_other error.json[1] add-numbers",
    ]
    assert all("only LeetCode's judge" in left.reason for left in reading.left_out)


# --- files that are not as published --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row", "key", "value", "said"),
    [
        (
            "mbpp",
            MBPP,
            "test_list",
            None,
            "expected the key 'test_list', found the keys text, code, task_id",
        ),
        ("mbpp", MBPP, "test_list", [], "test_list: expected at least one test, found []"),
        (
            "mbpp",
            MBPP,
            "task_id",
            "x",
            "task_id: expected a whole number from 1 to 100000, found 'x'",
        ),
        (
            "cruxeval",
            CRUXEVAL[0],
            "input",
            None,
            "expected the key 'input', found the keys code, output, id",
        ),
        ("cruxeval", CRUXEVAL[0], "input", 3, "input: expected a text, found 3"),
        (
            "bigcodebench",
            BIGCODEBENCH,
            "instruct_prompt",
            None,
            "expected the key 'instruct_prompt', found the keys task_id",
        ),
        (
            "bigcodebench",
            BIGCODEBENCH,
            "libs",
            "os, re",
            "libs: expected a list of libraries, or its text, found 'os, re'",
        ),
        ("bigcodebench", BIGCODEBENCH, "test", "class (", "test: expected Python code"),
        (
            "livecodebench",
            PROGRAM,
            "metadata",
            None,
            "expected the key 'metadata', found the keys question_title",
        ),
        (
            "livecodebench",
            PROGRAM,
            "metadata",
            "no",
            "metadata: expected JSON of an object, its func_name a name "
            "(Expecting value: line 1 column 1 (char 0)), found 'no'",
        ),
        (
            "livecodebench",
            METHOD,
            "metadata",
            '{"func_name": "a.b"}',
            "metadata: expected JSON of an object",
        ),
        (
            "livecodebench",
            PROGRAM,
            "difficulty",
            "harder",
            "difficulty: expected one of easy, medium, hard, found 'harder'",
        ),
    ],
)
def test_a_row_in_another_layout_is_an_error_with_its_line(
    tmp_path: Path, name: str, row: Row, key: str, value: object, said: str
) -> None:
    wrong = {k: v for k, v in row.items() if k != key} if value is None else {**row, key: value}
    source = write_lines(tmp_path / "mbpp.jsonl", [row, wrong])
    message = layout_error(name, source)
    assert (
        f"{name}: not in the published layout: {source}:2: {said}" in message
        and "; expected " in message
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runtime_limit", "2", "runtime_limit: expected a number of seconds, found '2'"),
        ("memory_limit", 0, "memory_limit: expected a whole number from 1 to 1000000, found 0"),
        (
            "problem_level",
            "iron",
            "problem_level: expected one of bronze, silver, gold, platinum, found 'iron'",
        ),
    ],
)
def test_a_problem_in_another_layout_is_an_error_with_its_id(
    tmp_path: Path, key: str, value: object, said: str
) -> None:
    folder = usaco(tmp_path / "data", **{key: value})
    place = f"{folder / 'usaco_subset307_dict.json'}: 999_silver_counting_cows"
    assert f"usaco: not in the published layout: {place}: {said}; expected " in layout_error(
        "usaco", folder
    )


def test_usacos_parts_must_be_there(tmp_path: Path) -> None:
    lone = write_json(tmp_path / "lone/usaco_subset307_dict.json", {"1_bronze_a": USACO})
    assert (
        "expected a folder tests (or */tests) beside usaco_subset307_dict.json, found none"
        in layout_error("usaco", lone)
    )
    (tmp_path / "usaco").mkdir()
    assert "expected *_dict.json files, found none" in layout_error("usaco", tmp_path / "usaco")
    (tmp_path / "other/tests").mkdir(parents=True)
    listed = write_json(tmp_path / "other/usaco_v2_dict.json", [USACO])
    assert f"{listed}: expected a JSON object: problem_id to problem" in layout_error(
        "usaco", listed
    )
    listed.write_text("{\n'a'", encoding="utf-8")
    assert f"{listed}:2: expected a JSON object of problems, found no JSON" in layout_error(
        "usaco", listed
    )
    outside = write_json(listed, {"../../x": USACO})
    assert "expected problem_id to be a folder's name, found '../../x'" in layout_error(
        "usaco", outside
    )


def test_debugbenchs_language_must_be_given(tmp_path: Path) -> None:
    source = write_json(tmp_path / "shard.json", [SHARD])
    assert f"{source}[0]: language: expected cpp, java or python3" in layout_error(
        "debugbench", source
    )
    source = write_json(
        tmp_path / "python3_x.json",
        [{key: value for key, value in SHARD.items() if key != "buggy_code"}],
    )
    assert f"{source}[0]: expected the key 'buggy_code'" in layout_error("debugbench", source)
