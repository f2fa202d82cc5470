"""Files of public benchmarks of code, in their published layouts, with invented rows."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def write_json(file: Path, made: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(made), encoding="utf-8")
    return file


def write_lines(file: Path, made: Iterable[Row]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return file


# --- MBPP

MBPP = {
    "text": "Write a function to double every number of a list.",
    "code": "def doubled(x):\r\n    return [2 * n for n in x]",
    "task_id": 11,
    "test_setup_code": "",
    "test_list": [
        "assert doubled([1, 2]) == [2, 4]",
        "assert doubled([]) == []",
        "assert doubled((3,)) == [6]",
    ],
    "challenge_test_list": ["assert doubled('ab') == ['aa', 'bb']"],
}
TREE = {
    "text": "Write a function to sum the values of a linked list.",
    "code": "class Node:\n    def __init__(self, v):\n        self.v, self.next = v, None\n"
    "def total(n):\n    return 0 if n is None else n.v + total(n.next)",
    "task_id": 12,
    "test_setup_code": "root = Node(4)\nroot.next = Node(5)",
    "test_list": ["assert total(root) == 9", "assert total(None) == 0"],
    "challenge_test_list": [],
}
SANITIZED = {
    "source_file": "made up",
    "task_id": 14,
    "prompt": "Write a function that gives the area of a circle.",
    "code": "import math\ndef area(r):\n    return math.pi * r * r",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(area(1), 3.14159, rel_tol=0.001)", "assert area(0) == 0"],
}


# --- CRUXEval

CRUXEVAL = [
    {
        "code": "def f(x, n):\n    return sorted(x)[:n]",
        "input": "[3, 1, 2], 2",
        "output": "[1, 2]",
        "id": "sample_0",
    },
    {"code": "def f(s):\n    return s + '=='", "input": "'a'", "output": "'a=='", "id": "sample_1"},
]


# --- BigCodeBench

HEAD = "import os\nfrom collections import Counter\n\ndef task_func(folder):\n"
DOC = (
    '    """Count the files of a folder by their endings.\n\n'
    '    Requirements:\n    - os\n    - collections\n    """\n'
)
BIGCODEBENCH = {
    "task_id": "BigCodeBench/7",
    "complete_prompt": HEAD + DOC,
    "instruct_prompt": "Count the files of a folder by their endings. The function should output "
    "a Counter.",
    "canonical_solution": "    return Counter(os.path.splitext(name)[1] for name in "
    "os.listdir(folder))",
    "code_prompt": HEAD,
    "test": """import os
import tempfile
import unittest
from unittest.mock import patch

class TestCases(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        for name in ("a.txt", "b.txt", "c"):
            open(os.path.join(self.folder, name), "w").close()

    def test_files(self):
        self.assertEqual(task_func(self.folder), {".txt": 2, "": 1})

    @patch("os.listdir", return_value=["x.py"])
    def test_what_is_patched(self, listdir):
        self.assertEqual(task_func("/nowhere"), {".py": 1})
""",
    "entry_point": "task_func",
    "doc_struct": "{}",
    "libs": "['os', 'collections']",
}


# --- LiveCodeBench


def cases(kind: str, *pairs: tuple[str, str]) -> str:
    return json.dumps(
        [{"input": given, "output": gives, "testtype": kind} for given, gives in pairs]
    )


def packed(text: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


PROGRAM = {
    "question_title": "Half",
    "question_content": "Print half of N.\n\nSample Input 1\n3\nSample Output 1\n1.5",
    "platform": "atcoder",
    "question_id": "abc999_a",
    "contest_id": "abc999",
    "contest_date": "2024-01-01T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": cases("stdin", ("3\n", "1.5\n")),
    "private_test_cases": packed(cases("stdin", ("8\n", "4.0\n"), ("7\n", "3.5"))),
    "metadata": "{}",
}
METHOD = {
    **PROGRAM,
    "question_title": "Pairs",
    "question_content": "Give the pairs of neighbours.",
    "platform": "leetcode",
    "question_id": "3999",
    "starter_code": "class Solution:\n    def pairs(self, x: List[int], n: int) -> "
    "List[List[int]]:\n        ",
    "difficulty": "hard",
    "public_test_cases": cases("functional", ("[1, 2, 3]\n2", "[[1, 2], [2, 3]]")),
    "private_test_cases": cases("functional", ("[]\n1", "[]")),
    "metadata": json.dumps({"func_name": "pairs"}),
}


# --- USACO

USACO = {
    "name": "Counting Cows",
    "problem_level": "silver",
    "problem_id": "999_silver_counting_cows",
    "description": "How many cows are there?\n\nINPUT FORMAT: N numbers.\n"
    "OUTPUT FORMAT: their sum.",
    "num_tests": 2,
    "runtime_limit": 2,
    "memory_limit": 256,
    "samples": [{"input": "1 2", "output": "3", "explanation": ""}],
    "solution_python3": "print(sum(map(int, input().split())))",
}


def usaco(folder: Path, names: str = "{}.in {}.out", **problem: Any) -> Path:
    whole = {**USACO, **problem}
    write_json(folder / "usaco_subset307_dict.json", {whole["problem_id"]: whole})
    tests = folder / "usaco_v3/tests" / str(whole["problem_id"])
    tests.mkdir(parents=True)
    for number, (given, gives) in enumerate((("1 2\n", "3\n"), ("5 5 5\r\n", "15\r\n")), 1):
        for name, text in zip(names.split(), (given, gives), strict=True):
            (tests / name.format(number)).write_text(text, newline="")
    return folder


# --- DebugBench

SHARD = {
    "slug": "add-numbers",
    "description": "Given two numbers, return their sum and whether it is even.",
    "examples": [
        "Input: nums = [1, 2], flag = true, scale = 1\nOutput: [3, 0]\nExplanation: 3 is odd.",
        'Input: nums = [1,\n 1], flag = "two  blanks", scale = 2.5\nOutput: [2,1]',
    ],
    "constraints": "none",
    "oracle_code": "class Solution:\n    def help(self, n: int) -> int:\n        return n\n"
    "    def add(self, nums: List[int], flag: bool, scale: float) -> List[int]:\n"
    "        return [sum(nums), int(sum(nums) % 2 == 0)]",
    "content": "",
    "level": "easy",
    "buggy_code": "\nclass Solution:\n    def add(self, nums: List[int], flag: bool, scale: "
    "float) -> List[int]\n"
    "        return [sum(nums), 0]\n",
    "explanations": "no colon",
}
EVALUATED = {
    **{key: SHARD[key] for key in ("slug", "examples", "constraints", "level", "buggy_code")},
    **{
        "category": "syntax error",
        "subtype": "missing colons",
        "language": "python3",
        "release_time": 1690000000,
    },
    **{
        "question": SHARD["description"],
        "solution": SHARD["oracle_code"],
        "bug_explanation": "no colon",
    },
}


# --- a file for each

WRITERS_CODE: Mapping[str, Callable[[Path], Path]] = {
    "mbpp": lambda folder: write_lines(folder / "mbpp.jsonl", [MBPP, TREE]),
    **dict.fromkeys(
        ("cruxeval", "cruxeval_input", "cruxeval_output"),
        lambda folder: write_lines(folder / "cruxeval.jsonl", CRUXEVAL),
    ),
    **dict.fromkeys(
        ("bigcodebench", "bigcodebench_complete"),
        lambda folder: write_lines(folder / "BigCodeBench.jsonl", [BIGCODEBENCH]),
    ),
    "livecodebench": lambda folder: write_lines(folder / "test.jsonl", [PROGRAM, METHOD]),
    "usaco": usaco,
    "debugbench": lambda folder: write_json(folder / "eval.json", [EVALUATED]),
}
