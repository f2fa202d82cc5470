"""Lint, the manifest of frozen questions, and public benchmarks as suites."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.authoring.prompt_manifest import compare, freeze, read_manifest
from scripts.lib.authoring.public_benchmarks import BENCHMARKS, import_benchmark, read_benchmark
from scripts.lib.base.errors import BenchError
from scripts.lib.prompts.contexts.generator import KINDS, ContextSpec
from scripts.lib.prompts.lengths import (
    count,
    name_of,
    prompt_tokens,
    prose_characters,
    read_lengths,
    store,
)
from scripts.lib.prompts.loader import Question, load_suites
from scripts.lib.prompts.types import Depth
from scripts.lib.registry_loader import load_registry
from scripts.lib.scoring.score import score_answer
from scripts.lib.weights.facts import facts
from tests.factories.commands import call
from tests.factories.hostile import HOSTILE
from tests.factories.plans import REGISTRY, SUITES, planner
from tests.factories.public_files import PUBLISHED
from tests.factories.public_layouts_code import WRITERS_CODE
from tests.factories.tiny_models import write_model

pytestmark = pytest.mark.slow

SHIPPED = Path("benchmarks/prompts/v1")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return call("scripts.prompts", *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of two shipped suites without a manifest."""
    made = tmp_path / "prompts"
    made.mkdir()
    for name in ("math", "general"):
        shutil.copy(SHIPPED / f"{name}.yaml", made)
    return made


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


# --- lint -----------------------------------------------------------------------------------------


def test_the_shipped_suites_are_clean_in_seconds() -> None:
    start = time.process_time()
    done = run("lint", "--no-code")
    assert done.returncode == 0 and "0 errors, 0 warnings" in done.stdout, done.stderr
    assert time.process_time() - start < 10.0


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "math",
            "{type: number, value: 14}",
            "{type: number, value: 15}",
            "the reference fails its own checks",
        ),
        (
            "math",
            "{type: number, value: 14}",
            "{type: regex, required: 'e'}",
            "a damaged answer (wrong) passes",
        ),
        ("math", "weight: 100", "weight: 90", "the weights add up to 90, expected 100"),
        (
            "general",
            "type: contains",
            "type: contans",
            "unknown check 'contans'; did you mean 'contains'?",
        ),
    ],
)
def test_lint_finds_what_is_wrong(
    folder: Path, file: str, old: str, new: str, message: str
) -> None:
    edit(folder / f"{file}.yaml", old, new)
    done = run("lint", folder)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_lint_reads_the_predecessors_formats(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(
        "domain: old\nprompts:\n  t1_q1_x:\n    tier: 1\n    name: X\n"
        "    prompt: Say yes.\n    expected: yes\n"
        "    reference_answer: yes\n    scoring: [{criterion: says yes, weight: 100}]\n"
        "    auto_score: 'contains_pattern:yes'\n"
    )
    (tmp_path / "second.yaml").write_text(
        "suite: second\nscoring_default: exact_match\nquestions:\n"
        "  - {id: a, tier: 1, prompt: 'Capital of Peru?', expected: Lima}\n"
        "  - {id: b, tier: 2, prompt: 'Pick A or B', expected: B, "
        "scoring_method: multiple_choice}\n"
    )
    done = run("lint", tmp_path)
    assert done.returncode == 0 and "second" in done.stdout, done.stderr


def test_lint_reads_a_configuration_with_its_folder_and_its_images(tmp_path: Path) -> None:
    suites, images, mine = tmp_path / "suites", tmp_path / "images", tmp_path / "mine.yaml"
    suites.mkdir()
    images.mkdir()
    (images / "a.png").write_bytes(b"x")
    question = "{id: a, tier: 1, prompt: p, expected: cat, image_path: /old/a.png}"
    (suites / "s.yaml").write_text(f"suite: s\nquestions:\n  - {question}\n")
    mine.write_text(f"prompts: {suites}\n")
    assert "no image /old/a.png" in run("lint", "--configfile", mine).stderr
    mine.write_text(f"prompts: {suites}\nimage_roots: {{/old: {images}}}\n")
    assert "no image" not in run("lint", "--configfile", mine).stderr


def test_lint_warns_of_what_cannot_be_checked(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "prompts:\n  q:\n    tier: 1\n    prompt: Why?\n"
        "    scoring: [{criterion: is wise, weight: 100}]\n"
    )
    done = run("lint", tmp_path)
    assert done.returncode == 0 and "no criterion has a machine check" in done.stderr
    assert run("lint", tmp_path / "nowhere").returncode == 1


# --- the manifest ---------------------------------------------------------------------------------


def test_a_frozen_text_may_not_change_but_a_description_may(folder: Path) -> None:
    assert read_manifest(folder) is None and len(freeze(folder, load_suites(folder))) == 20
    assert (
        freeze(folder, load_suites(folder)) == []
        and list(compare(folder, load_suites(folder))) == []
    )
    edit(folder / "math.yaml", "name: Two-step word problem", "name: Apples")
    edit(folder / "math.yaml", "criterion: ends on 14", "criterion: the number is 14")
    assert list(compare(folder, load_suites(folder))) == []
    edit(folder / "math.yaml", "Tom has 12 apples", "Tim has 12 apples")
    (problem,) = compare(folder, load_suites(folder))
    assert problem.place == "math/t1_q1_apples" and "give the new text a new id" in problem.message
    with pytest.raises(BenchError, match="the text of a frozen question changed"):
        freeze(folder, load_suites(folder))
    assert run("lint", folder).returncode == 1
    edit(folder / "math.yaml", "  t1_q1_apples:", "  t1_q1_apples_b:")
    messages = {
        (p.place, p.message.partition(":")[0]) for p in compare(folder, load_suites(folder))
    }
    assert messages == {
        ("math/t1_q1_apples", "a frozen question is missing"),
        ("math/t1_q1_apples_b", "not frozen yet"),
    }


def test_a_generated_context_and_an_image_are_part_of_what_is_frozen(tmp_path: Path) -> None:
    made = tmp_path / "prompts"
    shutil.copytree(SHIPPED, made)
    edit(made / "long_context.yaml", "context_seed: 12", "context_seed: 99")
    (made / "images/clock.png").write_bytes((made / "images/shapes.png").read_bytes())
    changed = {problem.place for problem in compare(made, load_suites(made))}
    assert changed == {"long_context/t1_q2_log_level", "vl/t2_q4_clock"}


def test_a_question_frozen_twice_is_an_error(folder: Path) -> None:
    entry = "{digest: '0123456789ab', since: '2026-01-01'}"
    (folder / "MANIFEST.yaml").write_text(f"questions:\n  math/x: {entry}\n  math/x: {entry}\n")
    with pytest.raises(
        BenchError, match=r"MANIFEST\.yaml:3: questions\.math/x: duplicate key \(first on line 2\)"
    ):
        read_manifest(folder)


def test_a_damaged_manifest_is_named(folder: Path) -> None:
    (folder / "MANIFEST.yaml").write_text("questions: {math/x: {digest: short, since: today}}\n")
    done = run("lint", folder)
    assert done.returncode == 1 and "digest: expected 12 hex digits, found 'short'" in done.stderr


# --- lengths --------------------------------------------------------------------------------------


def test_the_kept_lengths_are_those_of_the_models_own_tokenizer() -> None:
    """And a context's estimate, which stands in where nobody counted, is within a twentieth."""
    weights = REGISTRY.weights_path(REGISTRY.models["smollm2_135m_q4_1"])
    assert weights is not None and weights.is_file(), "make weights"
    asked = [
        q
        for suite in SUITES.values()
        for q in suite.questions
        if q.context is not None or q.workload
    ]
    vocabulary = facts(weights).header.tokens_digest
    counted = count(weights, asked)
    assert read_lengths()[vocabulary] == counted
    for question in (q for q in asked if q.context is not None):
        exact = prompt_tokens(question, vocabulary, read_lengths())
        assert abs(prompt_tokens(question, "another", {}) / exact - 1) < 0.05, question.id


def test_text_before_a_question_has_the_depths_tokens_within_2_percent() -> None:
    """By the model's own tokenizer, whatever the depth; also where nobody counted, for SmolLM2."""
    registry = load_registry(Path("orchestration/model_registry.yaml"))
    weights = registry.weights_path(registry.models["smollm2_135m_q4_1"])
    assert weights is not None and weights.is_file(), "make weights"
    asked = load_suites(SHIPPED)["workload"].questions[0]
    vocabulary = facts(weights).header.tokens_digest
    assert prose_characters(10**5, "another", {}) == pytest.approx(
        prose_characters(10**5, vocabulary, read_lengths()), rel=0.01
    )
    deep = [
        asked.at_depth(Depth(tokens, prose_characters(tokens, vocabulary, read_lengths())))
        for tokens in (512, 768, 1024, 1536, 4096, 12000, 16384, 65536, 131072)
    ]
    counted = count(weights, [asked, *deep])
    for question in deep:
        found = counted[name_of(question)] - counted[name_of(asked)]
        assert found == pytest.approx(question.depth_tokens, rel=0.02), question.id


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_of_every_kind_of_context_is_near_the_tokenizers_count(kind: str) -> None:
    """Seed by seed within a tenth, so that what is left out as longer than the context is so."""
    weights = REGISTRY.weights_path(REGISTRY.models["smollm2_135m_q4_1"])
    assert weights is not None and weights.is_file(), "make weights"
    asked = [
        Question("s", str(seed), 1, "", "?", context=ContextSpec(kind, 6000, seed))
        for seed in range(3)
    ]
    counted = count(weights, asked)
    for question in asked:
        assert abs(prompt_tokens(question, "another", {}) / counted[name_of(question)] - 1) < 0.1


def test_counts_are_kept_per_vocabulary_and_used_by_the_plan(tmp_path: Path) -> None:
    asked = SUITES["long_context"].questions[0]
    file = tmp_path / "lengths.json"
    store("a", count(write_model(tmp_path / "tiny.gguf"), [asked]), file)
    store("b", {name_of(asked): 7}, file)
    lengths = read_lengths(file)
    # The tiny vocabulary has a token per character.
    assert (
        prompt_tokens(asked, "a", lengths) >= len(asked.prompt_text())
        and prompt_tokens(asked, "b", lengths) == 7
    )
    made = planner(lengths={"": {name_of(asked): 10**6}})
    model = REGISTRY.models["frontdoor"]
    # Of a length that was counted nobody says that it is an estimate.
    assert made.unanswerable(model, asked).startswith(
        "longer, with its answer, than the context of "
    )
    assert (
        made.unanswerable(model, asked).endswith(" tokens")
        and planner().unanswerable(model, asked) == ""
    )
    file.write_text("[1]")
    with pytest.raises(BenchError, match="delete it and count again"):
        read_lengths(file)


# --- public benchmarks ----------------------------------------------------------------------------


def write_jsonl(file: Path, *rows: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def humaneval(folder: Path) -> Path:
    row = {
        "task_id": "HumanEval/7",
        "prompt": 'def double(x):\n    """Twice x."""\n',
        "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n"
        "    assert candidate(-3) == -6\n",
    }
    file = folder / "HumanEval.jsonl.gz"
    file.write_bytes(gzip.compress((json.dumps(row) + "\n").encode()))
    return file


def gsm8k(folder: Path) -> Path:
    long = "\n".join(f"step {n}" for n in range(6))
    return write_jsonl(
        folder / "test.jsonl",
        {"question": "Two and two?", "answer": "2+2=<<2+2=4>>4\n#### 4"},
        {"question": "Much?", "answer": f"{long}\n#### 1,250"},
    )


def arc(folder: Path) -> Path:
    choices = [{"label": str(n), "text": text} for n, text in enumerate(("iron", "wood", "air"), 1)]
    row = {
        "id": "Q 1",
        "question": {"stem": "Which is a metal?", "choices": choices},
        "answerKey": "1",
    }
    write_jsonl(folder / "ARC-Easy/test.jsonl", row)
    write_jsonl(folder / "ARC-Challenge/test.jsonl", {**row, "id": "Q 2", "answerKey": "2"})
    return folder


def mmlu(folder: Path) -> Path:
    for subject in ("high_school_physics", "anatomy", "college_biology"):
        with (folder / f"{subject}_test.csv").open("w", newline="") as stream:
            csv.writer(stream).writerow(["Which, then?", "one", "two, or so", "three", "four", "B"])
    return folder


def ifeval(folder: Path) -> Path:
    return write_jsonl(
        folder / "input_data.jsonl",
        {
            "key": 1,
            "prompt": "Write.",
            "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
            "kwargs": [{}, {"relation": "less than", "num_words": 5}],
        },
        {
            "key": 2,
            "prompt": "Write.",
            "instruction_id_list": ["language:response_language"],
            "kwargs": [{"language": "de"}],
        },
        {
            "key": 3,
            "prompt": "Write.",
            "instruction_id_list": ["language:response_language"],
            "kwargs": [{}],
        },
    )


WRITERS = {
    **{"humaneval": humaneval, "gsm8k": gsm8k, "arc": arc, "mmlu": mmlu, "ifeval": ifeval},
    **PUBLISHED,
    **WRITERS_CODE,
}


def imported(name: str, tmp_path: Path) -> dict[str, Question]:
    source, out = tmp_path / name, tmp_path / f"{name}_suite"
    source.mkdir()
    import_benchmark(name, WRITERS[name](source), out, None, 0)
    return {question.id: question for question in load_suites(out)[name].questions}


def passed(question: Question, answer: str) -> bool | None:
    return score_answer(question, answer, "stop").passed


def test_every_adapter_has_a_layout_under_test() -> None:
    assert set(WRITERS) == set(BENCHMARKS)


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"ifeval"}))
def test_references_of_public_questions_pass_and_damaged_ones_do_not(
    name: str, tmp_path: Path
) -> None:
    questions = imported(name, tmp_path)
    done = run("lint", tmp_path / f"{name}_suite")
    assert questions and done.returncode == 0, done.stderr


def test_tiers_and_answers_of_public_questions(tmp_path: Path) -> None:
    arcs = imported("arc", tmp_path)
    assert {q.id: q.tier for q in arcs.values()} == {"Q_1": 1, "Q_2": 2}
    assert passed(arcs["Q_1"], "A metal. The answer is A.") and not passed(
        arcs["Q_1"], "The answer is B."
    )
    tiers = {q.id: q.tier for q in imported("mmlu", tmp_path).values()}
    assert tiers == {"anatomy_0001": 2, "college_biology_0001": 3, "high_school_physics_0001": 1}
    sums = imported("gsm8k", tmp_path)
    assert (sums["q0000"].tier, sums["q0001"].tier) == (1, 3) and "<<" not in sums[
        "q0000"
    ].reference_answer
    assert passed(sums["q0001"], "So it is 1250.\n#### 1,250") and not passed(
        sums["q0001"], "The answer is 1,250."
    )


def test_a_text_may_hold_other_ends_of_lines(tmp_path: Path) -> None:
    source = tmp_path / "test.jsonl"
    row = {"question": HOSTILE["line_separators"], "answer": "one\u2028more\n#### 4"}
    source.write_text(
        json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row) + "\n",
        encoding="utf-8",
        newline="",
    )
    one, two = read_benchmark("gsm8k", source).items
    assert one.body == two.body and "\u2028" in one.body["prompt"]


def test_instructions_are_checked_and_what_cannot_be_is_unscored(tmp_path: Path) -> None:
    questions = imported("ifeval", tmp_path)
    assert passed(questions["q1"], "four words and done") and not passed(
        questions["q1"], "one, two, three, four, five"
    )
    assert passed(questions["q2"], "Guten Tag, wie geht es Ihnen heute?")
    assert not passed(questions["q2"], "Good morning, and how are you today?")
    assert score_answer(questions["q3"], "Guten Tag", "stop").score is None
    assert [question.tier for question in questions.values()] == [2, 1, 1]


def test_a_sample_is_seeded_and_spread_over_tiers(tmp_path: Path) -> None:
    rows = [
        {"question": f"Q{n}?", "answer": "\n".join(["s"] * (1 + n % 6)) + f"\n#### {n}"}
        for n in range(60)
    ]
    source = write_jsonl(tmp_path / "test.jsonl", *rows)
    drawn = []
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        made = import_benchmark("gsm8k", source, tmp_path / out, 12, seed)
        assert len(made.items) == 12 and set(made.tiers.values()) == {4}
        drawn.append((tmp_path / out / "gsm8k.yaml").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gsm8k", "not json\n", ":1: expected a JSON object"),
        ("gsm8k", '{"question": "x"}\n', "not in the published layout"),
        ("gsm8k", '{"question": "x", "answer": "4"}\n', "expected a last line '#### NUMBER'"),
        ("arc", '{"id": 1}\n', "expected ARC-Easy"),
    ],
)
def test_other_layouts_are_refused_with_the_one_expected(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / "file.jsonl").write_text(text)
    with pytest.raises(BenchError, match=message):
        read_benchmark(name, tmp_path / "file.jsonl")


def test_an_absent_file_names_the_layout() -> None:
    done = run("import", "mmlu", "--source", "nowhere")
    assert (
        done.returncode == 1
        and "there is no nowhere; expected a folder of SUBJECT_test.csv" in done.stderr
    )
    assert "no --source was given; expected input_data.jsonl" in run("import", "ifeval").stderr


def test_humaneval_comes_out_of_its_package(tmp_path: Path) -> None:
    done = run("import", "humaneval", "--sample-size", "6", "--output", tmp_path)
    assert (
        done.returncode == 0 and "6 questions (tier 1: 2, tier 2: 2, tier 3: 2)" in done.stdout
    ), done.stderr
    assert run("lint", tmp_path).returncode == 0
