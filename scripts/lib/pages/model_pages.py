"""What the pages about models show: the catalogue, the known quirks with their probes' outcomes, and candidate quirks.

Pure functions over the registry, the probes' outcomes and the reviews; the templates are
`docs/templates/MODELS.md.j2` and `docs/templates/QUIRKS.md.j2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.base.globs import matches
from scripts.lib.base.markdown import DASH, code, link, number, table, text
from scripts.lib.planning.modes import expand_modes
from scripts.lib.registry.quirks import applies_to, entries_of
from scripts.lib.registry_loader import Model, Quirk, Registry, reported_violation
from scripts.lib.results.probe_outcomes import FROM_CELLS, ProbeOutcome
from scripts.lib.results.review import ReviewRow
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup

TIERS: Mapping[str, str] = {"A": "resident", "B": "on call", "C": "special", "D": "drafts"}
_CATALOGUE = (
    "entry",
    "model",
    "quant",
    "GB",
    "architecture",
    "context",
    "roles",
    "modes",
    "as reported",
)


@dataclass(frozen=True, slots=True)
class CandidateQuirk:
    """A symptom that one model showed in one mode: `cells` of `asked`, `first` the path of the first such cell."""

    hardware: str
    engine: str
    model: Model
    mode: str
    symptom: str
    cells: int
    asked: int
    first: str


def candidates(setups: Iterable[Setup]) -> Iterator[CandidateQuirk]:
    """Every symptom seen in reviewed cells, per model and mode, in plan order."""
    for c in setups:
        shown: dict[str, list[ReviewRow]] = {}
        for row in c.rows:
            for symptom in filter(None, row.symptoms.split("; ")):
                shown.setdefault(symptom, []).append(row)
        for symptom, rows in shown.items():
            first = min(rows, key=lambda r: (r.suite, r.question_id, r.repeat)).cell_file
            yield CandidateQuirk(
                c.hardware, c.engine, c.model, c.mode.name, symptom, len(rows), len(c.rows), first
            )


def _speaks_of(quirk: Quirk, model: Model, mode: str) -> bool:
    return applies_to(quirk, model) and matches(mode, (quirk.probe_argument or "*",))


def outcome_from_cells(quirk: Quirk, setups: Iterable[Setup]) -> ProbeOutcome | None:
    """The outcome of a probe that looks at cells: how many show its symptoms, in the models and modes of the quirk."""
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
    bad = sum(any(word in row.symptoms for word in words) for row in asked)
    evidence = f"{bad} of {len(asked)} cells in modes {quirk.probe_argument or '*'} show {' or '.join(words)}"
    return ProbeOutcome(
        quirk.id, quirk.probe, quirk.probe_argument, ", ".join(sorted(engines)), bad > 0, evidence
    )


@dataclass(frozen=True)
class QuirksPage:
    """The known quirks in their groups, and what the cells propose."""

    registry: Registry
    outcomes: Mapping[str, ProbeOutcome]
    parts: Sequence[ProfilePart]

    @property
    def setups(self) -> tuple[Setup, ...]:
        return tuple(c for part in self.parts for c in part.setups)

    def groups(self) -> list[tuple[str, str, list[Quirk]]]:
        """(name, description, quirks) of each group that has any."""
        grouped = {
            name: [q for q in self.registry.quirks if q.group == name]
            for name in self.registry.quirk_groups
        }
        return [
            (name, self.registry.quirk_groups[name], quirks)
            for name, quirks in grouped.items()
            if quirks
        ]

    def _outcome(self, quirk: Quirk) -> ProbeOutcome | None:
        if quirk.probe in FROM_CELLS:
            return outcome_from_cells(quirk, self.setups)
        return self.outcomes.get(quirk.id)

    def applies_to(self, quirk: Quirk) -> str:
        """What the quirk speaks of, as Markdown: its patterns, else the entries that its group's key names."""
        if quirk.applies_to:
            return ", ".join(map(code, quirk.applies_to))
        named = entries_of(quirk.group, self.registry.models)
        return (
            ", ".join(map(code, named))
            or f"in general: no entry's name has all parts of {code(quirk.group)}"
        )

    def standing(self, quirk: Quirk) -> str:
        """Whether the quirk still holds, as Markdown: that it is resolved, the probe's outcome, or that nothing checks it."""
        checked = self._checked(quirk)
        if quirk.resolved:
            return f"**resolved**: {text(quirk.resolved)}" + (f"; {checked}" if checked else "")
        return checked or "not probed"

    def _checked(self, quirk: Quirk) -> str:
        if quirk.probe is None:
            return text(quirk.status)
        outcome, name = self._outcome(quirk), code(quirk.probe)
        if outcome is None:
            return f"{name} has not been run: what it looks at is not on this machine"
        words = {
            True: "**still there**",
            False: "**gone**: the entry can be taken out",
            None: "could not be told",
        }
        where = f" with {text(outcome.engine_version)}" if quirk.probe not in FROM_CELLS else ""
        return f"{words[outcome.holds]}{where} ({name}: {text(outcome.evidence)})"

    def candidates(self) -> str:
        """The table of candidate quirks; empty without any."""
        rows = [
            [
                code(item.model.key),
                code(item.mode),
                f"{text(item.hardware)}, {item.engine}",
                item.symptom,
                f"{item.cells} of {item.asked}",
                self._known(item),
                link("cell", item.first),
            ]
            for item in candidates(self.setups)
        ]
        headers = ("model", "mode", "where", "symptom", "cells", "known as", "first")
        return table(rows, headers) if rows else ""

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
    """The catalogue: every entry of the registry, the ones out of service apart."""

    registry: Registry

    def tiers(self) -> list[tuple[str, str]]:
        """(heading, table) per tier, without the deprecated."""
        made = []
        for tier, words in TIERS.items():
            models = [
                m for m in self.registry.models.values() if m.tier == tier and not m.deprecated
            ]
            if models:
                made.append(
                    (
                        f"Tier {tier}: {words} ({len(models)})",
                        table(map(self._row, models), _CATALOGUE),
                    )
                )
        return made

    def deprecated(self) -> str:
        rows = [
            [
                code(m.key),
                text(m.name),
                text(m.quant),
                number(m.size_gb),
                text(m.deprecated_reason) or DASH,
            ]
            for m in self.registry.models.values()
            if m.deprecated
        ]
        return table(rows, ("entry", "model", "quant", "GB", "why")) if rows else ""

    def _row(self, model: Model) -> list[str]:
        expansion = expand_modes(model, self.registry.models)
        modes = (
            str(len(expansion.modes))
            if expansion.modes
            else f"none: {text(expansion.left_out[0].reason)}"
        )
        if expansion.recommended:
            modes += f", recommended {code(expansion.recommended)}"
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
        """Speeds as the registry reports them; what physics forbids is struck out, with the reason."""
        figures = [(key, value) for key, value in model.performance.items() if key.endswith("_tps")]
        shown = [f"{text(key.removesuffix('_tps'))} {text(value)} t/s" for key, value in figures]
        speed_up = model.performance.get("speedup")
        if speed_up is not None:
            why = reported_violation(model)
            shown.append(
                f"~~{text(speed_up)}~~ ({text(why)})" if why else f"speed-up {text(speed_up)}"
            )
        return ", ".join(shown) or DASH
