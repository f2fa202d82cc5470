"""Who is frontdoor, specialist and architect of a suite; what an outcome is worth; which route is taken."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.config import CONFIG_FILE, load_config, parse_config, read_config_file
from scripts.lib.errors import BenchError
from scripts.lib.plan import Planner, find_shard, make_plan
from scripts.lib.plan_files import load_planner
from scripts.lib.review import ReviewRow
from scripts.lib.rewards import Outcome, cost_aware_reward, missing, outcome, rewarded
from scripts.lib.routing import Overrides, draw_sample, entry_settings, wanted_suites
from scripts.lib.routing_report import outcome_lines, routes_csv, routes_of, routes_table, summary_page
from scripts.lib.routing_session import OUTCOMES, outcomes_csv, read_outcomes
from tests.results_trees import review_row

EVERYTHING = replace(load_config((Path("config/full.yaml"),)), models=("*",), engines=("server",), hardware="epyc-9655")


@pytest.fixture(scope="module")
def planner() -> Planner:
    """Every entry's weights assumed to be here."""
    return load_planner(EVERYTHING, assume_present=True)


def keys(planner: Planner, suite: str, overrides: Overrides | None = None) -> dict[str, str]:
    sample = draw_sample(planner, (suite,), 3, 0, overrides or {})
    return {action: model.key for action, model in sample.routes[suite].items()}


# --- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "specialist", "architect"),
    [
        ("coder", "coder_escalation", "architect_coding"),
        ("math", "worker_math", None),
        ("general", None, "architect_general"),
        ("long_context", None, "ingest_long_context"),
    ],
)
def test_entries_follow_their_roles_and_the_suite(
    planner: Planner, suite: str, specialist: str | None, architect: str | None
) -> None:
    chosen = keys(planner, suite)
    assert chosen["frontdoor"] == "frontdoor" and len(set(chosen.values())) == 3
    assert specialist in (None, chosen["specialist"]) and architect in (None, chosen["architect"])
    for action in ("frontdoor", "architect"):
        assert action in planner.registry.models[chosen[action]].candidate_roles
    assert not any(planner.registry.models[key].deprecated for key in chosen.values())


def test_an_entry_can_be_named_for_all_suites_or_for_one(planner: Planner) -> None:
    named = {"specialist": {"*": "worker_general", "coder": "ingest_qwen2_5_coder_32b"}}
    assert keys(planner, "coder", named)["specialist"] == "ingest_qwen2_5_coder_32b"
    assert keys(planner, "general", named)["specialist"] == "worker_general"
    with pytest.raises(BenchError, match="no entry 'worker_genral'; did you mean 'worker_general'"):
        keys(planner, "general", {"specialist": {"*": "worker_genral"}})
    with pytest.raises(BenchError, match="'frontdoor' is asked for twice"):
        keys(planner, "general", {"specialist": {"*": "frontdoor"}})


def test_what_cannot_be_asked_is_named_with_the_reason(planner: Planner) -> None:
    sample = draw_sample(planner, ("math", "vl"), 3, 0, {"specialist": {"*": "worker_vision"}})
    reasons = {(item.suite, item.action): item.reason for item in sample.absent}
    assert "worker_vision cannot be asked: its candidate_roles give the suites vl" in reasons["math", "specialist"]
    assert reasons["vl", "frontdoor"] == "no entry's candidate_roles fit" and list(sample.routes) == ["math"]


def test_a_machine_without_the_weights_is_told_so_and_how_to_choose() -> None:
    here = load_planner(replace(EVERYTHING, engines=("embedded",)))
    gone = replace(here, weights={k: replace(w, present=False, fetchable=False) for k, w in here.weights.items()})
    with pytest.raises(BenchError) as caught:
        draw_sample(gone, ("coder",), 3, 0, {})
    said = str(caught.value)
    assert "--frontdoor KEY --specialist KEY (or SUITE=KEY) --architect KEY" in said
    assert "coder: architect: none of the" in said and "the first: architect_coding (lmstudio-community/" in said


def test_unknown_suites_are_named(planner: Planner) -> None:
    assert wanted_suites(planner, ["all"]) == tuple(planner.suites)
    with pytest.raises(BenchError, match="no suite 'maths'; did you mean 'math'"):
        wanted_suites(planner, ["math", "maths"])


# --- what is asked -----------------------------------------------------------------------------------------------------


def test_a_sample_is_seeded_stratified_and_the_same_for_every_action(planner: Planner) -> None:
    first = draw_sample(planner, ("math", "coder"), 3, 7, {})
    again = draw_sample(planner, ("math", "coder"), 3, 7, {})
    other = draw_sample(planner, ("math", "coder"), 3, 8, {})
    assert first.questions == again.questions and first.name == again.name
    assert other.questions != first.questions and other.name != first.name
    assert {q.tier for q in first.questions["math"]} == {1, 2, 3}
    # An entry that is the specialist of one suite is asked that suite's questions only.
    assert {name.partition("/")[0] for name in first.by_entry["coder_escalation"]} == {"coder"}


def test_a_samples_cells_are_ordinary_cells(planner: Planner) -> None:
    raw = read_config_file(CONFIG_FILE) | {"hardware": "epyc-9655"}
    sample = draw_sample(planner, ("math", "coder"), 3, 0, {})
    narrowed = replace(planner, config=parse_config(entry_settings(raw, sample, "frontdoor")))
    ordinary = replace(planner, config=replace(parse_config(raw), tiers=(1, 2, 3), models=("frontdoor",)))
    cells = find_shard(make_plan(narrowed), "frontdoor", "baseline").cells
    known = {c.id: c.digest for c in find_shard(make_plan(ordinary), "frontdoor", "baseline").cells}
    assert {f"{c.id.suite}/{c.id.question}" for c in cells} == set(sample.by_entry["frontdoor"]) and len(cells) == 6
    assert all(known[c.id] == c.digest for c in cells)


# --- what it is worth ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quality", "elapsed_s", "expected_s", "reward"),
    [
        *((1.0, 10.0, 10.0, 1.0), (1.0, 5.0, 10.0, 1.0), (1.0, 20.0, 10.0, 0.85)),
        *((2 / 3, 30.0, 10.0, 2 / 3 - 0.3), (1.0, 100.0, 10.0, -0.35)),
    ],
)
def test_the_cost_aware_reward(quality: float, elapsed_s: float, expected_s: float, reward: float) -> None:
    assert cost_aware_reward(quality, elapsed_s, expected_s) == pytest.approx(reward)


def row(question: str, **changes: Any) -> ReviewRow:
    known = {"suite": "math", "question_id": question, "tier": 1, "status": "ok", "cell_file": "c.json"}
    return review_row(**(known | changes))


def test_only_correct_answers_are_rewarded_and_errors_not_at_all() -> None:
    right = {"score": 3, "passed": True, "generation_s": 2.0}
    outcomes = rewarded(
        [
            outcome("frontdoor", "f", row("q1", **right)),
            outcome("frontdoor", "f", row("q2", score=0, passed=False, generation_s=4.0)),
            outcome("architect", "a", row("q1", score=2, passed=True, generation_s=6.0)),
            outcome("architect", "a", row("q2", status="timeout", score=3, passed=True, generation_s=600.0)),
            outcome("architect", "a", row("q3", status="error", error="out of memory", score=None, passed=None)),
            outcome("architect", "a", row("q4", score=None, passed=None)),
            outcome("architect", "a", row("q5", **right)),
        ]
    )
    found = {(o.action, o.question): (o.success, o.reward) for o in outcomes}
    assert found["frontdoor", "q1"] == (True, 1.0) and found["frontdoor", "q2"] == (False, 0.0)
    assert found["architect", "q1"] == (True, pytest.approx(2 / 3 - 0.15 * 2))
    assert found["architect", "q2"] == (False, 0.0)
    assert found["architect", "q3"] == (None, None) and found["architect", "q4"] == (None, None)
    # The frontdoor has no time of q5: its median over the suite, 3 s, is what is expected.
    assert found["architect", "q5"] == (True, 1.0) and outcomes[-1].expected_s == 3.0
    (errors,) = [r for r in routes_of(outcomes) if r.action == "architect"]
    assert (errors.asked, errors.n, errors.infrastructure_errors, errors.unscored) == (5, 3, 1, 1)


def made(action: str, rewards: list[float], suite: str = "math") -> list[Outcome]:
    return [
        Outcome(
            suite, f"q{n}", 1, action, f"entry_{action}", reward > 0, reward, 1.0, 1.0, reward, cell_file=f"{action}{n}"
        )
        for n, reward in enumerate(rewards)
    ]


def test_the_frontdoor_stays_unless_another_is_shown_to_be_better() -> None:
    same = made("frontdoor", [1.0, 0.0] * 10)
    for other, best in (
        ([1.0] * 20, "specialist"),
        ([1.0, 0.0] * 9 + [1.0, 1.0], "frontdoor"),
        ([0.0] * 20, "frontdoor"),
    ):
        routes = routes_of([*same, *made("specialist", other)])
        assert [r.action for r in routes if r.recommended] == [best]
    both = routes_of([*same, *made("specialist", [0.9] * 20), *made("architect", [1.0] * 20)])
    assert [r.action for r in both if r.recommended] == ["architect"]
    (front, special) = routes_of([*same, *made("specialist", [1.0] * 20)])
    assert front.p_success == 0.5 and front.p_success_low < 0.5 < front.p_success_high  # type: ignore[operator]
    assert special.difference == 0.5 and special.difference_low > 0 and special.paired == 20  # type: ignore[operator]


def test_suites_are_apart_and_a_suite_without_rewards_recommends_nothing() -> None:
    routes = routes_of(
        [
            *made("frontdoor", [1.0] * 8, "coder"),
            *made("architect", [1.0] * 8, "coder"),
            *made("frontdoor", [0.0], "math"),
        ]
    )
    assert [(r.suite, r.action) for r in routes] == [
        ("coder", "frontdoor"),
        ("coder", "architect"),
        ("math", "frontdoor"),
    ]
    lost = routes_of(
        [replace(o, success=None, reward=None, infrastructure=True) for o in made("frontdoor", [1.0, 0.0])]
    )
    assert not any(r.recommended for r in lost) and lost[0].p_success is None


def test_outcomes_are_read_back_each_cell_once(tmp_path: Path) -> None:
    outcomes = [
        *made("frontdoor", [1.0, 0.0]),
        replace(made("architect", [0.5])[0], success=None, reward=None, why="=1+1"),
    ]
    for sample in ("a", "b"):
        (tmp_path / sample).mkdir()
        (tmp_path / sample / OUTCOMES).write_text(outcomes_csv(outcomes))
    back = read_outcomes(tmp_path)
    assert len(back) == 3 and back[:2] == tuple(outcomes[:2]) and back[2].why == "'=1+1"
    (tmp_path / "b" / OUTCOMES).write_text("suite,question\nx,y\n")
    with pytest.raises(BenchError, match=r"b/outcomes.csv: not a table of outcomes"):
        read_outcomes(tmp_path)


def test_foreign_text_is_harmless_in_every_output() -> None:
    evil = '=cmd|"/c"!A1\n<script>|\x1b[31m\ud800`'
    question = type("Q", (), {"suite": evil, "id": evil, "tier": 1})()
    outcomes = (missing("frontdoor", evil, question, evil),)
    routes = routes_of(outcomes)
    page, table = summary_page(evil, evil, routes), routes_table(routes)
    assert "\x1b" not in page + table and "\n<script>" not in page
    lines = "\n".join(outcome_lines(outcomes))
    assert "\x1b" not in lines and len(lines.splitlines()) == 1
    for text in (outcomes_csv(outcomes), routes_csv(routes)):
        (line,) = list(csv.DictReader(text.encode().decode().splitlines()))
        assert line["suite"].startswith("'=")
