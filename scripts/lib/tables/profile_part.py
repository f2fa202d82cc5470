"""The part of the pages on one hardware profile and engine: its plan, what was measured, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.lib.planning.plan import Plan
from scripts.lib.results.review_check import Damage
from scripts.lib.tables.ranking import (
    Reduction,
    RoleRanking,
    fastest_way,
    rank_roles,
    reductions,
    unrankable,
)
from scripts.lib.tables.setups import Setup, quality_rows, suite_place


@dataclass(frozen=True, slots=True)
class Missing:
    """A planned setup of which cells are not there: how many, how many of those are stale, and since what changed."""

    model: str
    mode: str
    count: int
    planned: int
    stale: int
    changed: tuple[str, ...]
    can_run: bool


@dataclass(frozen=True)
class ProfilePart:
    """The part of RESULTS.md on one hardware profile. `environments`: digest -> record, of those that cells refer to.

    `damaged`: stored records that are not what was written; nothing of them is in `setups`
    or `environments`.
    """

    plan: Plan
    setups: tuple[Setup, ...]
    environments: Mapping[str, Mapping[str, Any]]
    is_active: bool = False
    missing: tuple[Missing, ...] = ()
    damaged: tuple[Damage, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.plan.hardware.name}, engine {self.plan.engine.name}"

    @property
    def slug(self) -> str:
        """The part's name in file names."""
        return f"{self.plan.hardware.name}-{self.plan.engine.name}"

    @cached_property
    def suites(self) -> list[str]:
        return sorted({suite for c in self.setups for suite in c.by_suite}, key=suite_place)

    @property
    def measured(self) -> int:
        return sum(len(c.rows) for c in self.setups)

    @property
    def planned(self) -> int:
        return sum(len(shard.cells) for shard in self.plan.shards) or sum(
            c.planned for c in self.setups
        )

    @cached_property
    def rankings(self) -> tuple[RoleRanking, ...]:
        return rank_roles(self.setups, self.plan.recommended)

    @cached_property
    def reductions(self) -> tuple[Reduction, ...]:
        return tuple(reductions(self.setups))

    @cached_property
    def rows(self) -> list[Setup]:
        """The quality rows by role, in a role the best first; what is not ranked stands behind."""
        roles = {ranking.role: place for place, ranking in enumerate(self.rankings)}

        def place(row: Setup) -> tuple[int, bool, float, str]:
            role = min((roles[role] for role in row.model.candidate_roles), default=len(roles))
            return (
                role,
                bool(unrankable(row)),
                -(row.quality.value if row.quality else 0.0),
                row.name,
            )

        return sorted(quality_rows(self.setups), key=place)

    @cached_property
    def _ways(self) -> Mapping[str, Setup]:
        return {row.name: fastest_way(row, self.setups) for row in self.rows}

    def way_of(self, row: Setup) -> Setup:
        """The fastest proved way of decoding a quality row's answers; the row itself where none is faster."""
        return self._ways[row.name]


def measured_bandwidth(environments: Iterable[Mapping[str, Any]]) -> float | None:
    """The memory bandwidth in GB/s that the preflight measured: the greatest of the records; None where none has it."""
    found = [(record.get("preflight") or {}).get("bandwidth_gb_per_s") for record in environments]
    return max((float(value) for value in found if value), default=None)
