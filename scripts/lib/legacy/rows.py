"""Rows made of imported runs: a model's latest base run, its scores, and its speed-only modes.

Speeds that physics forbids are struck out. Ratios are of single runs and not paired by question: a
speed-only mode of the predecessor has one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from scripts.lib.base.speed_limits import bandwidth_violation, speed_up_violation
from scripts.lib.legacy.attach import by_run, latest
from scripts.lib.legacy.history import History
from scripts.lib.legacy.reviews import LegacyReview
from scripts.lib.legacy.runs import LegacyRun
from scripts.lib.planning.traits import by_registry
from scripts.lib.registry_loader import Model, Registry

# llama.cpp's default limit of tokens drafted per step by prompt lookup.
LOOKUP_DRAFT_TOKENS = 16
# A speed that differs by more from the log in its own answers was read from the wrong line.
LOG_TOLERANCE = 0.05


def entry_of(run: LegacyRun, models: Mapping[str, Model]) -> Model | None:
    """The registry's entry for the same weights file, preferably with the run's role as its key.

    The role alone does not identify the weights.
    """
    file = PurePosixPath(run.model_path).name
    same = [m for m in models.values() if file and PurePosixPath(m.path).name == file]
    return next((m for m in same if m.key == run.role), same[0] if same else None)


@dataclass(frozen=True, slots=True)
class Way:
    """A speed-only mode: its latest run, its speed over the base row's, why it is struck out."""

    run: LegacyRun
    ratio: float | None
    struck: str


@dataclass(frozen=True)
class LegacyRow:
    """One model in one quality mode (`baseline` or `moeN`). `base`: its latest run with questions.

    `struck`: why the base run's speed is impossible (empty: it is possible, or the weights are
    unknown).
    """

    model: str
    quality_row: str
    entry: Model | None
    base: LegacyRun | None
    review: LegacyReview | None
    ways: tuple[Way, ...]
    struck: str = ""

    @property
    def label(self) -> str:
        """The row's name in the predecessor's table."""
        return self.model if self.quality_row == "baseline" else f"{self.model}_{self.quality_row}"

    @cached_property
    def passes(self) -> Mapping[str, tuple[int, int]]:
        """(passed, scored) by suite."""
        counts: dict[str, tuple[int, int]] = {}
        for (suite, _), score in (self.review.scores if self.review is not None else {}).items():
            passed, scored = counts.get(suite, (0, 0))
            counts[suite] = passed + score.passed, scored + 1
        return counts

    def total(self, suites: Iterable[str]) -> tuple[int, int]:
        """(passed, scored) over these suites."""
        found = [self.passes.get(suite, (0, 0)) for suite in suites]
        return sum(passed for passed, _ in found), sum(scored for _, scored in found)

    def shown_passes(self, suites: Iterable[str], none: str) -> list[str]:
        """`passed/scored` for each suite; `none` for a suite without scores."""
        return ["{}/{}".format(*self.passes[s]) if s in self.passes else none for s in suites]

    @property
    def fastest(self) -> Way | None:
        """The fastest possible mode; None without one, or if the base's own speed is struck out."""
        timed = [w for w in self.ways if w.run.tokens_per_s and not w.struck and not self.struck]
        return max(timed, key=lambda way: way.run.tokens_per_s or 0.0, default=None)


def _violation(run: LegacyRun, limits: tuple[float | None, float | None], drafted: int = 0) -> str:
    """Why a run's speed cannot be right (empty: it can).

    `limits`: the bytes that a decoding step reads, and the memory's bytes per second. Each step
    reads the weights once, and gives at most one token more than it drafted.
    """
    reported, logged = run.tokens_per_s, run.logged_tokens_per_s
    if not reported:
        return ""
    if found := bandwidth_violation(reported / (drafted + 1), *limits):
        steps = f"{reported:.1f} t/s in steps of {drafted + 1} tokens: " if drafted else ""
        return f"{steps}{found}"
    if run.from_log or not logged or abs(reported / logged - 1) <= LOG_TOLERANCE:
        return ""
    return f"{reported:.1f} t/s is reported, but the log in its own answers says {logged:.1f} t/s"


def _way(run: LegacyRun, base: float | None, limits: tuple[float | None, float | None]) -> Way:
    """`base`: the speed of its base row; None if there is none or it is impossible."""
    ratio = run.tokens_per_s / base if run.tokens_per_s and base else None
    drafted = max(run.mode.k or 0, LOOKUP_DRAFT_TOKENS if run.mode.lookup_n is not None else 0)
    return Way(run, ratio, speed_up_violation(ratio, drafted) or _violation(run, limits, drafted))


def _review(
    base: Iterable[LegacyRun], reviews: Mapping[tuple[str, bool], LegacyReview]
) -> LegacyReview | None:
    """The scores of a row: the second round's first, in it those of the first run with any."""
    names = [(run.source, rescored) for rescored in (True, False) for run in base]
    return next((reviews[name] for name in names if name in reviews), None)


def _place(way: Way) -> tuple[str, int, int]:
    mode = way.run.mode
    return mode.draft or "", mode.k or 0, mode.lookup_n or 0


def _row(
    model: str,
    runs: list[LegacyRun],
    reviews: Mapping[tuple[str, bool], LegacyReview],
    entry: Model | None,
    outer: LegacyRun | None,
    bandwidth: float | None,
) -> LegacyRow:
    """`outer`: the run that speed-only modes are compared with if the row has no base run."""
    plain = [run for run in runs if not run.mode.speculative]
    base = latest(plain)
    older = sorted(plain, key=lambda run: run.order)
    review = _review([base, *reversed(older)], reviews) if base is not None else None
    # A step reads all of a dense model; how much it reads of a mixture of experts is not known.
    dense = entry is not None and by_registry(entry).experts_used is None
    limits = entry.size_gb * 1e9 if entry is not None and dense else None, bandwidth
    compared = base or outer
    struck = _violation(compared, limits) if compared is not None else ""
    speed = compared.tokens_per_s if compared is not None and not struck else None
    modes = dict.fromkeys(run.config for run in runs if run.mode.speculative)
    newest = (latest(run for run in runs if run.config == config) for config in modes)
    ways = [_way(run, speed, limits) for run in newest if run is not None]
    return LegacyRow(
        model=model,
        quality_row=runs[0].mode.quality_row,
        entry=entry,
        base=base,
        review=review,
        ways=tuple(sorted(ways, key=_place)),
        struck=struck if base is not None else "",
    )


def legacy_rows(
    history: History, registry: Registry, bandwidth_bytes_per_s: float | None, logs: bool = True
) -> tuple[LegacyRow, ...]:
    """The rows of an imported history, by label.

    `logs`: with the text-only runs, which the predecessor's table does not have.
    """
    reviews = by_run(history.reviews)
    groups: dict[str, dict[str, list[LegacyRun]]] = {}
    for run in history.runs:
        if logs or not run.from_log:
            groups.setdefault(run.model, {}).setdefault(run.mode.quality_row, []).append(run)
    rows = []
    for model, by_mode in groups.items():
        baseline = latest(r for r in by_mode.get("baseline", []) if not r.mode.speculative)
        first = next(run for runs in by_mode.values() for run in runs)
        entry = entry_of(baseline or first, registry.models)
        for quality_row, runs in by_mode.items():
            full = entry is not None and quality_row == f"moe{by_registry(entry).experts_used}"
            outer = baseline if full else None
            rows.append(_row(model, runs, reviews, entry, outer, bandwidth_bytes_per_s))
    return tuple(sorted(rows, key=lambda row: (row.label.lower(), row.label)))
