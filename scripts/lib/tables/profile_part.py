"""One hardware profile and engine: its plan, its setups, and the rankings that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.lib.base.layout import part_slug
from scripts.lib.planning.left_out import LeftOut
from scripts.lib.planning.plan import Plan
from scripts.lib.results.review_check import Damage
from scripts.lib.results.states import MissingCells
from scripts.lib.tables.depths import AtDepth, at_depths
from scripts.lib.tables.fidelity import Fidelity, FidelityPair, pairs
from scripts.lib.tables.gains import Gains, fastest_by_workload
from scripts.lib.tables.ranking import (
    Reduction,
    RoleRanking,
    fastest_way,
    rank_roles,
    reductions,
    unrankable,
)
from scripts.lib.tables.setups import Setup, quality_rows, suite_place, workload_place
from scripts.lib.tables.variants import Sweep, VariantEffect, sweeps, variant_effects


@dataclass(frozen=True)
class ProfilePart:
    """The results on one hardware profile by one engine.

    `environments`: digest -> the records that cells refer to. `damaged`: stored records that were
    changed after they were written; they are not in `setups` and `environments`. `fidelities`: the
    configurations that were compared with a reference; `fidelity_left_out`: those without one.
    """

    plan: Plan
    setups: tuple[Setup, ...]
    environments: Mapping[str, Mapping[str, Any]]
    is_active: bool = False
    missing: tuple[MissingCells, ...] = ()
    damaged: tuple[Damage, ...] = ()
    fidelities: tuple[Fidelity, ...] = ()
    fidelity_left_out: tuple[LeftOut, ...] = ()

    @property
    def name(self) -> str:
        """The part's heading."""
        return f"{self.plan.hardware.name}, engine {self.plan.engine.name}"

    @property
    def slug(self) -> str:
        """The part's name in file names."""
        return part_slug(self.plan.hardware.name, self.plan.engine.name)

    @cached_property
    def suites(self) -> list[str]:
        """The suites with answers that pass rates count, in the order of `suite_place`."""
        found = {suite for c in self.setups for suite in c.by_suite if suite not in c.apart}
        return sorted(found, key=suite_place)

    @cached_property
    def workloads(self) -> list[str]:
        """The workloads with answers, in the order of `workload_place`."""
        return sorted({name for c in self.setups for name in c.by_workload}, key=workload_place)

    @property
    def measured(self) -> int:
        """The number of reviewed cells."""
        return sum(len(c.all_rows) for c in self.setups)

    @property
    def planned(self) -> int:
        """The number of planned cells."""
        planned = sum(len(shard.cells) for shard in self.plan.shards)
        return planned or sum(c.planned for c in self.setups)

    @cached_property
    def depths(self) -> tuple[AtDepth, ...]:
        """The setups at each depth; none where no question was asked at a depth."""
        return tuple(at_depths(self.setups))

    @cached_property
    def rankings(self) -> tuple[RoleRanking, ...]:
        """One ranking per role."""
        return rank_roles(self.setups, self.plan.recommended)

    @cached_property
    def reductions(self) -> tuple[Reduction, ...]:
        """The rows with fewer experts, compared with all experts."""
        return tuple(reductions(self.setups))

    @cached_property
    def variant_effects(self) -> tuple[VariantEffect, ...]:
        """The setups in runtime variants, compared with those without."""
        return tuple(variant_effects(self.setups))

    @cached_property
    def sweeps(self) -> tuple[Sweep, ...]:
        """The sweeps over a runtime setting."""
        return tuple(sweeps(self.setups, self.plan.hardware))

    @cached_property
    def fidelity_pairs(self) -> tuple[FidelityPair, ...]:
        """Every two configurations that were compared with the same reference."""
        return tuple(pairs(self.fidelities))

    @cached_property
    def rows(self) -> list[Setup]:
        """The quality rows by role, the best first; within a role, unranked ones come last."""
        roles = {ranking.role: place for place, ranking in enumerate(self.rankings)}

        def place(row: Setup) -> tuple[int, bool, float, str]:
            role = min((roles[role] for role in row.model.candidate_roles), default=len(roles))
            quality = row.quality.value if row.quality else 0.0
            return role, bool(unrankable(row)), -quality, row.name

        return sorted(quality_rows(self.setups), key=place)

    @cached_property
    def _ways(self) -> Mapping[str, Setup]:
        return {row.name: fastest_way(row, self.setups) for row in self.rows}

    def way_of(self, row: Setup) -> Setup:
        """The fastest proved way to decode a quality row's answers; the row itself if none is."""
        return self._ways[row.name]

    def fastest_by_workload(self, row: Setup) -> tuple[Gains, ...]:
        """The proved ways to decode a quality row's answers that win a workload."""
        return fastest_by_workload(row, self.setups)


def measured_bandwidth(environments: Iterable[Mapping[str, Any]]) -> float | None:
    """The greatest memory bandwidth in GB/s that a preflight measured; None if none did."""
    found = [(record.get("preflight") or {}).get("bandwidth_gb_per_s") for record in environments]
    return max((float(value) for value in found if value), default=None)
