"""Gathers what the tables and pages are made of: every profile's plan with its reviews."""

from __future__ import annotations

from pathlib import Path

from scripts.lib.config import Config
from scripts.lib.plan import Plan
from scripts.lib.render import ProfilePart, read_environments
from scripts.lib.review import read_review, review_file, scored_cells
from scripts.lib.tables import Configuration
from scripts.lib.workflow import plan_all


def configurations(plan: Plan) -> tuple[Configuration, ...]:
    """The reviewed shards of a plan, in plan order. Raises BenchError for a damaged review."""
    found = []
    for shard in plan.shards:
        cells = scored_cells(shard)
        file = Path(review_file(shard, cells))
        if cells and file.is_file():
            found.append(
                Configuration(plan.hardware.name, shard.model, shard.mode, read_review(file), len(shard.cells))
            )
    return tuple(found)


def load_parts(config: Config) -> tuple[ProfilePart, ...]:
    """One part per hardware profile, the active one first."""
    parts = []
    for index, plan in enumerate(plan_all(config)):
        made = configurations(plan)
        environments = read_environments(row for c in made for row in c.rows)
        parts.append(ProfilePart(plan, made, environments, is_active=index == 0))
    return tuple(parts)
