"""Input files mutated at random, in structure and in bytes: named problems or a sound plan.

A few seconds in the ordinary suite; `EPYC_BENCH_FUZZ=1000 pytest tests/faults/test_fuzz_inputs.py`
takes 1000 examples a file.
"""

from __future__ import annotations

import copy
import datetime
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scripts.lib.authoring.prompt_manifest import NAME, compare, read_manifest
from scripts.lib.base.errors import BenchError
from scripts.lib.planning.disk import load_planner
from scripts.lib.planning.plan import make_plan
from scripts.lib.prompts.types import Question
from scripts.lib.registry.role_table import role_table
from scripts.lib.scoring.score import score_answer
from scripts.lib.settings.run_config import load_config, merged, parse_config, read_layers
from tests.factories.sample_project import make_project

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = Path("benchmarks/prompts/v1")
# An example that takes longer hangs, on a busy machine too.
MOST_SECONDS = 30
EXAMPLES = int(os.environ.get("EPYC_BENCH_FUZZ", "35"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def _nested(levels: int) -> Any:
    made: Any = "x"
    for level in range(levels):
        made = [made] if level % 2 else {"a": made}
    return made


VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2.0,
        0.5,
        -0.0,
        1e308,
        10**18,
        10**30,
        float("inf"),
        float("nan"),
    ),
    *(
        "",
        " ",
        "\n",
        "x",
        "a" * 3000,
        "\u202e",
        "💥",
        "e\u0301",
        "٣",
        "no",
        "010",
        "1_000",
        "10:00",
        "null",
        "~",
    ),
    *(
        "../../x",
        "/dev/zero",
        "{x}",
        "[[",
        "(",
        "(a+)+$",
        "*",
        "!*",
        "9-2",
        "0-999999",
        "!!str x",
        "%(x)s",
        "$x",
        "\x85",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        {"a": None},
        [{"a": []}],
        ["x", "x"],
        datetime.date(2026, 1, 1),
        _nested(30),
        _nested(90),
    ),
)
SNIPPETS = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\t",
        b"\r\n",
        b"\r",
        b": ",
        b"- ",
        b"&a ",
        b"*a",
        b"!!python/name:os.system ",
        b"!x ",
    ),
    *(
        b"{",
        b"[",
        b'"',
        b"'",
        b"|",
        b"%YAML 9.9\n",
        b"---\n",
        b"...\n",
        b"? ",
        b"<<: ",
        b'"\\ud800"',
        b"\xc2\x85",
        b"1e999",
    ),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value below the top."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield (*path, key)
        yield from _places(value[key], (*path, key))


def _changed(tree: Any, draw: Callable[[Any], Any]) -> None:
    """One change of one value, in place."""
    places = list(_places(tree))
    *above, key = draw(st.sampled_from(places))
    holder = tree
    for part in above:
        holder = holder[part]
    kind = draw(
        st.sampled_from(["replace", "replace", "drop", "rename", "wrap", "double", "move", "text"])
    )
    value = holder[key]
    if kind == "replace":
        holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    elif kind == "drop":
        del holder[key]
    elif kind == "wrap":
        holder[key] = draw(st.sampled_from([[value], {"a": value}, [value, value]]))
    elif kind == "move":
        *other, _ = draw(st.sampled_from(places))
        target = tree
        for part in other:
            target = target[part] if isinstance(target, (dict, list)) and _has(target, part) else {}
        if isinstance(target, dict) and target is not value:
            target[draw(st.sampled_from(["x", *map(str, above), str(key)]))] = copy.deepcopy(value)
    elif kind == "text":
        holder[key] = str(value) if isinstance(value, (int, float)) else draw(st.text(max_size=6))
    elif isinstance(holder, dict):
        name = f"{key}s" if kind == "double" else draw(st.text(max_size=4)) or str(key)[:-1]
        holder[name] = holder.pop(key) if kind == "rename" else copy.deepcopy(value)


def _has(target: Any, part: Any) -> bool:
    return (
        part in target if isinstance(target, dict) else isinstance(part, int) and part < len(target)
    )


@st.composite
def mutants(draw: Callable[[Any], Any], originals: list[dict[str, Any]]) -> bytes:
    """A file's bytes: some values of it changed, then perhaps some bytes."""
    tree = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 3))):
        if tree:
            _changed(tree, draw)
    data = bytearray(
        yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode(
            "utf-8", "replace"
        )
    )
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "flip", "cut", "repeat"])):
            case "insert":
                data[place:place] = draw(st.sampled_from(SNIPPETS))
            case "flip" if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[place : place + draw(st.sampled_from([1, 20, 10**6]))]
            case "repeat":
                line = data.rfind(b"\n", 0, place) + 1
                data[line:line] = data[line : data.find(b"\n", place) + 1]
    return bytes(data)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail what takes longer."""

    def hangs(*_: object) -> None:
        raise AssertionError(f"still busy after {seconds} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample project, small, so that planning is quick, as the working directory."""
    folder = make_project(tmp_path_factory.mktemp("fuzz") / "project")
    for suite in ("coder", "general"):
        (folder / PROMPTS / f"{suite}.yaml").unlink()
    for name in ("config/config.yaml", "config/suites.yaml"):
        shutil.copy(ROOT / name, folder / name)
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    config |= {"hardware": "sample-96c", "models": ["small"], "repeats": 1, "tiers": [1, 2, 3]}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    before = Path.cwd()
    os.chdir(folder)
    role_table.cache_clear()
    yield folder
    os.chdir(before)
    role_table.cache_clear()


def _registries() -> list[dict[str, Any]]:
    own = yaml.safe_load(Path("orchestration/model_registry.yaml").read_text())
    shipped = yaml.load(
        (ROOT / "orchestration/model_registry.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    named = ("frontdoor", "worker_vision", "smollm2_135m_q4_1", "demo_smollm2_8x135m")
    roles = {key: shipped["roles"][key] for key in named if key in shipped["roles"]}
    kept = {
        key: shipped[key] for key in ("runtime_defaults", "runtime_quirks", "command_templates")
    }
    return [{**kept, "roles": {**own["roles"], **roles}}, own]


def _suites() -> list[dict[str, Any]]:
    made = []
    for name in ("math", "tool_compliance", "instruction_precision", "long_context", "vl"):
        suite = yaml.load((ROOT / PROMPTS / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
        for key in list(suite["prompts"])[3:]:
            del suite["prompts"][key]
        made.append(suite)
    second = {
        "suite": "second",
        "scoring_default": "exact_match",
        "questions": [
            {"id": "a", "tier": 1, "prompt": "?", "expected": "x"},
            {
                "id": "b",
                "tier": 2,
                "prompt": "?",
                "expected": "B",
                "scoring_method": "multiple_choice",
            },
            {
                "id": "c",
                "tier": 2,
                "prompt": "?",
                "scoring_method": "code_execution",
                "scoring_config": {"test_code": "assert f(1) == 1", "entry_point": "f"},
            },
        ],
    }
    return [*made, second]


def _read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())
    return loaded


ORIGINALS: dict[str, tuple[str, Callable[[], list[dict[str, Any]]]]] = {
    "registry": ("orchestration/model_registry.yaml", _registries),
    "config": ("config/config.yaml", lambda: [_read(Path("config/config.yaml"))]),
    "suite": (f"{PROMPTS}/fuzzed.yaml", _suites),
    "table of roles": ("config/suites.yaml", lambda: [_read(ROOT / "config/suites.yaml")]),
    "hardware": (
        "config/hardware/sample-96c.yaml",
        lambda: [
            *map(_read, sorted((ROOT / "config/hardware").glob("*.yaml"))),
            {
                "threads": 2,
                "cpus": "0-3",
                "strict": True,
                "nice": -5,
                "openmp": {"OMP_WAIT_POLICY": "active", "OMP_A": 1},
                "huge_pages": "always",
                "partition": "x",
                "node_cpus": 8,
                "numa": "membind=0",
            },
        ],
    ),
}


def _check_plan() -> None:
    """Plan, and use what was accepted: half-accepted values show here."""
    role_table.cache_clear()
    planner = load_planner(load_config())
    assert make_plan(planner).hardware.threads >= 1
    for suite in planner.suites.values():
        for question in suite.questions:
            _check_question(question)


def _check_question(question: Question) -> None:
    assert question.prompt.strip() and question.tier in (1, 2, 3)
    assert not question.scoring or sum(criterion.weight for criterion in question.scoring) == 100
    if not any(
        check.type in ("code", "math")
        for criterion in question.scoring
        for check in criterion.checks
    ):
        for answer in ("The answer is 42.", '{"name": "x", "arguments": {}}'):
            score_answer(question, answer, "stop")


@pytest.mark.parametrize("kind", ORIGINALS)
def test_a_mutated_file_is_named_problems_or_a_sound_plan(project: Path, kind: str) -> None:
    name, originals = ORIGINALS[kind]
    file, known = Path(name), originals()
    before = file.read_bytes() if file.exists() else None

    @FUZZ
    @given(mutants(known))
    def try_it(data: bytes) -> None:
        file.write_bytes(data)
        with within(MOST_SECONDS):
            try:
                _check_plan()
            except BenchError as error:
                assert str(error).strip() and len(str(error)) < 200_000

    try:
        try_it()
    finally:
        file.unlink() if before is None else file.write_bytes(before)


def test_a_mutated_manifest_is_named_problems_or_read(project: Path) -> None:
    suites = load_planner(load_config()).suites
    entry = {
        "digest": "0123456789ab",
        "since": "2026-01-01",
        "provenance": "written for this project",
    }
    known = {"questions": {"math/q00": entry, "math/q01": dict(entry), "math/gone": dict(entry)}}
    file = PROMPTS / NAME

    @FUZZ
    @given(mutants([known]))
    def try_it(data: bytes) -> None:
        file.write_bytes(data)
        with within(MOST_SECONDS):
            try:
                assert all(
                    len(found.digest) == 12 for found in (read_manifest(PROMPTS) or {}).values()
                )
                # Without its `questions` it is another project's, and is not read.
                assert list(compare(PROMPTS, suites)) or read_manifest(PROMPTS) is None
            except BenchError as error:
                assert NAME in str(error)

    try:
        try_it()
    finally:
        file.unlink()


SETTING_NAMES = (
    "sampling",
    "models",
    "judge",
    "sample",
    "hardware",
    "timeouts",
    "preflight",
    "tiers",
    "x",
    "engine",
    "",
)
SETTING_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "{seed: 010}",
            "[a, b]",
            "{claude: {max_usd: .nan}}",
            "&a [*a]",
            "{a: &x {b: *x}}",
            "[" * 2000,
        ]
    ),
    st.sampled_from(VALUES).map(str),
    st.lists(st.sampled_from([*"{}[]: ,'\"\n1", "seed", "&a", "*a", "!!x"])).map("".join),
)


@FUZZ
@given(st.lists(st.tuples(st.sampled_from(SETTING_NAMES), SETTING_TEXTS), max_size=3))
def test_settings_of_a_command_line_are_named_problems_or_a_configuration(
    settings_: list[tuple[str, str]],
) -> None:
    with within(MOST_SECONDS):
        try:
            layers = read_layers((), [f"{name}={text}" for name, text in settings_])
            assert parse_config(merged(layers), sources=layers).sample >= 1
        except BenchError as error:
            assert str(error).strip()
