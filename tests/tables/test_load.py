"""A reviewed shard as a setup: its speculators' limits, and by whose leave it speculates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.plan import Planner, find_shard, make_plan
from scripts.lib.prompts.loader import load_suites
from scripts.lib.prompts.question_workloads import WORKLOADS
from scripts.lib.results.review_check import CheckedReview
from scripts.lib.tables.load import Reviewed, setup, suites_apart
from scripts.lib.tables.setups import Setup
from scripts.lib.weights.facts import facts
from tests.factories.plans import tiny_planner
from tests.factories.table_rows import ROW
from tests.factories.tiny_models import write_model

SUITES = load_suites(Path("benchmarks/prompts/v1"))

REASON = "tried on 2026-11-20"


def loaded(planner: Planner, mode: str) -> Setup:
    """A mode of the model `plain`, with one answer."""
    config = planner.config.with_modes(("*",))
    plan = make_plan(replace(planner, config=config))
    reviewed = Reviewed(find_shard(plan, "plain", mode), "", CheckedReview((ROW,), None, ()))
    return setup(plan, reviewed, None)


def test_scores_by_the_checks_need_no_proof_of_a_judge(tmp_path: Path) -> None:
    plan = make_plan(tiny_planner(tmp_path))
    for scorer, score, why in (
        ("checks", 3, ""),
        ("claude", None, ""),
        ("claude", 3, "not calibrated"),
    ):
        row = replace(ROW, scorer=scorer, score=score)
        reviewed = Reviewed(
            find_shard(plan, "plain", "baseline"), "", CheckedReview((row,), None, ())
        )
        assert setup(plan, reviewed, None, "not calibrated").unproved == why


def opened(planner: Planner) -> Planner:
    """The same registry, in which every entry may speculate."""
    models = {
        key: replace(entry, allow=frozenset({"speculative_decoding"}), constraint_reason=REASON)
        for key, entry in planner.registry.models.items()
    }
    return replace(planner, registry=replace(planner.registry, models=models))


@pytest.mark.parametrize(("kind", "leave"), [("dense", ""), ("lfm2", ""), ("mamba2", REASON)])
def test_a_recurrent_model_without_roll_back_speculates_by_the_registrys_leave(
    tmp_path: Path, kind: str, leave: str
) -> None:
    planner = opened(tiny_planner(tmp_path))
    file = write_model(tmp_path / f"{kind}.gguf", kind)
    weights = {**planner.weights, "plain": Weights(facts(file), file, True, False)}
    planner = replace(planner, weights=weights)
    assert loaded(planner, "lookup_n3").leave == leave
    assert loaded(planner, "baseline").leave == "", "only what speculates needs leave"
    assert loaded(planner, "ngram_mod").most_drafted == 64


def test_suites_that_measure_speeds_are_those_with_workloads_that_no_role_asks_for() -> None:
    general, workload = SUITES["general"].questions, SUITES["workload"].questions
    assert suites_apart([*general, *workload]) == {"workload"}
    assert suites_apart(replace(q, workload="chat") for q in general) == frozenset()
    assert suites_apart(replace(q, suite="gsm8k") for q in general) == frozenset()


def test_a_setup_knows_its_questions_workloads_and_how_many_cells_stand_apart(
    tmp_path: Path,
) -> None:
    planner = replace(tiny_planner(tmp_path), suites=SUITES)
    config = replace(planner.config, suites=("general", "workload"), tiers=(1,))
    found = loaded(replace(planner, config=config), "baseline")
    assert set(found.workloads.values()) == set(WORKLOADS) and len(found.workloads) == 32
    assert found.workloads["workload", "t1_q1_edit_retry"] == "code_editing"
    assert found.apart == {"workload"} and found.planned_apart == 32
    assert found.planned_of_quality == sum(q.tier == 1 for q in SUITES["general"].questions)
