"""An imported history as tidy CSV files: every run, answer, file, and unplaced item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property

from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.legacy.attach import by_run
from scripts.lib.legacy.differences import Difference, differences
from scripts.lib.legacy.history import History, SourceFile, Unplaced
from scripts.lib.legacy.rows import LegacyRow, entry_of, legacy_rows
from scripts.lib.legacy.runs import SPEED_TEST, LegacyRun
from scripts.lib.legacy.summary import shown_k, summary_csv
from scripts.lib.registry_loader import Registry

RUN_COLUMNS = (
    "run_id",
    "timestamp",
    "role",
    "entry",
    "model",
    "mode",
    "answers",
    "tokens_per_second_median",
    "speed_up",
    "struck_out",
    "latest",
    "damage",
    "source",
)
ANSWER_COLUMNS = (
    "run_id",
    "model",
    "mode",
    "suite",
    "question_id",
    "tokens_per_second",
    "log_tokens_per_second",
    "prompt_tokens",
    "completion_tokens",
    "total_time_ms",
    "acceptance_rate",
    "algorithmic_score",
    "claude_score_first",
    "claude_score_rescored",
    "score_reason",
    "response_characters",
    "symptoms",
    "source",
)


@dataclass(frozen=True)
class Imported:
    """An imported history with the registry, and the memory bandwidth of the machine it ran on.

    `skipped`: files that an import did not copy.
    """

    history: History
    registry: Registry
    bandwidth_bytes_per_s: float | None
    skipped: tuple[Unplaced, ...] = ()

    @cached_property
    def rows(self) -> tuple[LegacyRow, ...]:
        """All rows, those of the text-only runs included."""
        return legacy_rows(self.history, self.registry, self.bandwidth_bytes_per_s)

    @cached_property
    def summary_rows(self) -> tuple[LegacyRow, ...]:
        """The rows of the predecessor's table, which leaves the text-only runs out."""
        return legacy_rows(self.history, self.registry, self.bandwidth_bytes_per_s, logs=False)

    @cached_property
    def summary(self) -> str:
        """The predecessor's table, made again."""
        return summary_csv(self.summary_rows, shown_k(self.history.summary))

    @cached_property
    def differences(self) -> list[Difference]:
        """Where the archive's own table differs; empty if the archive has none."""
        if not self.history.summary:
            return []
        return differences(self.summary, self.history.summary, self.summary_rows)

    @cached_property
    def unplaced(self) -> tuple[Unplaced, ...]:
        """Everything that is in no table, or not where its file says, by file."""
        found = [*self.skipped, *self.history.unplaced, *self._unanswered(), *self._unmapped()]
        return tuple(sorted(found, key=lambda u: (u.file, u.place, u.reason)))

    def _unanswered(self) -> Iterator[Unplaced]:
        runs = {run.source: run for run in self.history.runs}
        for review in (review for review in self.history.reviews if review.run):
            known = {(a.suite, a.question) for a in runs[review.run].answers}
            why = f"scores an answer that is not in its run: {review.run}"
            for suite, question in review.scores:
                if (suite, question) not in known:
                    yield Unplaced(review.source, f"{suite}/{question}", why)

    def _unmapped(self) -> Iterator[Unplaced]:
        """One item per weights file that is not in the registry."""
        runs: dict[str, list[LegacyRun]] = {}
        for run in self.history.runs:
            if entry_of(run, self.registry.models) is None:
                runs.setdefault(run.model, []).append(run)
        for model, found in runs.items():
            count = f"{model} ({len(found)} runs), shown under that name"
            why = f"no entry of the registry has these weights: {count}"
            yield Unplaced(found[0].source, "model_path", why)

    @cached_property
    def counts(self) -> Counter[str]:
        """The number of files of each `Kind`, of answers, and of answers with each symptom."""
        found = Counter(source.kind.value for source in self.history.sources)
        for run in self.history.runs:
            for answer in run.answers:
                if answer.suite != SPEED_TEST:
                    found.update(["answers", *answer.symptoms])
        return found

    @property
    def runs(self) -> list[LegacyRun]:
        """The runs by id and file."""
        return sorted(self.history.runs, key=lambda run: (run.run_id, run.source))


def _run_rows(imported: Imported) -> Iterator[Sequence[object]]:
    shown: dict[str, tuple[float | None, str]]
    shown = {row.base.source: (None, row.struck) for row in imported.rows if row.base is not None}
    shown |= {way.run.source: (way.ratio, way.struck) for row in imported.rows for way in row.ways}
    for run in imported.runs:
        entry = entry_of(run, imported.registry.models)
        ratio, struck = shown.get(run.source, (None, ""))
        yield (
            run.run_id,
            run.timestamp,
            run.role,
            entry.key if entry is not None else None,
            run.model,
            run.config,
            len(run.answers),
            _rounded(run.tokens_per_s),
            _rounded(ratio),
            struck,
            run.source in shown,
            run.damage,
            run.source,
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _answer_rows(imported: Imported) -> Iterator[Sequence[object]]:
    reviews = by_run(imported.history.reviews)
    for run in imported.runs:
        found = [reviews.get((run.source, rescored)) for rescored in (False, True)]
        rounds = [review.scores if review is not None else {} for review in found]
        for a in run.answers:
            first, second = (scores.get((a.suite, a.question)) for scores in rounds)
            leading = second or first
            yield (
                run.run_id,
                run.model,
                run.config,
                a.suite,
                a.question,
                a.tokens_per_s,
                a.log_tokens_per_s,
                a.prompt_tokens,
                a.completion_tokens,
                a.total_time_ms,
                a.acceptance_rate,
                a.algorithmic_score,
                first.score if first else None,
                second.score if second else None,
                leading.reason if leading else a.score_reason,
                a.response_characters,
                "; ".join(a.symptoms),
                a.source,
            )


def _records(kind: type, records: Sequence[SourceFile | Unplaced | Difference]) -> str:
    """Dataclass objects as CSV, a column per field."""
    return csv_text([field.name for field in fields(kind)], map(astuple, records))


def history_tables(imported: Imported) -> dict[str, str]:
    """File name -> content of everything that is derived from an imported history."""
    return {
        "runs.csv": csv_text(RUN_COLUMNS, _run_rows(imported)),
        "answers.csv": csv_text(ANSWER_COLUMNS, _answer_rows(imported)),
        "sources.csv": _records(SourceFile, imported.history.sources),
        "unplaced.csv": _records(Unplaced, imported.unplaced),
        "summary.csv": imported.summary,
        "summary_differences.csv": _records(Difference, imported.differences),
    }
