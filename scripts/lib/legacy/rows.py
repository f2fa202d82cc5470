"""The rows that imported runs make: the latest base run of a model, its scores, and its speed modes; physics applied.

Ratios here are of single runs and not paired by question: a speed-only mode of the predecessor
holds one number.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from scripts.lib.base.speed_limits import bandwidth_violation, speed_up_violation
from scripts.lib.legacy.attach import by_run, latest
from scripts.lib.legacy.history import History
from scripts.lib.legacy.reviews import LegacyReview
from scripts.lib.legacy.runs import LegacyRun
from scripts.lib.planning.modes import full_experts
from scripts.lib.registry_loader import Model, Registry

# llama.cpp drafted at most so many tokens a step from a lookup, where nothing else was asked for.
LOOKUP_DRAFT_TOKENS = 16
# A reported speed that is further than this from the log in its own answers was read from the wrong
# line.
LOG_TOLERANCE = 0.05


def median_speed(run: LegacyRun) -> float | None:
    """Median of the answers' reported speeds (those above 0), else the file's own mean."""
    speeds = [a.tokens_per_s for a in run.answers if a.tokens_per_s]
    return statistics.median(speeds) if speeds else run.reported_tokens_per_s or None


def logged_speed(run: LegacyRun) -> float | None:
    """Median of the speeds that the logs inside the answers name."""
    speeds = [a.log_tokens_per_s for a in run.answers if a.log_tokens_per_s]
    return statistics.median(speeds) if speeds else None


def entry_of(run: LegacyRun, models: Mapping[str, Model]) -> Model | None:
    """The registry's entry of the same weights file, the one of the run's own role first; a role alone is no proof."""
    file = PurePosixPath(run.model_path).name
    same = [m for m in models.values() if file and PurePosixPath(m.path).name == file]
    return next((m for m in same if m.key == run.role), same[0] if same else None)


@dataclass(frozen=True, slots=True)
class Way:
    """A speed-only mode: its latest run, tokens per second, times its base row's speed, why physics forbids it."""

    run: LegacyRun
    tokens_per_s: float | None
    ratio: float | None
    struck: str


@dataclass(frozen=True)
class LegacyRow:
    """One model in one quality mode (`baseline` or `moeN`). `base`: its latest run of questions; None where it has none.

    `struck`: why the base run's speed cannot be (empty: it can, or nothing is known of the
    weights).
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

    @property
    def fastest(self) -> Way | None:
        """The fastest way that physics allows; None without one, and where the base's own speed is struck out."""
        timed = [
            way for way in self.ways if way.tokens_per_s and not way.struck and not self.struck
        ]
        return max(timed, key=lambda way: way.tokens_per_s or 0.0, default=None)


def _contradicted(run: LegacyRun) -> str:
    reported, logged = median_speed(run), logged_speed(run)
    if run.from_log or not reported or not logged or abs(reported / logged - 1) <= LOG_TOLERANCE:
        return ""
    return f"{reported:.1f} t/s is reported, the log in its own answers says {logged:.1f} t/s"


@dataclass(frozen=True, slots=True)
class _Memory:
    """What decoding reads a step, and how fast the memory gives it, in bytes (None: not known)."""

    step_bytes: float | None
    per_s: float | None

    def violation(self, tokens_per_s: float | None, most_drafted: int = 0) -> str:
        """Why a speed is impossible when every step reads the weights once and gives at most one token more than it drafted."""
        if not tokens_per_s:
            return ""
        found = bandwidth_violation(tokens_per_s / (most_drafted + 1), self.step_bytes, self.per_s)
        return (
            f"{tokens_per_s:.1f} t/s in steps of {most_drafted + 1} tokens: {found}"
            if found and most_drafted
            else found
        )


def _memory(entry: Model | None, bandwidth_bytes_per_s: float | None) -> _Memory:
    """Of a dense model a step reads all; of a mixture the share that a token reads is not known."""
    dense = entry is not None and full_experts(entry) is None
    return _Memory(
        entry.size_gb * 1e9 if entry is not None and dense else None, bandwidth_bytes_per_s
    )


def _way(run: LegacyRun, base: float | None, memory: _Memory) -> Way:
    """`base` is the speed of its base row, None where it has none or an impossible one: then only the memory can tell."""
    assert run.mode is not None
    speed = median_speed(run)
    ratio = speed / base if speed and base else None
    drafted = max(run.mode.k or 0, LOOKUP_DRAFT_TOKENS if run.mode.lookup_n is not None else 0)
    struck = (
        speed_up_violation(ratio, drafted) or memory.violation(speed, drafted) or _contradicted(run)
    )
    return Way(run, speed, ratio, struck)


def _quality_row(run: LegacyRun) -> str:
    """The predecessor's rule: an expert count makes a row, whatever the file's own count is."""
    assert run.mode is not None
    return "baseline" if run.mode.experts is None else f"moe{run.mode.experts}"


def _review(
    base: LegacyRun, runs: Iterable[LegacyRun], reviews: Mapping[tuple[str, bool], LegacyReview]
) -> LegacyReview | None:
    """The second round's scores before the first's, those of the base run before an older one's of the same row."""
    older = sorted(
        (run for run in runs if run.mode is not None and not run.mode.speculative),
        key=lambda r: r.order,
    )
    names = [
        (run.source, rescored) for rescored in (True, False) for run in (base, *reversed(older))
    ]
    return next((reviews[name] for name in names if name in reviews), None)


def _row(
    model: str, quality_row: str, runs: list[LegacyRun], reviews: Mapping[tuple[str, bool], LegacyReview],
    entry: Model | None, outer: LegacyRun | None, memory: _Memory,
) -> LegacyRow:  # fmt: skip
    """`outer`: the run that speed modes are compared with where the row has no base run of its own."""
    base = latest(run for run in runs if run.mode is not None and not run.mode.speculative)
    review = _review(base, runs, reviews) if base is not None else None
    compared = base or outer
    struck = (
        memory.violation(median_speed(compared)) or _contradicted(compared)
        if compared is not None
        else ""
    )
    speed = median_speed(compared) if compared is not None and not struck else None
    ways: dict[str, list[LegacyRun]] = {}
    for run in (run for run in runs if run.mode is not None and run.mode.speculative):
        ways.setdefault(run.config, []).append(run)
    newest = [run for run in map(latest, ways.values()) if run is not None]
    made = tuple(_way(run, speed, memory) for run in sorted(newest, key=_place))
    return LegacyRow(
        model, quality_row, entry, base, review, made, struck if base is not None else ""
    )


def _place(run: LegacyRun) -> tuple[str, int, int]:
    assert run.mode is not None
    return run.mode.draft or "", run.mode.k or 0, run.mode.lookup_n or 0


def legacy_rows(
    history: History, registry: Registry, bandwidth_bytes_per_s: float | None, logs: bool = True
) -> tuple[LegacyRow, ...]:
    """The rows of an imported history, by label. `logs`: also of the text-only runs, which the predecessor's table lacks."""
    reviews = by_run(history.reviews)
    groups: dict[str, dict[str, list[LegacyRun]]] = {}
    for run in history.runs:
        if logs or not run.from_log:
            groups.setdefault(run.model, {}).setdefault(_quality_row(run), []).append(run)
    rows = []
    for model, by_mode in groups.items():
        baselines = [
            run
            for run in by_mode.get("baseline", [])
            if run.mode is not None and not run.mode.speculative
        ]
        every = [run for runs in by_mode.values() for run in runs]
        entry = entry_of(latest(baselines) or every[0], registry.models)
        memory = _memory(entry, bandwidth_bytes_per_s)
        for quality_row, runs in by_mode.items():
            full = entry is not None and quality_row == f"moe{full_experts(entry)}"
            outer = latest(baselines) if full else None
            rows.append(_row(model, quality_row, runs, reviews, entry, outer, memory))
    return tuple(sorted(rows, key=lambda row: (row.label.lower(), row.label)))
