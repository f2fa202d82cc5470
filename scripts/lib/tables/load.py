"""Gathers what the tables and pages are made of: every plan with its reviews."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.lib.base.stored_json import Damaged
from scripts.lib.machine.environment_record import stored_environment
from scripts.lib.planning.disk import every_plan
from scripts.lib.planning.plan import Plan, Shard
from scripts.lib.results.review import plan_review
from scripts.lib.results.review_check import CheckedReview, Damage, StoredCells, check_review
from scripts.lib.results.states import missing_cells
from scripts.lib.settings.run_config import Config
from scripts.lib.tables.profile_part import Missing, ProfilePart, measured_bandwidth
from scripts.lib.tables.setups import Setup


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A shard with what can be believed of its review."""

    shard: Shard
    file: str
    checked: CheckedReview


def read_reviews(plan: Plan) -> tuple[Reviewed, ...]:
    """The reviewed shards of a plan, in plan order, their rows held against their cells."""
    planned = ((shard, plan_review(plan, shard)) for shard in plan.shards)
    found = (
        (shard, review) for shard, review in planned if review.cells and Path(review.file).is_file()
    )
    cells = StoredCells()
    return tuple(
        Reviewed(shard, review.file, check_review(review, cells)) for shard, review in found
    )


def _read_environments(
    reviewed: Iterable[Reviewed],
) -> tuple[dict[str, dict[str, Any]], list[Damage]]:
    """The environment records that reviewed cells refer to, as far as they are in the tree, and those that are damaged."""
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


def setup(plan: Plan, reviewed: Reviewed, measured_gb_per_s: float | None) -> Setup:
    """A reviewed shard, with what the physics gate and the roofline need to know of it."""
    shard, facts = reviewed.shard, reviewed.shard.weights.facts
    header = facts.header if facts is not None else None
    return Setup(
        hardware=plan.hardware.name,
        engine=plan.engine.name,
        model=shard.model,
        mode=shard.mode,
        rows=reviewed.checked.rows,
        planned=len(shard.cells),
        weights_bytes=facts.size_bytes if facts is not None else 0,
        experts=header.expert_count if header is not None else None,
        experts_used=shard.mode.experts
        or (header.expert_used_count if header is not None else None),
        lookup_draft_tokens=shard.cells[0].spec["mode"].get("lookup_draft_tokens"),
        bandwidth_gb_per_s=plan.hardware.bandwidth_gb_per_s,
        measured_gb_per_s=measured_gb_per_s,
        warm_up_s=reviewed.checked.warm_up_s,
        review_file=reviewed.file,
    )


def load_part(plan: Plan, is_active: bool) -> ProfilePart:
    """What there is of one plan; of the active one also what is missing."""
    reviewed = read_reviews(plan)
    environments, damaged = _read_environments(reviewed)
    measured = measured_bandwidth(environments.values())
    found = [setup(plan, item, measured) for item in reviewed if item.checked.rows]
    rows = {(c.model.key, c.mode.name): c for c in found if not c.mode.speculative}
    made = (
        replace(c, base=rows.get((c.model.key, c.mode.quality_row))) if c.mode.speculative else c
        for c in found
    )
    return ProfilePart(
        plan=plan,
        setups=tuple(made),
        environments=environments,
        is_active=is_active,
        missing=_missing(plan) if is_active else (),
        damaged=(*(damage for item in reviewed for damage in item.checked.damaged), *damaged),
    )


def _missing(plan: Plan) -> tuple[Missing, ...]:
    return tuple(
        Missing(
            model=found.shard.model.key,
            mode=found.shard.mode.name,
            count=found.count,
            planned=len(found.shard.cells),
            stale=found.stale,
            changed=found.changed,
            can_run=found.shard.weights.usable
            and (found.shard.draft is None or found.shard.draft.usable),
        )
        for found in missing_cells(plan)
    )


def load_parts(config: Config) -> tuple[ProfilePart, ...]:
    """One part per plan with cells, the active profile's first (those also without)."""
    made = every_plan(config)
    parts = (load_part(plan, index < len(made.active)) for index, plan in enumerate(made.all))
    return tuple(part for part in parts if part.setups or part.damaged or part.is_active)
