"""Entries for frontdoor, specialist and architect; rewards of outcomes; the recommended route."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.estimates import paired_difference
from scripts.lib.base.stored_json import now_utc
from scripts.lib.base.yaml_file import read_whole
from scripts.lib.planning.disk import load_planner
from scripts.lib.planning.plan import Planner, find_shard, make_plan
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.routing.entries import Overrides, draw_sample, entry_settings, wanted_suites
from scripts.lib.routing.report import (
    outcome_lines,
    routes_csv,
    routes_of,
    routes_table,
    summary_page,
)
from scripts.lib.routing.rewards import ModelOutcome, cost_aware_reward, missing, outcome, rewarded
from scripts.lib.routing.session import OUTCOMES, WRITTEN, outcomes_csv, read_outcomes
from scripts.lib.settings.run_config import CONFIG_FILE, parse_config
from tests.factories.results_trees import review_row
from tests.factories.routing import EVERYTHING, made


@pytest.fixture(scope="module")
def planner() -> Planner:
    """All weights are assumed to be on this machine."""
    return load_planner(EVERYTHING, assume_present=True)


def keys(planner: Planner, suite: str, overrides: Overrides | None = None) -> dict[str, str]:
    sample = draw_sample(planner, (suite,), 3, 0, overrides or {})
    return {action: model.key for action, model in sample.routes[suite].items()}


# --- who ------------------------------------------------------------------------------------------


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
    with pytest.raises(BenchError, match="'frontdoor' is named twice"):
        keys(planner, "general", {"specialist": {"*": "frontdoor"}})


def test_an_entry_that_cannot_be_asked_is_named_with_the_reason(planner: Planner) -> None:
    sample = draw_sample(planner, ("math", "vl"), 3, 0, {"specialist": {"*": "worker_vision"}})
    reasons = {(item.suite, item.action): item.reason for item in sample.absent}
    assert (
        "worker_vision cannot be asked: its candidate_roles have the suites vl"
        in reasons["math", "specialist"]
    )
    assert reasons["vl", "frontdoor"] == "no entry has fitting candidate_roles" and list(
        sample.routes
    ) == ["math"]


def test_without_the_weights_the_error_says_how_to_choose() -> None:
    here = load_planner(replace(EVERYTHING, engines=("embedded",)))
    gone = replace(
        here,
        weights={k: replace(w, present=False, fetchable=False) for k, w in here.weights.items()},
    )
    with pytest.raises(BenchError) as caught:
        draw_sample(gone, ("coder",), 3, 0, {})
    said = str(caught.value)
    assert "--frontdoor KEY --specialist KEY (or SUITE=KEY) --architect KEY" in said
    assert (
        "coder: architect: none of the" in said
        and "the first is architect_coding (lmstudio-community/" in said
    )


def test_all_suites_are_those_of_a_role_and_unknown_ones_are_named(planner: Planner) -> None:
    known = {name for name in planner.suites if name != "workload"}
    assert set(wanted_suites(planner, ["all"])) == known and len(known) == 9
    public = replace(planner, suites={"workload": planner.suites["workload"]})
    assert wanted_suites(public, ["all"]) == ("workload",)
    with pytest.raises(BenchError, match="no suite 'maths'; did you mean 'math'"):
        wanted_suites(planner, ["math", "maths"])


# --- what is asked --------------------------------------------------------------------------------


def test_a_sample_is_seeded_stratified_and_the_same_for_every_action(planner: Planner) -> None:
    first = draw_sample(planner, ("math", "coder"), 3, 7, {})
    again = draw_sample(planner, ("math", "coder"), 3, 7, {})
    other = draw_sample(planner, ("math", "coder"), 3, 8, {})
    assert first.questions == again.questions and first.name == again.name
    assert other.questions != first.questions and other.name != first.name
    assert {q.tier for q in first.questions["math"]} == {1, 2, 3}
    # The specialist of one suite is asked only the questions of that suite.
    assert {name.partition("/")[0] for name in first.by_entry["coder_escalation"]} == {"coder"}


def test_a_samples_cells_are_ordinary_cells(planner: Planner) -> None:
    raw = read_whole(CONFIG_FILE).value | {"hardware": "epyc-9655"}
    sample = draw_sample(planner, ("math", "coder"), 3, 0, {})
    narrowed = replace(planner, config=parse_config(entry_settings(raw, sample, "frontdoor")))
    ordinary = replace(
        planner, config=replace(parse_config(raw), tiers=(1, 2, 3), models=("frontdoor",))
    )
    cells = find_shard(make_plan(narrowed), "frontdoor", "baseline").cells
    known = {c.id: c.digest for c in find_shard(make_plan(ordinary), "frontdoor", "baseline").cells}
    assert {f"{c.id.suite}/{c.id.question}" for c in cells} == set(
        sample.by_entry["frontdoor"]
    ) and len(cells) == 6
    assert all(known[c.id] == c.digest for c in cells)


# --- what it is worth -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quality", "elapsed_s", "expected_s", "reward"),
    [
        *((1.0, 10.0, 10.0, 1.0), (1.0, 5.0, 10.0, 1.0), (1.0, 20.0, 10.0, 0.85)),
        *((2 / 3, 30.0, 10.0, 2 / 3 - 0.3), (1.0, 100.0, 10.0, -0.35)),
    ],
)
def test_the_cost_aware_reward(
    quality: float, elapsed_s: float, expected_s: float, reward: float
) -> None:
    assert cost_aware_reward(quality, elapsed_s, expected_s) == pytest.approx(reward)


def row(question: str, **changes: Any) -> ReviewRow:
    known = {
        "suite": "math",
        "question_id": question,
        "tier": 1,
        "status": "ok",
        "cell_file": "c.json",
    }
    return review_row(**(known | changes))


def test_only_correct_answers_are_rewarded_and_errors_not_at_all() -> None:
    right = {"score": 3, "passed": True, "generation_s": 2.0}
    outcomes = rewarded(
        [
            outcome("frontdoor", "f", row("q1", **right)),
            outcome("frontdoor", "f", row("q2", score=0, passed=False, generation_s=4.0)),
            outcome("architect", "a", row("q1", score=2, passed=True, generation_s=6.0)),
            outcome(
                "architect",
                "a",
                row("q2", status="timeout", score=3, passed=True, generation_s=600.0),
            ),
            outcome(
                "architect",
                "a",
                row("q3", status="error", error="out of memory", score=None, passed=None),
            ),
            outcome("architect", "a", row("q4", score=None, passed=None)),
            outcome("architect", "a", row("q5", **right)),
        ]
    )
    found = {(o.action, o.question): (o.success, o.reward) for o in outcomes}
    assert found["frontdoor", "q1"] == (True, 1.0) and found["frontdoor", "q2"] == (False, 0.0)
    assert found["architect", "q1"] == (True, pytest.approx(2 / 3 - 0.15 * 2))
    assert found["architect", "q2"] == (False, 0.0)
    assert found["architect", "q3"] == (None, None) and found["architect", "q4"] == (None, None)
    # The frontdoor has no time for q5, so its median over the suite, 3 s, is expected.
    assert found["architect", "q5"] == (True, 1.0) and outcomes[-1].expected_s == 3.0
    (errors,) = [r for r in routes_of(outcomes) if r.action == "architect"]
    assert (errors.asked, errors.n, errors.infrastructure_errors, errors.unscored) == (5, 3, 1, 1)


def test_the_frontdoor_stays_unless_another_is_significantly_better() -> None:
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


def lost(outcomes: list[ModelOutcome]) -> list[ModelOutcome]:
    """The same outcomes after an engine failure."""
    return [
        replace(o, success=None, quality=None, elapsed_s=None, reward=None, infrastructure=True)
        for o in outcomes
    ]


def taken(outcomes: list[ModelOutcome]) -> dict[str, str]:
    """Action -> why it is recommended, for those that are."""
    return {r.action: r.why for r in routes_of(outcomes) if r.why}


@pytest.mark.parametrize(
    "front", [[], lost(made("frontdoor", [1.0] * 20))], ids=["absent", "errors"]
)
def test_without_a_frontdoor_the_fastest_other_is_the_default(
    front: list[ModelOutcome],
) -> None:
    half, slow = (
        [1.0, 0.0] * 10,
        [replace(o, elapsed_s=2.0) for o in made("specialist", [1.0, 0.0] * 10)],
    )
    assert taken([*front, *slow, *made("architect", half)]) == {
        "architect": "take (the frontdoor has no reward; "
        "the fastest of the others, none is significantly better)"
    }
    assert taken([*front, *made("specialist", half), *made("architect", half)]).keys() == {
        "specialist"
    }
    better = [replace(o, elapsed_s=2.0) for o in made("specialist", [1.0] * 20)]
    assert taken([*front, *better, *made("architect", half)]) == {"specialist": "take"}
    assert taken([*front, *slow, *lost(made("architect", half))]) == {
        "specialist": "take (nothing else has a reward)"
    }


def test_without_a_recommendation_the_report_says_why() -> None:
    front = lost(made("frontdoor", [1.0] * 4))
    unshared = [*front, *made("specialist", [1.0] * 4)[:2], *made("architect", [1.0] * 4)[2:]]
    for outcomes, why in (
        ([*front, *lost(made("architect", [1.0] * 4))], "none: no action has a reward"),
        (
            unshared,
            "none: the frontdoor has no reward, and the others share no question",
        ),
    ):
        routes = routes_of(outcomes)
        assert not any(r.recommended for r in routes) and routes[0].why == why
        assert why in routes_table(routes) and why in summary_page("s", "h", routes)


def test_several_challengers_are_judged_by_adjusted_p_values() -> None:
    # Six of six better: p = 0.031 by itself, and its interval lies above 0.
    front, better = made("frontdoor", [0.0] * 6), made("specialist", [1.0] * 6)
    assert taken([*front, *better]) == {"specialist": "take"}
    routes = routes_of([*front, *better, *made("architect", [1.0, 1.0, 0.0, 0.0, 0.0, 0.0])])
    (special,) = [r for r in routes if r.action == "specialist"]
    assert special.p_value == pytest.approx(0.0625) and special.difference_low > 0  # type: ignore[operator]
    assert [r.action for r in routes if r.recommended] == [
        "frontdoor"
    ] and "p = 0.062" in routes_table(routes)


def test_rewards_below_minus_1_have_an_interval_that_holds_them() -> None:
    front, slow = (
        made("frontdoor", [1.0] * 8),
        made("architect", [1.0, 1.0, 1.0, 1.0, -4.0, -4.5, -6.0, -8.0]),
    )
    (worse,) = [r for r in routes_of([*front, *slow]) if r.action == "architect"]
    rewards = {o.question: [o.reward] for o in slow}
    bounded = paired_difference(rewards, {o.question: [1.0] for o in front})  # type: ignore[arg-type]
    assert bounded is not None and bounded.estimate.low is not None
    assert (
        worse.difference == pytest.approx(bounded.estimate.value)
        and worse.p_value == bounded.p_value
    )
    assert worse.difference_low < bounded.estimate.low  # type: ignore[operator]
    # All the same, beyond -1: the interval does not collapse, nor end there.
    (same,) = [
        r for r in routes_of([*front, *made("architect", [-1.0] * 8)]) if r.action == "architect"
    ]
    assert same.difference == -2 and same.difference_low < -2 < same.difference_high < 0  # type: ignore[operator]
    # Within -1 and 1 it is the interval of qualities.
    usual = [0.5, 1.0, 0.2, 0.4, 1.0, 0.0, 0.8, 0.9]
    (within,) = [
        r for r in routes_of([*front, *made("architect", usual)]) if r.action == "architect"
    ]
    found = paired_difference({n: [v] for n, v in enumerate(usual)}, {n: [1.0] for n in range(8)})
    assert found is not None and (within.difference_low, within.difference_high) == (
        found.estimate.low,
        found.estimate.high,
    )


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
    errors = routes_of(lost(made("frontdoor", [1.0, 0.0])))
    assert not any(r.recommended for r in errors) and errors[0].p_success is None


# --- all samples together -------------------------------------------------------------------------


def write(folder: Path, sample: str, outcomes: list[ModelOutcome], written_utc: str) -> Path:
    """Write a sample's outcomes; without a time, as older versions did."""
    (folder / sample).mkdir(exist_ok=True)
    text = outcomes_csv(outcomes, written_utc)
    file = folder / sample / OUTCOMES
    file.write_text(text if written_utc else text.replace(f",{WRITTEN}", "").replace(",\n", "\n"))
    return file


def test_outcomes_are_read_back_each_question_once(tmp_path: Path) -> None:
    outcomes = [
        *made("frontdoor", [1.0, 0.0]),
        replace(
            made("architect", [0.5])[0], success=None, reward=None, expected_s=None, why="=1+1"
        ),
    ]
    for sample in ("a", "b"):
        write(tmp_path, sample, outcomes, now_utc("microseconds"))
    (back,) = read_outcomes(tmp_path)
    assert back == (*outcomes[:2], replace(outcomes[2], why="'=1+1"))


@pytest.mark.parametrize(
    "damage",
    [
        "suite,question\nx,y\n",
        "tail",
        ("architect", "arhcitect"),
        ("True,1.0", "True,"),
        (",1,", ",one,"),
    ],
)
def test_a_damaged_table_of_outcomes_is_named(
    damage: str | tuple[str, str], tmp_path: Path
) -> None:
    file = write(tmp_path, "b", made("architect", [1.0]), now_utc("microseconds"))
    text = file.read_text()
    whole = (
        {"tail": text + "math,q9\n"}.get(damage, damage)
        if isinstance(damage, str)
        else text.replace(*damage, 1)
    )
    file.write_text(whole)
    with pytest.raises(BenchError, match=r"b/outcomes.csv: not a table of outcomes"):
        read_outcomes(tmp_path)


@pytest.mark.parametrize("recorded", [True, False])
def test_the_newest_sample_counts_whatever_its_name(recorded: bool, tmp_path: Path) -> None:
    right, wrong = made("frontdoor", [1.0]), made("frontdoor", [0.0])
    error = [replace(o, cell_file="old.json") for o in lost(made("frontdoor", [1.0]))]
    for newer, older in ((right, error), (wrong, right), (error, right)):
        for sample, outcomes, hour in (("z_older", older, 9), ("a_newer", newer, 10)):
            file = write(
                tmp_path, sample, outcomes, f"2026-01-01T{hour:02}:00:00+00:00" if recorded else ""
            )
            # The recorded time counts, not the file's own, which a copy does not keep.
            os.utime(file, (-hour if recorded else hour,) * 2)
        ((back,),) = read_outcomes(tmp_path)
        assert (back.success, back.cell_file) == (newer[0].success, newer[0].cell_file)


@pytest.mark.parametrize("hours", [(9, 10), (10, 9)])
def test_any_outcome_replaces_one_with_a_missing_cell(
    hours: tuple[int, int], tmp_path: Path
) -> None:
    gone = [replace(o, cell_file="") for o in lost(made("frontdoor", [1.0, 1.0]))]
    for sample, outcomes, hour in zip("ab", (gone, made("frontdoor", [1.0])), hours, strict=True):
        write(tmp_path, sample, outcomes, f"2026-01-01T{hour:02}:00:00+00:00")
    (back,) = read_outcomes(tmp_path)
    assert {o.question: o.infrastructure for o in back} == {"q0": False, "q1": True}


def test_each_frontdoor_has_its_own_comparison(tmp_path: Path) -> None:
    """Two samples with the same specialist and different frontdoors, the second twice as slow."""
    special = [replace(o, elapsed_s=4.0) for o in made("specialist", [1.0, 1.0])]
    slow = [replace(o, entry="another", elapsed_s=2.0) for o in made("frontdoor", [1.0, 1.0])]
    write(tmp_path, "a", [*made("frontdoor", [1.0, 1.0]), *special], "2026-01-01T09:00:00+00:00")
    write(tmp_path, "b", [*slow[:1], *special[:1]], "2026-01-01T10:00:00+00:00")
    second, first = read_outcomes(tmp_path)
    assert [(o.action, o.entry, o.reward) for o in second] == [
        ("frontdoor", "another", 1.0),
        ("specialist", "entry_specialist", pytest.approx(0.85)),
    ]
    assert [o.reward for o in first if o.action == "specialist"] == pytest.approx([0.55, 0.55])
    assert {o.entry for o in first if o.action == "frontdoor"} == {"entry_frontdoor"}


def test_rewards_are_those_of_the_newest_frontdoor_of_that_entry(tmp_path: Path) -> None:
    special = [replace(o, elapsed_s=4.0) for o in made("specialist", [1.0])]
    write(tmp_path, "a", [*made("frontdoor", [1.0]), *special], "2026-01-01T09:00:00+00:00")
    again = [replace(o, elapsed_s=4.0) for o in made("frontdoor", [1.0])]
    write(tmp_path, "b", again, "2026-01-01T10:00:00+00:00")
    (back,) = read_outcomes(tmp_path)
    assert {o.action: (o.expected_s, o.reward) for o in back} == {
        "frontdoor": (4.0, 1.0),
        "specialist": (4.0, 1.0),
    }


# --- foreign text ---------------------------------------------------------------------------------


def test_foreign_text_is_harmless_in_every_output() -> None:
    evil = '=cmd|"/c"!A1\n<script>|\x1b[31m\ud800`'
    question = type("Q", (), {"suite": evil, "id": evil, "tier": 1})()
    outcomes = (missing("frontdoor", evil, question, evil),)
    routes = routes_of(outcomes)
    page, table = summary_page(evil, evil, routes), routes_table(routes)
    assert "\x1b" not in page + table and "\n<script>" not in page
    lines = "\n".join(outcome_lines(outcomes))
    assert "\x1b" not in lines and len(lines.splitlines()) == 1
    for text in (outcomes_csv(outcomes, now_utc("microseconds")), routes_csv(routes)):
        (line,) = list(csv.DictReader(text.encode().decode().splitlines()))
        assert line["suite"].startswith("'=")
