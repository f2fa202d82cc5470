"""Gathers what the tables and pages are made of: every plan with its reviews."""

from __future__ import annotations

from pathlib import Path

from scripts.lib.config import Config
from scripts.lib.plan import Plan, Shard
from scripts.lib.render import ProfilePart, read_environments
from scripts.lib.review import ReviewRow, plan_review, read_review
from scripts.lib.tables import Configuration
from scripts.lib.workflow import make_workflow


def configuration(plan: Plan, shard: Shard, rows: tuple[ReviewRow, ...]) -> Configuration:
    """A reviewed shard, with what the physics gate needs to know of it."""
    facts = shard.weights.facts
    header = facts.header if facts is not None else None
    return Configuration(
        hardware=plan.hardware.name,
        engine=plan.engine.name,
        model=shard.model,
        mode=shard.mode,
        rows=rows,
        planned=len(shard.cells),
        weights_bytes=facts.size_bytes if facts is not None else 0,
        experts=header.expert_count if header is not None else None,
        experts_used=shard.mode.experts or (header.expert_used_count if header is not None else None),
        lookup_draft_tokens=shard.cells[0].spec["mode"].get("lookup_draft_tokens"),
        bandwidth_gb_per_s=plan.hardware.bandwidth_gb_per_s,
    )


def configurations(plan: Plan) -> tuple[Configuration, ...]:
    """The reviewed shards of a plan, in plan order. Raises BenchError for a damaged review."""
    found = []
    for shard in plan.shards:
        review = plan_review(plan, shard)
        if review.cells and Path(review.file).is_file():
            found.append(configuration(plan, shard, read_review(Path(review.file))))
    return tuple(found)


def load_parts(config: Config) -> tuple[ProfilePart, ...]:
    """One part per plan with cells, the active profile's first (those also without)."""
    workflow = make_workflow(config)
    parts = []
    for index, plan in enumerate(workflow.plans):
        made, active = configurations(plan), index < len(workflow.active)
        if made or active:
            parts.append(ProfilePart(plan, made, read_environments(row for c in made for row in c.rows), active))
    return tuple(parts)
