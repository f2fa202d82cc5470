"""Damaged input files: each is reported in one message with its place, and stops no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.authoring.prompt_manifest import read_manifest
from scripts.lib.base.errors import BenchError, InputErrors, Problem
from scripts.lib.base.yaml_file import MOST_BYTES, read_whole
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.disk import load_planner, planners
from scripts.lib.planning.plan import Plan, make_plan
from scripts.lib.prompts.loader import load_suite, load_suites, read_suites
from scripts.lib.registry.role_table import role_table
from scripts.lib.registry_loader import load_registry
from scripts.lib.settings.run_config import CONFIG_FILE, CONFIG_VARIABLE, load_config
from tests.factories.sample_project import make_project

SHIPPED = Path("benchmarks/prompts/v1").absolute()
PROMPTS = Path("benchmarks/prompts/v1")
# What damages a suite of the sample project, and what is said of it.
DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "not UTF-8": (lambda data: data + b"\xff", "not UTF-8"),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "it looks like UTF-16"),
    "cut off": (lambda data: data[: len(data) // 2] + b'"', "not YAML"),
    "empty": (lambda data: b"", "expected at least one question"),
    "another type": (lambda data: b"prompts: [1]\n", "expected a mapping, found [1]"),
    "two mistakes": (
        lambda data: data.replace(b"tier: 1", b"tier: 9", 1).replace(b"tier: 2", b"teir: 2", 1),
        "teir",
    ),
    "NUL": (lambda data: data + b'description: "a\\0b"\n', "NUL"),
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("inputs") / "project")


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sample project (suites general, coder, math), as the working directory."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    role_table.cache_clear()
    yield folder
    role_table.cache_clear()


def planned(**changes: object) -> tuple[Plan, tuple[str, ...]]:
    """The plan of the working directory's first engine, and its faults."""
    planner = load_planner(replace(load_config(), **changes))
    return make_plan(planners(planner)[0]), tuple(map(str, planner.faults))


def suites_of(plan: Plan) -> set[str]:
    return {cell.id.suite for shard in plan.shards for cell in shard.cells}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
        encoding="utf-8",
    )


# --- one bad suite, one lost image ---


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_suite_leaves_itself_out_by_name_and_the_others_are_planned(
    project: Path, damage: str
) -> None:
    file = PROMPTS / "math.yaml"
    change, said = DAMAGE[damage]
    before, _ = planned()
    file.write_bytes(change(file.read_bytes()))
    after, faults = planned()
    assert suites_of(before) == {"general", "coder", "math", "workload"}
    assert suites_of(after) == {"general", "coder", "workload"}
    assert all(fault.startswith("benchmarks/prompts/v1/math.yaml") for fault in faults)
    assert any(said in fault for fault in faults)
    # Cells of the other suites are the very same.
    kept = {
        cell.digest for shard in before.shards for cell in shard.cells if cell.id.suite != "math"
    }
    assert {cell.digest for shard in after.shards for cell in shard.cells} == kept


def test_every_problem_of_every_bad_suite_is_named(project: Path) -> None:
    for name in ("math", "coder"):
        file = PROMPTS / f"{name}.yaml"
        text = (
            file.read_text()
            .replace("tier: 1", "tier: 9", 1)
            .replace("weight: 100", "wieght: 100", 1)
        )
        file.write_text(text)
    plan, faults = planned()
    assert suites_of(plan) == {"general", "workload"} and len(faults) == 6
    with pytest.raises(InputErrors) as caught:
        load_suites(PROMPTS)
    assert tuple(map(str, caught.value.problems)) == faults


def test_a_bad_suite_named_outright_is_a_fault_and_stops_nothing(project: Path) -> None:
    (PROMPTS / "math.yaml").write_text("prompts: {")
    plan, faults = planned(suites=("math", "coder"), questions=("math/q01", "coder/*"))
    assert suites_of(plan) == {"coder"} and len(faults) == 1 and "math.yaml" in faults[0]
    with pytest.raises(InputErrors, match="'mth' names nothing; did you mean 'math'"):
        planned(suites=("mth",))


def test_a_bad_suite_that_is_not_asked_for_is_no_fault_of_this_run(project: Path) -> None:
    (PROMPTS / "math.yaml").write_text("prompts: {")
    assert planned(suites=("coder",)) == (planned(suites=("*", "!math", "!general"))[0], ())


def test_two_suites_of_one_name_are_both_left_out(project: Path) -> None:
    shutil.copy(PROMPTS / "math.yaml", PROMPTS / "zzz.yaml")
    (PROMPTS / "zzz.yaml").write_text("suite: math\n" + (PROMPTS / "zzz.yaml").read_text())
    plan, faults = planned()
    assert suites_of(plan) == {"general", "coder", "workload"}
    assert faults == (
        "benchmarks/prompts/v1/zzz.yaml: suite: 'math' is the name of another file's suite",
    )


def test_all_suites_bad_is_an_empty_plan_with_every_fault(project: Path) -> None:
    for file in PROMPTS.glob("*.yaml"):
        file.write_text("prompts: 5")
    plan, faults = planned()
    assert plan.shards == () and len(faults) == 4


def test_a_lost_image_leaves_its_question_out(project: Path) -> None:
    shutil.copy(SHIPPED / "vl.yaml", PROMPTS / "vl.yaml")
    shutil.copytree(SHIPPED / "images", PROMPTS / "images")
    whole = read_suites(PROMPTS).sound["vl"].questions
    lost = PROMPTS / "images/clock.png"
    lost.unlink()
    asked = [question for question in whole if str(lost) in question.images]
    planner = load_planner(load_config())
    assert [f"{lost}: {q.name_in_full}: no such image" for q in asked] == list(
        map(str, planner.faults)
    )
    assert {q.id for q in planner.suites["vl"].questions} == {q.id for q in whole if q not in asked}
    # Asked for by name, it is a fault all the same, and nothing else stops.
    plan, faults = planned(questions=(asked[0].name_in_full, "coder/*"))
    assert suites_of(plan) == {"coder"} and len(faults) == len(asked)
    (PROMPTS / "images/clock.png").mkdir()
    assert load_planner(load_config()).faults == planner.faults


def test_the_plan_and_lint_tell_all_of_it_and_end_with_1(project: Path) -> None:
    (PROMPTS / "math.yaml").write_text("prompts: {q1: {teir: 1}}\n")
    shown = run("scripts.plan", "--format", "json")
    assert shown.returncode == 1 and {
        row["model"] for row in json.loads(shown.stdout) if row["cells"]
    }
    told = [line for line in shown.stderr.splitlines() if line.startswith("left out: ")]
    assert (
        len(told) == 2
        and "math.yaml:1: prompts.q1.teir: unknown key; did you mean 'tier'?" in told[0]
    )
    lint = run("scripts.prompts", "lint")
    assert (
        lint.returncode == 1
        and "did you mean 'tier'" in lint.stderr
        and "prompt: is missing" in lint.stderr
    )


def test_lint_tells_of_every_lost_image(project: Path) -> None:
    shutil.copytree(SHIPPED, PROMPTS, dirs_exist_ok=True)
    for image in (PROMPTS / "images").glob("*.png"):
        image.unlink()
    lint = run("scripts.prompts", "lint", "--no-code")
    assert lint.returncode == 1 and lint.stderr.count(": no image benchmarks/") >= 10
    freeze = run("scripts.prompts", "freeze")
    assert (
        freeze.returncode == 1
        and "no image benchmarks/" in freeze.stderr
        and "Traceback" not in freeze.stderr
    )


def test_orphans_cannot_be_listed_while_a_suite_cannot_be_read(project: Path) -> None:
    Path("benchmarks/results/cells/sample-96c").mkdir(parents=True)
    (PROMPTS / "math.yaml").write_text("prompts: {")
    told = run("scripts.cells", "orphans")
    assert (
        told.returncode == 1
        and told.stderr.startswith("error: cannot list orphans")
        and "math" in told.stderr
    )


# --- forms that were passed over in silence ---

QUESTION = """\
version: 1
prompts:
  q1:
    tier: 1
    prompt: How many?
    scoring:
      - criterion: right
        weight: 100
        checks:
          - {type: number, value: 4}
"""
CHECK = "{type: number, value: 4}"
CALL = "{type: tool_call, name: f, arguments: {a: 1}}"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            f"\n          - {CHECK}",
            f" {CHECK}",
            9,
            "scoring[0].checks: expected a list of checks, found {'type'",
        ),
        (
            f"\n          - {CHECK}",
            " 5",
            9,
            "scoring[0].checks: expected a list of checks, found 5",
        ),
        (
            CHECK,
            "number",
            10,
            "scoring[0].checks[0]: expected a mapping with a type, found 'number'",
        ),
        (
            CHECK,
            "{type: numbr, value: 4}",
            10,
            "checks[0].type: unknown check 'numbr'; did you mean 'number'?",
        ),
        (
            CHECK,
            "{type: number, vlaue: 4}",
            10,
            "checks[0].vlaue: unknown parameter of number; did you mean 'value'?",
        ),
        (
            CHECK,
            "{type: number, value: 4, tolerance: -1}",
            10,
            "tolerance: expected a number of at least 0, found -1",
        ),
        (
            CHECK,
            "{type: regex, on: last_line}",
            10,
            "a regex check needs 'required' or 'forbidden'",
        ),
        (CHECK, "{type: contains, all: []}", 10, "all: expected at least one text"),
        (
            CHECK,
            "{type: multiple_choice, value: E, choices: {A: x, B: y}}",
            10,
            "value: is none of the choices",
        ),
        (
            CHECK,
            "{type: multiple_choice, value: A, choices: [x]}",
            10,
            "expected a mapping from letters to texts",
        ),
        (
            CHECK,
            "{type: json_schema, schema: {type: objekt}}",
            10,
            "schema: not a JSON schema: $.type: 'objekt'",
        ),
        (
            CHECK,
            "{type: f1, value: x, least: 50}",
            10,
            "least: expected a number from 0 to 1, found 50",
        ),
        (CHECK, "{type: code, tests: 'assert f(1'}", 10, "tests: not Python: '(' was never closed"),
        (
            CHECK,
            "{type: code, tests: x, timeout_s: 0}",
            10,
            "timeout_s: expected a number above 0, found 0",
        ),
        (CHECK, CALL.replace("name: f", "name: 5"), 10, "name: expected a name, found 5"),
        (
            CHECK,
            CALL.replace("}}", "}, accept: {a: abc}}"),
            10,
            "accept: expected a list of values for 'a', found 'abc'",
        ),
        (
            CHECK,
            CALL.replace("}}", "}, patterns: {a: '('}}"),
            10,
            "patterns: 'a': not a regular expression",
        ),
        (
            CHECK,
            CALL.replace("}}", "}, none: true}"),
            10,
            "none: cannot be combined with 'name': a tool_call check has one of them",
        ),
        (
            CHECK,
            "{type: tool_call, calls: [{name: f, accept: 1}]}",
            10,
            "calls: accept of a call: expected a mapping",
        ),
        ("weight: 100", "wieght: 100", 8, "scoring[0].wieght: unknown key; did you mean 'weight'?"),
        (
            "weight: 100",
            "weight: 2.0",
            8,
            "weight: expected a whole number from 1 to 100, found 2.0",
        ),
        (
            "    tier: 1",
            "    tier: 1.0",
            4,
            "prompts.q1.tier: expected a whole number from 1 to 3, found 1.0",
        ),
        (
            "    tier: 1",
            "    needle: x",
            4,
            "needle: has no effect without context_tokens",
        ),
        (
            "    tier: 1",
            "    context_tokens: 50\n    needles: {a: 1}",
            5,
            "needles: expected a list of {text: …",
        ),
        (
            "    tier: 1",
            '    stop: [""]',
            4,
            "stop: expected a list of texts, none of them empty, found ['']",
        ),
        (
            "    tier: 1",
            "    auto_score: 'contains_pattern:('",
            4,
            "auto_score.required: not a regular expression",
        ),
        ("prompt: How many?", 'prompt: " "', 5, "prompts.q1.prompt: is missing"),
        ("version: 1", "suite: ../x", 1, "suite: a suite's name may hold letters"),
        (
            "version: 1",
            "questions: [{id: a}]",
            1,
            "questions: expected either prompts or questions, found both",
        ),
        (
            "prompts:",
            "questions: {a: 1}\nprompst:",
            3,
            "prompst: unknown key; did you mean 'prompts'?",
        ),
    ],
)
def test_what_a_suite_says_in_the_wrong_form_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(QUESTION)
    assert load_suite(file)[1] == [] and QUESTION.count(old) == 1
    file.write_text(QUESTION.replace(old, new))
    told = list(map(str, load_suite(file)[1]))
    assert any(text.startswith(f"{file}:{line}: ") and message in text for text in told), told


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("5", "questions[0]: expected a mapping, found 5"),
        (
            "{id: a, prompt: '?', expected: x, scoring_config: [1]}",
            "scoring_config: expected a mapping, found [1]",
        ),
        (
            "{id: a, prompt: '?', expected: x, scoring_metod: f1}",
            "scoring_metod: unknown key; did you mean 'scoring_method'?",
        ),
        ("{id: a, prompt: '?', scoring_method: code_execution}", "a code check needs 'tests'"),
        ("{id: a, prompt: '?'}", "questions[0].expected.value: expected a text, found ''"),
        (
            "{id: a, prompt: '?', expected: x}, {id: a, prompt: '?', expected: x}",
            "questions[1].id: 'a' is the id of another",
        ),
    ],
)
def test_the_second_format_is_held_to_its_form_too(
    tmp_path: Path, question: str, message: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"questions: [{question}]\n")
    told = list(map(str, load_suite(file)[1]))
    assert any(message in text for text in told), told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "only: {}\nroles:\n  coder:\n",
            ":3: roles.coder: expected a list of suites, found nothing",
        ),
        (
            "only: {}\nroles: {a: {b: [x]}}\n",
            ":2: roles.a: expected a list of texts, found {'b': ['x']}",
        ),
        (
            "only: {}\nroles: {a: [x, x]}\n",
            ":2: roles.a: expected the name of a suite, once, found 'x'",
        ),
        (
            "only: {}\nroles: {a: ['']}\n",
            ":2: roles.a: expected the name of a suite, once, found ''",
        ),
        ("only:\nroles: {a: [x]}\n", ":1: only: is missing"),
    ],
)
def test_the_table_of_roles_is_held_to_its_form(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "suites.yaml"
    file.write_text(text)
    with pytest.raises(InputErrors) as caught:
        role_table(file)
    assert f"{file}{message}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question: {}\n", "MANIFEST.yaml:1: question: unknown key; did you mean 'questions'?"),
        ("questions: [a]\n", "MANIFEST.yaml:1: questions: expected a mapping, found ['a']"),
        ("questions:\n  s/a: 5\n", "MANIFEST.yaml:2: questions.s/a: expected a mapping, found 5"),
        (
            "questions:\n  s/a: {digest: 12, since: x}\n",
            "questions.s/a.digest: expected text, found 12",
        ),
        (
            "questions:\n  s/a: {digest: 0123456789ab, sinse: x}\n",
            "questions.s/a.sinse: unknown key; did you mean 'since'?",
        ),
    ],
)
def test_the_manifest_is_held_to_its_form(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "MANIFEST.yaml").write_text(text)
    with pytest.raises(InputErrors) as caught:
        read_manifest(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpus: 3-0\n", "x.yaml:2: cpus: expected null or rising ranges such as 0-95, found '3-0'"),
        ("cpus: 0-999999\n", "cpus: expected null or rising ranges"),
        ("cpus: 0-99999999999999\n", "cpus: expected null or rising ranges"),
        ("numa: 5\n", "numa: expected null or a policy such as interleave=all, found 5"),
        (
            "batch_threads: 1000000000000\n",
            "batch_threads: expected a number of threads from 1 to 65536",
        ),
        (
            "batch_threads: 2.0\n",
            "batch_threads: expected a number of threads from 1 to 65536, found 2.0",
        ),
        ("partitoin: x\n", "partitoin: unknown key; did you mean 'partition'?"),
        ("openmp: [OMP_A]\n", "openmp: expected a mapping of OMP_"),
    ],
)
def test_a_profile_is_held_to_its_form(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(f"threads: 2\n{text}")
    with pytest.raises(InputErrors) as caught:
        load_hardware("x", tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "backend: {type: remote}",
            "backend.type: unknown value 'remote'; known: anthropic, local, openai",
        ),
        (
            "generation_defaults: {temprature: 1}",
            "temprature: unknown key; did you mean 'temperature'?",
        ),
        (
            "acceleration: {speculative_decoding: [d]}",
            "speculative_decoding: expected a mapping, found ['d']",
        ),
        (
            "candidate_roles: {coder: 1}",
            "candidate_roles: expected a list of texts, found {'coder': 1}",
        ),
        ("deprecated: 1", "deprecated: expected true or false, found 1"),
    ],
)
def test_an_entry_of_the_registry_is_held_to_its_form(
    tmp_path: Path, entry: str, message: str
) -> None:
    file = tmp_path / "registry.yaml"
    model = "{name: A, path: a.gguf, quant: Q8_0, size_gb: 1, architecture: dense}"
    file.write_text(f"roles:\n  a:\n    tier: C\n    model: {model}\n    {entry}\n")
    with pytest.raises(InputErrors) as caught:
        load_registry(file)
    assert message in str(caught.value)


# --- files that cannot be read as YAML, or as anything ---


def _nothing(file: Path) -> None:
    file.unlink()


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _bomb(file: Path) -> None:
    levels = [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 150)}]"
        for a, b in zip("abcdefg", "bcdefgh", strict=True)
    ]
    file.write_text("\n".join(["a: &a [x, x, x]", *levels]))


def _deep_by_aliases(file: Path) -> None:
    parts = [
        f"{b}: &{b} {'[' * 40}*{a}{']' * 40}" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    ]
    file.write_text("\n".join(["a: &a [x]", *parts]))


def _huge(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (_nothing, "no such file"),
    "a folder": (_folder, "expected a file, found a folder"),
    "a loop of links": (_loop, "cannot be read: Too many levels of symbolic links"),
    "a pipe": (_pipe, "expected a file, found a pipe or a device"),
    "bad UTF-8": (lambda file: file.write_bytes(b"a: \xff\n"), "not UTF-8 (byte 3)"),
    "UTF-16": (
        lambda file: file.write_text("a: 1\n", encoding="utf-16"),
        "not UTF-8 (byte 0); it looks like UTF-16",
    ),
    "NUL": (lambda file: file.write_bytes(b"a: \0\n"), "not YAML"),
    "NUL by escape": (lambda file: file.write_text('a: "\\0"\n'), ":1: a: holds a NUL character"),
    "half a pair": (lambda file: file.write_text('a: "\\ud800"\n'), ":1: not YAML"),
    "a tab": (
        lambda file: file.write_text("a:\n\t- b\n"),
        ":2: not YAML: found character that cannot start any token",
    ),
    "two documents": (
        lambda file: file.write_text("a: 1\n---\na: 2\n"),
        ":2: expected one YAML document",
    ),
    "a list": (lambda file: file.write_text("- a\n"), "expected a mapping at the top, found list"),
    "an unknown alias": (
        lambda file: file.write_text("a: *b\n"),
        ":1: a: no anchor &b before its alias",
    ),
    "an alias in itself": (
        lambda file: file.write_text("a: &a [*a]\n"),
        ":1: a[0]: an alias refers to itself",
    ),
    "an alias bomb": (
        _bomb,
        "too large or too deep (over 1000000 values, aliases included, or 60 levels)",
    ),
    "deep": (
        lambda file: file.write_text("a: " + "[" * 100_000),
        "not YAML: exceeded maximum nesting depth",
    ),
    "deep by aliases": (_deep_by_aliases, "too large or too deep"),
    "a tag": (
        lambda file: file.write_text("a: !!python/name:os.system x\n"),
        "'tag:yaml.org,2002:python/name:os.system' is not",
    ),
    "huge": (_huge, "too large: 32 MB, at most 32 are read"),
}


@pytest.mark.parametrize("damage", UNREADABLE)
def test_a_file_that_cannot_be_read_is_one_message(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a: 1\n")
    harm, message = UNREADABLE[damage]
    harm(file)
    with pytest.raises(InputErrors) as caught:
        read_whole(file)
    assert str(caught.value).startswith(str(file)) and message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


AS_NOBODY = """\
import os, sys
from pathlib import Path
from scripts.lib.base.yaml_file import read_whole
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
read_whole(Path("x.yaml"))
"""


def test_a_file_without_permission_is_one_message(tmp_path: Path) -> None:
    """Read in a process of nobody's where the tests are root's, whom nothing is forbidden."""
    tmp_path.chmod(0o755)
    (tmp_path / "x.yaml").write_text("a: 1\n")
    (tmp_path / "x.yaml").chmod(0)
    argv = [sys.executable, "-c", AS_NOBODY, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, encoding="utf-8", check=False)
    assert done.stderr.endswith("InputErrors: x.yaml: cannot be read: Permission denied\n"), (
        done.stderr
    )


def test_a_byte_order_mark_line_ends_of_windows_and_an_empty_file_are_read(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: {c: x}\r\n")
    source = read_whole(file)
    assert source.value == {"a": 1, "b": {"c": "x"}} and source.lines["b.c"] == 2
    file.write_text("")
    assert read_whole(file).value == {}
    file.write_text("# nothing\n")
    assert read_whole(file).value == {}


def test_honest_anchors_are_read_as_often_as_they_are_used(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]\n&e e: *e\nf: !!str 12\n")
    a = {"b": [1, 2]}
    assert read_whole(file).value == {"a": a, "c": a, "d": [a, a], "e": "e", "f": "12"}


INPUTS = {
    "config": CONFIG_FILE,
    "registry": Path("orchestration/model_registry.yaml"),
    "table of roles": Path("config/suites.yaml"),
    "hardware": Path("config/hardware/sample-96c.yaml"),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("damage", ["nothing", "a folder", "bad UTF-8", "an alias bomb", "a list"])
def test_a_damaged_input_is_named_by_the_tool_that_needs_it(
    project: Path, kind: str, damage: str
) -> None:
    UNREADABLE[damage][0](INPUTS[kind])
    with pytest.raises(BenchError) as caught:
        planned()
    said = (
        "no profile"
        if (kind, damage) in (("hardware", "nothing"), ("hardware", "a folder"))
        else UNREADABLE[damage][1]
    )
    assert said in str(caught.value) and INPUTS[kind].stem in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "5", "[" * 100_000])
def test_a_damaged_configuration_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, text)
    with pytest.raises(BenchError, match=CONFIG_VARIABLE):
        load_config()


# --- numbers and terminals ---


def test_a_whole_number_written_with_a_point_is_an_error_everywhere(project: Path) -> None:
    for setting in (
        "sampling: {seed: 2.0}",
        "repeats: 2.0",
        "tiers: [1.0]",
        "context: {length_tokens: 4096.0}",
    ):
        Path("mine.yaml").write_text(setting)
        with pytest.raises(
            InputErrors, match=r"mine.yaml:1: .*expected a (whole number|list of tiers) .*, found "
        ):
            load_config((Path("mine.yaml"),))
    # Where a number is wanted, 1 and 1.0 are the same, to the digest of the cells.
    plans = []
    for number in ("1", "1.0"):
        Path("mine.yaml").write_text(f"sampling: {{top_p: {number}, temperature: {number}}}\n")
        plans.append(make_plan(load_planner(load_config((Path("mine.yaml"),)))))
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "iso8859-9"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
    ],
    ids=["Turkish", "ASCII"],
)
def test_a_terminal_of_another_encoding_gets_escapes_and_no_traceback(
    project: Path, environment: dict[str, str]
) -> None:
    text = (PROMPTS / "math.yaml").read_text()
    (PROMPTS / "math.yaml").write_text(f"suite: 日 本\n{text}", encoding="utf-8")
    shown = run("scripts.plan", **environment)
    assert shown.returncode == 1 and "Traceback" not in shown.stderr
    assert (
        "left out: benchmarks/prompts/v1/math.yaml:1: suite: " in shown.stderr
        and "'\\u65e5 \\u672c'" in shown.stderr
    )
    assert run("scripts.prompts", "lint", **environment).stderr.startswith(
        "error: benchmarks/prompts/v1/math.yaml:1"
    )


def test_many_problems_are_counted_and_the_first_are_shown() -> None:
    told = str(
        InputErrors(Problem("x.yaml", str(number), "wrong") for number in range(1000))
    ).splitlines()
    assert len(told) == 201 and told[-1] == "… and 800 more problems"
