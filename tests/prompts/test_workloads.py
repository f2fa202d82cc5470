"""Workloads: the shipped suite is what it says; turns and least lengths reach plan and specs."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import ndiff
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.lib.authoring.prompt_manifest import question_digest
from scripts.lib.base.errors import InputErrors
from scripts.lib.compare.rescoring import _is_asked
from scripts.lib.executor import request_of
from scripts.lib.planning.cell_spec import prompt_spec, turns_spec
from scripts.lib.planning.plan import Planner, find_shard, make_plan
from scripts.lib.planning.prediction import Basis, Speed, cell_seconds
from scripts.lib.planning.runtime_values import max_tokens_of
from scripts.lib.prompts.lengths import (
    TURN_TOKENS,
    name_of,
    prompt_tokens,
    template_tokens,
)
from scripts.lib.prompts.loader import Question, load_suite
from scripts.lib.prompts.question_workloads import WORKLOADS
from scripts.lib.prompts.types import InferenceParams, Turn
from scripts.lib.registry.role_table import is_role_suite
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.score import score_answer
from scripts.lib.settings.run_config import Config
from tests.factories.plans import FULL, SUITES, planner

SUITE = SUITES["workload"]
QUESTIONS = {question.id: question for question in SUITE.questions}
CHAT = replace(
    QUESTIONS["t1_q1_edit_retry"],
    prompt="And now?",
    turns=(Turn("user", "One."), Turn("assistant", "Two.")),
)
FENCED = re.compile(r"```\w+\n(.*?)```", re.S)


def pieces(text: str) -> int:
    """Words, and runs of marks, of a text: no tokenizer has fewer tokens than most of these."""
    return len(re.findall(r"\w+|[^\w\s]+", text))


def named(question: Question) -> str:
    return question.id


# --- the shipped suite ---


def test_eight_workloads_of_four_questions_which_no_role_asks_for() -> None:
    found = [question.workload for question in SUITE.questions]
    assert {name: found.count(name) for name in found} == dict.fromkeys(WORKLOADS, 4)
    assert {question.tier for question in SUITE.questions} == {1}
    assert {question.least_tokens for question in SUITE.questions} == {256}
    assert not is_role_suite("workload")


@pytest.mark.parametrize("question", SUITE.questions, ids=named)
def test_prompts_and_answers_have_the_lengths_of_work(question: Question) -> None:
    text = question.with_turns(question.prompt_text())
    assert 1100 <= len(text) <= 11_000 and 220 <= pieces(text) <= 2600
    assert pieces(question.reference_answer) >= 160
    assert not [line for line in text.split("\n") if len(line) > 260]


def test_a_chat_has_turns_and_nothing_else_has() -> None:
    for question in SUITE.questions:
        assert bool(question.turns) is (question.workload == "chat"), question.id


def test_an_edited_file_differs_in_what_was_asked_alone() -> None:
    for question in SUITE.questions:
        if question.workload == "code_editing":
            (given,), (edited,) = (
                FENCED.findall(text) for text in (question.prompt, question.reference_answer)
            )
            changes = ndiff(given.splitlines(), edited.splitlines())
            changed = [line for line in changes if line[0] in "+-"]
            assert 2 <= len(changed) <= 14 and len(given.splitlines()) >= 40, question.id


def test_every_wanted_quotation_is_in_its_text_once() -> None:
    for question in SUITE.questions:
        if question.workload == "quoting":
            wanted = [c.params["text"] for c in question.checks if c.type == "substring"]
            assert len(wanted) >= 4
            assert [text for text in wanted if question.prompt.count(text) != 1] == []


def test_a_quotation_in_other_words_is_none() -> None:
    for question in SUITE.questions:
        if question.workload == "quoting":
            answer = question.reference_answer.replace(" the ", " this ")
            fraction = score_answer(question, answer, "stop").fraction
            assert fraction is not None and fraction < 0.6, question.id


def test_an_edit_that_was_not_made_does_not_pass() -> None:
    for question in SUITE.questions:
        if question.workload == "code_editing":
            (given,) = FENCED.findall(question.prompt)
            language = re.findall(r"```(\w+)\n", question.prompt)[0]
            found = score_answer(question, f"```{language}\n{given}```", "stop")
            assert found.passed is False, question.id


# --- references recomputed ---


def answer_line(name: str) -> str:
    return QUESTIONS[name].reference_answer.rsplit("Answer: ", 1)[1].strip()


def test_the_ferry_the_rack_and_the_screening_are_recomputed() -> None:
    queue = 17 * 60 + 55
    spare = {
        "A": queue - (8 * 60 + 20 + 215 + 9 * 17 + 45),
        "B": queue - (8 * 60 + 50 + 240 + 12 * 14 + 45 + 30),
        "C": queue - (9 * 60 + 30 + 180 + 4 * 20 + 2 * 35 + 30),
    }
    assert spare == {"A": 162, "B": 62, "C": 145}
    assert answer_line("t1_q21_reason_ferry") == f"{spare['A'] - 17 - 25} minutes"
    jobs = sorted(
        105 * new + 55 * old
        for new in range(5)
        for old in range(10 - new)
        if 1.12 * (770 + 730 * new + 410 * old) <= 0.8 * 230 * 32
    )
    assert jobs[-3:] == [585, 590, int(answer_line("t1_q22_reason_rack"))]
    sick = round(0.015 * 12_000)
    wrong, missed = round(0.05 * (12_000 - sick)), round(0.1 * sick)
    costs = 12_000 * 6 + (sick - missed + wrong) * 40 + missed * 700
    assert answer_line("t1_q24_reason_screening") == f"{sick * 700 - costs} euros"


def test_the_crates_have_one_solution() -> None:
    kinds = ("maps", "letters", "plates", "ledgers", "seals")
    solutions = []
    for row in permutations(kinds):
        at = {kind: place for place, kind in enumerate(row, 1)}
        holds = (
            all(kind != label for kind, label in zip(row, kinds, strict=True)),
            at["seals"] + 1 == at["letters"],
            at["maps"] not in (1, 5),
            at["plates"] < at["ledgers"],
            at["ledgers"] % 2 == 1,
            abs(at["plates"] - at["seals"]) == 3,
        )
        solutions += [row] if all(holds) else []
    (row,) = solutions
    shown = ", ".join(f"{place} {kind}" for place, kind in enumerate(row, 1))
    assert answer_line("t1_q23_reason_labels") == shown


# --- the plan ---

SMALL = replace(FULL, models=("worker_math",), suites=("*", "workload"), tiers=(1,))


def of_workload(made: Planner, mode: str) -> list[str]:
    cells = find_shard(make_plan(made), "worker_math", mode).cells
    return [cell.question.workload for cell in cells if cell.id.suite == "workload"]


def test_the_suite_is_asked_where_it_is_named() -> None:
    assert of_workload(planner(replace(SMALL, suites=("*",))), "baseline") == []
    assert len(of_workload(planner(SMALL), "baseline")) == 32


def test_speed_modes_are_asked_a_sample_of_each_workload() -> None:
    two = replace(SMALL, decoding=replace(SMALL.decoding, speed_sample=2))
    found = of_workload(planner(two), "lookup_n3")
    assert {name: found.count(name) for name in found} == dict.fromkeys(WORKLOADS, 2)


def test_speed_modes_can_be_asked_the_workloads_alone() -> None:
    decoding = replace(SMALL.decoding, speed_suites=("workload",), speed_sample=1)
    made = make_plan(planner(replace(SMALL, decoding=decoding)))
    baseline, lookup = (find_shard(made, "worker_math", m) for m in ("baseline", "lookup_n3"))
    assert {cell.id.suite for cell in lookup.cells} == {"workload"} and len(lookup.cells) == 8
    certified = {cell.id.question for cell in baseline.cells if cell.certifies}
    assert certified == {cell.id.question for cell in lookup.cells}
    assert {cell.id.suite for cell in baseline.cells} > {"workload"}
    plain = make_plan(planner(replace(SMALL, suites=("*",))))
    files = set(find_shard(plain, "worker_math", "baseline").cell_files)
    assert files < set(baseline.cell_files)


def test_an_unknown_suite_for_speed_modes_is_named() -> None:
    decoding = replace(SMALL.decoding, speed_suites=("workloads",))
    with pytest.raises(InputErrors, match="'workloads' names nothing; did you mean 'workload'"):
        make_plan(planner(replace(SMALL, decoding=decoding)))


def most(config: Config, question: Question) -> tuple[int, str]:
    model = planner(FULL).registry.models["worker_math"]
    found = max_tokens_of(config, model, question)
    return found.value, found.source


def test_no_answer_is_cut_below_its_least_length() -> None:
    short = replace(FULL, sampling=replace(FULL.sampling, max_tokens=128))
    longer = replace(FULL, sampling=replace(FULL.sampling, max_tokens=300))
    question = QUESTIONS["t1_q1_edit_retry"]
    said = "workload: min_tokens (of 128: config: sampling.max_tokens)"
    assert most(short, question) == (256, said)
    assert most(longer, question) == (300, "config: sampling.max_tokens")
    free = replace(question, inherited=InferenceParams())
    assert most(short, free) == (128, "config: sampling.max_tokens")


def test_the_least_length_is_in_the_spec_where_it_is_given() -> None:
    for cell in find_shard(make_plan(planner(SMALL)), "worker_math", "baseline").cells:
        least = cell.spec["sampling"].get("min_tokens")
        assert least == (256 if cell.id.suite == "workload" else None)
        assert ("turns" in cell.spec["prompt"]) is bool(cell.question.turns)


# --- turns ---


def test_the_turns_are_in_spec_digest_and_length() -> None:
    made = planner(FULL)
    model, weights = made.registry.models["worker_math"], made.weights["worker_math"]
    plain = replace(CHAT, turns=())
    long = replace(CHAT, turns=(Turn("user", "x" * 9000), CHAT.turns[1]))
    sent = prompt_spec(CHAT, model, weights)
    assert sent["turns"] == [{"user": "One."}, {"assistant": "Two."}]
    assert {**prompt_spec(plain, model, weights), "turns": sent["turns"]} == sent
    assert turns_spec(long)[0]["user_characters"] == 9000 and "user" not in turns_spec(long)[0]
    assert len({question_digest(question) for question in (CHAT, plain, long)}) == 3
    assert prompt_tokens(long, "", {}) > prompt_tokens(plain, "", {}) + 1500
    assert template_tokens(CHAT) == template_tokens(plain) + 2 * TURN_TOKENS
    assert name_of(CHAT) != name_of(plain)


def test_observations_of_other_turns_are_other_questions() -> None:
    sent = {"user": "And now?", "turns": turns_spec(CHAT)}
    assert _is_asked(CHAT, SimpleNamespace(spec={"prompt": sent}))  # type: ignore[arg-type]
    for other in ({"user": "And now?"}, {**sent, "turns": [{"user": "One."}]}):
        assert not _is_asked(CHAT, SimpleNamespace(spec={"prompt": other}))  # type: ignore[arg-type]


def test_the_request_has_the_turns_and_merges_the_system_text_into_the_first() -> None:
    cells = find_shard(make_plan(planner(SMALL)), "worker_math", "baseline").cells
    cell = next(cell for cell in cells if cell.question.turns)
    request = request_of(cell)
    said = [(turn.role, turn.content) for turn in cell.question.turns]
    roles = [message["role"] for message in request.messages]
    assert roles == [*(role for role, _ in said), "user"]
    assert request.user == cell.question.prompt and list(request.turns) == said
    prompt = {**cell.spec["prompt"], "system": "Be brief.", "system_merged": True}
    merged = request_of(replace(cell, spec={**cell.spec, "prompt": prompt}))
    assert merged.system == "" and merged.user == request.user
    assert merged.turns[0] == ("user", f"Be brief.\n{said[0][1]}")
    assert merged.turns[1:] == request.turns[1:]
    system = replace(request, system="Be brief.").messages[0]
    assert system == {"role": "system", "content": "Be brief."}


def test_the_turns_take_time() -> None:
    shard = find_shard(make_plan(planner(SMALL)), "worker_math", "baseline")
    cell = next(cell for cell in shard.cells if cell.question.turns)
    silent = replace(cell, question=replace(cell.question, turns=()))
    speed = Speed(10.0, 1.0, 1.0, Basis.REPORTED)
    characters = sum(len(turn.content) for turn in cell.question.turns)
    more = cell_seconds(shard, cell, speed) - cell_seconds(shard, silent, speed)
    assert more == pytest.approx(characters / 4)


def test_a_judge_sees_the_turns() -> None:
    shown = material(CHAT, "Three.", "stop").question
    assert shown == "user: One.\n\nassistant: Two.\n\nuser: And now?"
    assert material(replace(CHAT, turns=()), "Three.", "stop").question == "And now?"


QUESTION = """
prompts:
  t1_q1_x:
    prompt: And now?
    scoring: [{criterion: says so, weight: 100}]
"""


def load(folder: Path, more: str, top: str = "") -> tuple[Question, list[str]]:
    file = folder / "s.yaml"
    file.write_text(top + QUESTION + "".join(f"    {line}\n" for line in more.splitlines()))
    suite, problems = load_suite(file)
    return suite.questions[0], [str(problem).removeprefix(f"{file}:") for problem in problems]


def test_a_question_has_turns_a_workload_and_a_least_length(tmp_path: Path) -> None:
    turns = "workload: chat\nturns: [{user: One.}, {assistant: Two.}]\nmin_tokens: 20"
    question, problems = load(tmp_path, turns, "inference_params: {min_tokens: 300}\n")
    assert problems == [] and question.turns == CHAT.turns
    assert (question.workload, question.least_tokens) == ("chat", 20)
    question, problems = load(tmp_path, "workload: poems", "inference_params: {min_tokens: 300}\n")
    assert problems == [] and (question.workload, question.least_tokens) == ("poems", 300)
    assert load(tmp_path, "")[0].least_tokens is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("workload: code_editting", "'code_editting'; did you mean 'code_editing'"),
        ("workload: My Work", "a workload's name may hold lower-case letters, digits and '_'"),
        ("turns: [{user: a}]", "the last message must be the assistant's: the prompt follows it"),
        ("turns: [{assistant: a}, {user: b}]", "expected a message of the user, found one of"),
        ("turns: [{user: a}, {asistant: b}]", "unknown role 'asistant'; did you mean"),
        ("turns: [{user: a}, {assistant: ''}]", "expected a text, found"),
        ("turns: [a, b]", "expected {user: …} or {assistant: …}, found 'a'"),
        ("turns: hello", "expected a list"),
        ("min_tokens: 9\nmax_tokens: 8", "expected at most the 8 of max_tokens, found 9"),
        ("min_tokens: 0", "expected a whole number from 1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, more: str, said: str) -> None:
    _, problems = load(tmp_path, more)
    assert problems and said in problems[0], problems
