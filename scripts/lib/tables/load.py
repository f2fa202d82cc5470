"""Loads the data of tables and pages: every plan with its reviews."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import Problem
from scripts.lib.base.stored_json import Damaged
from scripts.lib.fidelity.plan import fidelity_plan
from scripts.lib.machine.environment_record import stored_environment
from scripts.lib.planning.disk import every_plan
from scripts.lib.planning.modes import speculates_by_leave
from scripts.lib.planning.plan import Plan, Planner, Shard
from scripts.lib.planning.traits import traits_of
from scripts.lib.prompts.loader import Question
from scripts.lib.prompts.types import depth_of
from scripts.lib.registry.role_table import is_role_suite
from scripts.lib.results.review import plan_review
from scripts.lib.results.review_check import CheckedReview, Damage, StoredCells, check_review
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.results.states import missing_cells
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import CHECKS
from scripts.lib.settings.run_config import Config
from scripts.lib.settings.speculators import speculations
from scripts.lib.tables.fidelity import read_fidelities
from scripts.lib.tables.profile_part import ProfilePart, measured_bandwidth
from scripts.lib.tables.setups import Setup


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A shard with the usable part of its review."""

    shard: Shard
    file: str
    checked: CheckedReview


def read_reviews(plan: Plan) -> tuple[Reviewed, ...]:
    """The reviewed shards of a plan, in plan order, their rows checked against their cells."""
    found, cells = [], StoredCells()
    for shard in plan.shards:
        review = plan_review(plan, shard)
        if review.cells and Path(review.file).is_file():
            found.append(Reviewed(shard, review.file, check_review(review, cells)))
    return tuple(found)


def _read_environments(
    reviewed: Iterable[Reviewed],
) -> tuple[dict[str, dict[str, Any]], list[Damage]]:
    """The environment records that cells refer to (missing ones left out), and the damaged ones."""
    names = sorted({row.environment for item in reviewed for row in item.checked.rows})
    found, damaged = dict[str, dict[str, Any]](), list[Damage]()
    for name in names:
        try:
            found[name] = stored_environment(name)
        except FileNotFoundError:
            continue
        except Damaged as damage:
            damaged.append(Damage(damage.problem))
    return found, damaged


def suites_apart(questions: Iterable[Question]) -> frozenset[str]:
    """The suites that measure speeds: with workloads, and asked by no role.

    Their passes are shown apart: they are not what a role needs.
    """
    found = {question.suite for question in questions if question.workload}
    return frozenset(suite for suite in found if not is_role_suite(suite))


def why_unproved(plan: Plan) -> str:
    """Why the leading scorer's scores are not ranked; empty for the checks and a proved judge."""
    series = plan.scorers[0].series
    return VerdictStore(series).standing if series is not None else ""


def is_judged(row: ReviewRow) -> bool:
    """True if a judge gave the score that counts; the checks may have given it in its place."""
    return row.score is not None and row.scorer != CHECKS


def setup(
    plan: Plan, reviewed: Reviewed, measured_gb_per_s: float | None, unproved: str = ""
) -> Setup:
    """A reviewed shard as a setup, with what the physics gate and the roofline need.

    `unproved`: why the scores of the leading judge are not ranked, if it gave any of them.

    Answers at a depth are put apart here: no other table, ranking or picture has them.
    """
    shard, facts = reviewed.shard, reviewed.shard.weights.facts
    header = facts.header if facts is not None else None
    all_used = header.expert_used_count if header is not None else None
    by_depth: dict[int, list[ReviewRow]] = {0: []}
    for row in reviewed.checked.rows:
        by_depth.setdefault(depth_of(row.question_id)[1], []).append(row)
    context = shard.cells[0].spec["context"]
    leave = speculates_by_leave(shard.model, traits_of(shard.model, facts))
    apart = suites_apart(cell.question for cell in shard.cells)
    return Setup(
        hardware=plan.hardware.name,
        engine=plan.engine.name,
        model=shard.model,
        mode=shard.mode,
        rows=tuple(by_depth.pop(0)),
        deep={depth: tuple(rows) for depth, rows in sorted(by_depth.items())},
        planned=sum(not cell.question.depth for cell in shard.cells),
        workloads={
            (cell.id.suite, cell.id.question): cell.question.workload
            for cell in shard.cells
            if cell.question.workload
        },
        apart=apart,
        planned_apart=sum(
            cell.id.suite in apart and not cell.question.depth for cell in shard.cells
        ),
        weights_bytes=facts.size_bytes if facts is not None else 0,
        experts=header.expert_count if header is not None else None,
        experts_used=shard.mode.experts or all_used,
        speculations=speculations(shard.cells[0].spec["mode"]),
        leave=leave if shard.mode.speculative else "",
        bandwidth_gb_per_s=plan.hardware.bandwidth_gb_per_s,
        measured_gb_per_s=measured_gb_per_s,
        warm_up_s=reviewed.checked.warm_up_s,
        unproved=unproved if any(map(is_judged, reviewed.checked.rows)) else "",
        review_file=reviewed.file,
        variant=shard.variant,
        kv=header.kv if header is not None else None,
        kv_types=(context["kv_type_k"], context["kv_type_v"]),
    )


def load_part(plan: Plan, is_active: bool) -> ProfilePart:
    """The results of one plan; for the active one, also what is missing."""
    reviewed = read_reviews(plan)
    environments, damaged = _read_environments(reviewed)
    measured = measured_bandwidth(environments.values())
    why = why_unproved(plan)
    setups = [setup(plan, item, measured, why) for item in reviewed if item.checked.rows]
    bases = {(c.model.key, c.mode.name): c for c in setups if not c.mode.speculative}
    for index, c in enumerate(setups):
        if c.mode.speculative:
            setups[index] = replace(c, base=bases.get((c.model.key, c.mode.quality_row)))
    for item in reviewed:
        damaged += item.checked.damaged
    return ProfilePart(
        plan=plan,
        setups=tuple(setups),
        environments=environments,
        is_active=is_active,
        missing=tuple(missing_cells(plan)) if is_active else (),
        damaged=tuple(damaged),
    )


def with_fidelity(part: ProfilePart, planner: Planner) -> ProfilePart:
    """The part with what was compared with references on its profile; itself if nothing is."""
    plan = fidelity_plan(replace(planner, hardware=part.plan.hardware))
    damaged: list[Problem] = []
    engine = part.plan.engine.name
    found = read_fidelities(plan, engine, part.setups, part.reductions, damaged)
    return replace(
        part,
        fidelities=found,
        fidelity_left_out=plan.left_out,
        damaged=(*part.damaged, *map(Damage, damaged)),
    )


def load_parts(config: Config) -> tuple[ProfilePart, ...]:
    """One part per plan: first those of the active profile, then those with cells."""
    made = every_plan(config)
    parts = [load_part(plan, index < len(made.active)) for index, plan in enumerate(made.all)]
    if config.fidelity.measure:
        parts = [with_fidelity(part, made.planner) for part in parts]
    return tuple(part for part in parts if part.setups or part.damaged or part.is_active)
