"""The contents of MODELS.md and QUIRKS.md: catalogue, quirks with their probes, candidates.

Pure functions over the registry, the probes' outcomes and the reviews; the templates are
`docs/templates/MODELS.md.j2` and `docs/templates/QUIRKS.md.j2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.base.globs import matches
from scripts.lib.base.markdown import DASH, code, link, number, table, text
from scripts.lib.pages.sections.quality import LEAVE_MARK, leave_note
from scripts.lib.planning.modes import expand_modes, speculates_by_leave
from scripts.lib.planning.traits import by_registry
from scripts.lib.registry.quirks import applies_to, entries_of
from scripts.lib.registry_loader import Model, Quirk, Registry, reported_violation
from scripts.lib.results.probe_outcomes import FROM_CELLS, ProbeOutcome
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.results.symptoms import Symptom
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup

TIERS: Mapping[str, str] = {"A": "resident", "B": "on call", "C": "special", "D": "drafts"}
_CATALOGUE = (
    *("entry", "model", "quant", "GB", "architecture", "context", "roles", "modes", "as reported"),
)


@dataclass(frozen=True, slots=True)
class CandidateQuirk:
    """A symptom of one model in one mode, in `cells` of `asked` cells; `first`: one cell's path.

    `leave`: see Setup.
    """

    hardware: str
    engine: str
    model: Model
    mode: str
    symptom: Symptom
    cells: int
    asked: int
    first: str
    leave: str = ""


def candidates(setups: Iterable[Setup]) -> Iterator[CandidateQuirk]:
    """Every symptom seen in reviewed cells, per model and mode, in plan order."""
    for c in setups:
        shown: dict[Symptom, list[ReviewRow]] = {}
        for row in c.rows:
            for symptom in row.symptoms:
                shown.setdefault(symptom, []).append(row)
        for symptom, rows in shown.items():
            first = min(rows, key=lambda r: (r.suite, r.question_id, r.repeat)).cell_file
            yield CandidateQuirk(
                hardware=c.hardware,
                engine=c.engine,
                model=c.model,
                mode=c.mode.name,
                symptom=symptom,
                cells=len(rows),
                asked=len(c.rows),
                first=first,
                leave=c.leave,
            )


def _speaks_of(quirk: Quirk, model: Model, mode: str) -> bool:
    return applies_to(quirk, model) and matches(mode, (quirk.probe_argument or "*",))


def outcome_from_cells(quirk: Quirk, setups: Iterable[Setup]) -> ProbeOutcome | None:
    """The outcome of a probe that looks at cells: how many of them show its symptoms."""
    assert quirk.probe is not None
    asked: list[ReviewRow] = []
    engines: set[str] = set()
    for c in setups:
        if _speaks_of(quirk, c.model, c.mode.name):
            asked += c.rows
            engines.add(c.engine)
    if not asked:
        return None
    words = FROM_CELLS[quirk.probe]
    bad = sum(not set(words).isdisjoint(row.symptoms) for row in asked)
    modes = quirk.probe_argument or "*"
    evidence = f"{bad} of {len(asked)} cells in modes {modes} show {' or '.join(words)}"
    names = ", ".join(sorted(engines))
    return ProbeOutcome(quirk.id, quirk.probe, quirk.probe_argument, names, bad > 0, evidence)


@dataclass(frozen=True)
class QuirksPage:
    """The known quirks in their groups, and candidates: symptoms that the cells show."""

    registry: Registry
    outcomes: Mapping[str, ProbeOutcome]
    parts: Sequence[ProfilePart]

    @property
    def setups(self) -> tuple[Setup, ...]:
        """The setups of all parts."""
        return tuple(c for part in self.parts for c in part.setups)

    def groups(self) -> list[tuple[str, str, list[Quirk]]]:
        """(name, description, quirks) of each group that has any."""
        groups = []
        for name, description in self.registry.quirk_groups.items():
            quirks = [quirk for quirk in self.registry.quirks if quirk.group == name]
            if quirks:
                groups.append((name, description, quirks))
        return groups

    def _outcome(self, quirk: Quirk) -> ProbeOutcome | None:
        if quirk.probe in FROM_CELLS:
            return outcome_from_cells(quirk, self.setups)
        return self.outcomes.get(quirk.id)

    def applies_to(self, quirk: Quirk) -> str:
        """The quirk's patterns, else the entries that its group's key names, as Markdown."""
        if quirk.applies_to:
            return ", ".join(map(code, quirk.applies_to))
        named = ", ".join(map(code, entries_of(quirk.group, self.registry.models)))
        return named or f"in general: no entry's name has all parts of {code(quirk.group)}"

    def standing(self, quirk: Quirk) -> str:
        """The state of a quirk, as Markdown: resolved, the probe's outcome, or not probed."""
        checked = self._checked(quirk)
        if quirk.resolved:
            return f"**resolved**: {text(quirk.resolved)}" + (f"; {checked}" if checked else "")
        return checked or "not probed"

    def _checked(self, quirk: Quirk) -> str:
        if quirk.probe is None:
            return text(quirk.status)
        outcome, name = self._outcome(quirk), code(quirk.probe)
        if outcome is None:
            return f"{name} has not been run: this machine does not have what it checks"
        words = {
            True: "**still there**",
            False: "**gone**: the entry can be removed",
            None: "unclear",
        }
        where = f" with {text(outcome.engine_version)}" if quirk.probe not in FROM_CELLS else ""
        return f"{words[outcome.holds]}{where} ({name}: {text(outcome.evidence)})"

    def candidates(self) -> str:
        """The table of candidate quirks; empty without any."""
        found = list(candidates(self.setups))
        rows = [
            [
                code(item.model.key),
                f"{code(item.mode)}{LEAVE_MARK if item.leave else ''}",
                f"{text(item.hardware)}, {item.engine}",
                item.symptom,
                f"{item.cells} of {item.asked}",
                self._known(item),
                link("cell", item.first),
            ]
            for item in found
        ]
        headers = ("model", "mode", "where", "symptom", "cells", "known as", "first")
        note = leave_note((item.model.key, item.leave) for item in found)
        return "\n\n".join(filter(None, (table(rows, headers), note)))

    def _known(self, item: CandidateQuirk) -> str:
        known = (
            q.id
            for q in self.registry.quirks
            if item.symptom in FROM_CELLS.get(q.probe or "", ())
            and _speaks_of(q, item.model, item.mode)
        )
        return code(name) if (name := next(known, None)) else DASH


@dataclass(frozen=True)
class ModelsPage:
    """The catalogue: every entry of the registry; deprecated ones have a table of their own."""

    registry: Registry

    def tiers(self) -> list[tuple[str, str]]:
        """(heading, table) per tier, without the deprecated."""
        made = []
        for tier, words in TIERS.items():
            models = [m for m in self.registry.models.values() if m.tier == tier]
            rows = [self._row(model) for model in models if not model.deprecated]
            if rows:
                made.append((f"Tier {tier}: {words} ({len(rows)})", table(rows, _CATALOGUE)))
        return made

    def deprecated(self) -> str:
        """The table of deprecated entries, each with the reason; empty without any."""
        rows = []
        for m in self.registry.models.values():
            if m.deprecated:
                why = text(m.deprecated_reason) or DASH
                rows.append([code(m.key), text(m.name), text(m.quant), number(m.size_gb), why])
        return table(rows, ("entry", "model", "quant", "GB", "why")) if rows else ""

    def _row(self, model: Model) -> list[str]:
        expansion = expand_modes(model, self.registry.models)
        modes = str(len(expansion.modes))
        if not expansion.modes:
            modes = f"none: {text(expansion.left_out[0].reason)}"
        if expansion.recommended:
            leave = speculates_by_leave(model, by_registry(model))
            why = f" (recurrent; the registry allows it: {text(leave)})" if leave else ""
            modes += f", recommended {code(expansion.recommended)}{why}"
        return [
            code(model.key),
            text(model.name),
            text(model.quant),
            number(model.size_gb, 2 if model.size_gb < 1 else 1),
            text(model.architecture),
            str(model.max_context or DASH),
            ", ".join(text(role) for role in model.candidate_roles) or DASH,
            modes,
            self._reported(model),
        ]

    def _reported(self, model: Model) -> str:
        """Speeds as the registry reports them; an impossible one is struck out, with the reason."""
        figures = [(key, value) for key, value in model.performance.items() if key.endswith("_tps")]
        shown = [f"{text(key.removesuffix('_tps'))} {text(value)} t/s" for key, value in figures]
        speed_up = model.performance.get("speedup")
        if speed_up is not None:
            why, figure = reported_violation(model), text(speed_up)
            shown.append(f"~~{figure}~~ ({text(why)})" if why else f"speed-up {figure}")
        return ", ".join(shown) or DASH
