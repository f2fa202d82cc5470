"""RESULTS.md on workloads: decode speed, speed-up and passed checks by the kind of text written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from scripts.lib.base.markdown import DASH, code, table, text
from scripts.lib.pages.sections.quality import mode_name, ratio, speed, workload_name
from scripts.lib.tables.gains import wins
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup


def _table(part: ProfilePart, setups: Iterable[Setup], shown: Callable[[Setup], str]) -> str:
    """One line per setup: its figure over all workloads, on each of them, and notes."""
    rows = []
    for c in setups:
        if c.by_workload:
            cells = _cells(part, c, shown)
            notes = "; ".join(_notes(c)) or DASH
            rows.append([code(c.model.key), mode_name(c), shown(c), *cells, notes])
    headers = ("model", "mode", "all", *map(workload_name, part.workloads), "note")
    return table(rows, headers)


def _cells(part: ProfilePart, c: Setup, shown: Callable[[Setup], str]) -> list[str]:
    found = (c.by_workload.get(name) for name in part.workloads)
    return [shown(on) if on is not None else DASH for on in found]


def _notes(c: Setup) -> Iterator[str]:
    """Answers that are a bad measurement of a speed or none, and a mode that is not proved."""
    early = [
        f"{workload_name(name)} {on.ended_early} of {len(on.answered)}"
        for name, on in c.by_workload.items()
        if on.ended_early
    ]
    if early:
        yield f"ended early: {', '.join(early)}"
    failed = sum(len(on.rows) - len(on.answered) for on in c.by_workload.values())
    if failed:
        yield f"{failed} failed"
    if not c.inherits_quality:
        yield text(c.certificate)


def decode_table(part: ProfilePart) -> str:
    """The decode speed of every setup on each workload."""
    return _table(part, part.setups, speed)


def speed_up_table(part: ProfilePart) -> str:
    """The speed-up of every speculative setup on each workload; proved gains in bold."""
    return _table(part, (c for c in part.setups if c.mode.speculative), _speed_up)


def _speed_up(c: Setup) -> str:
    shown = ratio(c.speed_up)
    if c.struck_out:
        return f"~~{shown}~~"
    return f"**{shown}**" if c.inherits_quality and wins(c) else shown


def checks_table(part: ProfilePart) -> str:
    """Passed out of scored answers of each quality row on each workload."""
    rows = [
        [code(c.model.key), code(c.mode.name), *_cells(part, c, _passes)]
        for c in part.rows
        if c.by_workload
    ]
    return table(rows, ("model", "mode", *map(workload_name, part.workloads)))


def _passes(on: Setup) -> str:
    return f"{on.passes.passed}/{on.passes.scored}" if on.passes.scored else "unscored"
