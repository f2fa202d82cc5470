"""The first screen of report.html: what a role should run, and the chart of quality against speed.

The page's script draws the chart and chooses among the candidates that fit the filters. Which
setups are candidates, and in which order, is decided here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib.pages.compact import compact_column, compact_estimate
from scripts.lib.tables.gains import wins
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import RankedSetup, RoleRanking, is_proved
from scripts.lib.tables.setups import Setup, ways_of

# A part of a model's name that gives its size, such as `7B`, `0.6B`, `135M`, `8x7B` or `A3B`.
_SIZE = re.compile(r"[a-z]?(\d+x)?\d+(\.\d+)?[bm]", re.IGNORECASE)


def family(name: str) -> str:
    """A model's family: its name up to its size, or the first word where no size is named.

    For example `Qwen2.5-Coder` of `Qwen2.5-Coder-7B-Instruct`.
    """
    words = re.split(r"[-_ ]+", name)
    sizes = [place for place, word in enumerate(words) if _SIZE.fullmatch(word)]
    return "-".join(words[: sizes[0] if sizes and sizes[0] else 1])


def launch_command(c: Setup) -> str:
    """The command that prints the engine's command line for a setup."""
    return shlex.join(
        ["python", "-m", "scripts.launch", "--model", c.model.key, "--mode", c.mode.name]
    )


def measure_command(c: Setup, part: ProfilePart) -> str:
    """The command that measures the missing cells of a model, on the part's hardware profile."""
    chosen = [] if part.is_active else ["--config", f"hardware={part.plan.hardware.name}"]
    return shlex.join(["snakemake", "-j8", f"results_{c.model.key}", *chosen])


def first_screen(part: ProfilePart, setups: Sequence[Setup]) -> dict[str, Any]:
    """What the chart and the advice need; a setup is named by its place in `setups`.

    Columns have one value per setup: `family`, `command` (to run it), `measure` (the command that
    measures what is missing), `row` (the setup whose answers it gives) and `drawn`: False for a
    setup whose speed is impossible or unknown, or whose answers are not proved to be its row's.
    """
    places = {c.name: place for place, c in enumerate(setups)}
    return {
        "slug": part.slug,
        "active": part.is_active,
        "hardware": part.plan.hardware.name,
        "family": [family(c.model.name) for c in setups],
        "command": [launch_command(c) for c in setups],
        "measure": [measure_command(c, part) for c in setups],
        "row": [places.get((c.base or c).name, places[c.name]) for c in setups],
        "drawn": compact_column([_is_drawn(c) for c in setups]),
        "roles": [_role(part, ranking, places) for ranking in part.rankings],
    }


def _is_drawn(c: Setup) -> bool:
    if c.mode.speculative:
        return c.base is not None and is_proved(c)
    return c.decode is not None and not c.struck_out


def _role(part: ProfilePart, ranking: RoleRanking, places: Mapping[str, int]) -> dict[str, Any]:
    """A role's candidates, the best first, and the rows that are not ranked, with the reason."""
    return {
        "role": ranking.role,
        "suites": list(ranking.suites),
        "candidates": [_candidate(part, one, places) for one in ranking.candidates],
        "unranked": [[places[row.name], why] for row, why in ranking.unranked],
    }


def _candidate(part: ProfilePart, one: RankedSetup, places: Mapping[str, int]) -> list[Any]:
    """[row, fastest proved way, pass rate, whether tied with the best, {workload: fastest way}]."""
    ways = {
        workload: places[way.name]
        for workload in one.row.by_workload
        if (way := _fastest_on(workload, part, one.row)) is not one.way
    }
    return [places[one.row.name], places[one.way.name], compact_estimate(one.quality),
            one.is_tied, ways]  # fmt: skip


def _fastest_on(workload: str, part: ProfilePart, row: Setup) -> Setup:
    """The proved way with the greatest speed-up on a workload; the row itself if none wins it."""
    best, fastest = 0.0, row
    for way in ways_of(row, part.setups):
        on = way.by_workload.get(workload)
        if on is None or not is_proved(way) or not wins(on) or on.speed_up is None:
            continue
        if on.speed_up.estimate.value > best:
            best, fastest = on.speed_up.estimate.value, way
    return fastest
