"""An imported history as tidy CSV files: every run, every answer with its scores, every file, everything not placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property

from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.legacy.attach import by_run
from scripts.lib.legacy.differences import Difference, differences
from scripts.lib.legacy.history import History, Unplaced
from scripts.lib.legacy.rows import LegacyRow, entry_of, legacy_rows, median_speed
from scripts.lib.legacy.runs import SPEED_TEST, LegacyRun
from scripts.lib.legacy.summary import shown_k, summary_csv
from scripts.lib.registry_loader import Registry

RUN_COLUMNS = (
    *(
        "run_id",
        "timestamp",
        "role",
        "entry",
        "model",
        "mode",
        "answers",
        "tokens_per_second_median",
    ),
    *("speed_up", "struck_out", "latest", "damage", "source"),
)
ANSWER_COLUMNS = (
    *(
        "run_id",
        "model",
        "mode",
        "suite",
        "question_id",
        "tokens_per_second",
        "log_tokens_per_second",
        "prompt_tokens",
    ),
    *(
        "completion_tokens",
        "total_time_ms",
        "acceptance_rate",
        "algorithmic_score",
        "claude_score_first",
    ),
    *("claude_score_rescored", "score_reason", "response_characters", "symptoms", "source"),
)
SOURCE_COLUMNS = ("file", "size_bytes", "sha256", "kind", "note")
UNPLACED_COLUMNS = ("file", "place", "reason")


@dataclass(frozen=True)
class Imported:
    """An imported history seen with the registry, and the memory's bandwidth of the machine it was measured on.

    `skipped`: files that an import left where they are.
    """

    history: History
    registry: Registry
    bandwidth_bytes_per_s: float | None
    skipped: tuple[Unplaced, ...] = ()

    @cached_property
    def rows(self) -> tuple[LegacyRow, ...]:
        return legacy_rows(self.history, self.registry, self.bandwidth_bytes_per_s)

    @cached_property
    def summary_rows(self) -> tuple[LegacyRow, ...]:
        """The rows of the predecessor's table, which leaves the text-only runs out."""
        return legacy_rows(self.history, self.registry, self.bandwidth_bytes_per_s, logs=False)

    @cached_property
    def summary(self) -> str:
        return summary_csv(self.summary_rows, shown_k(self.history.summary))

    @cached_property
    def differences(self) -> list[Difference]:
        """Where the archive's own table says something else; nothing where it has none."""
        return (
            differences(self.summary, self.history.summary, self.summary_rows)
            if self.history.summary
            else []
        )

    @cached_property
    def unplaced(self) -> tuple[Unplaced, ...]:
        """Everything that has no place, or not the one it names, by file."""
        found = [*self.skipped, *self.history.unplaced, *self._unanswered(), *self._unmapped()]
        return tuple(sorted(found, key=lambda u: (u.file, u.place, u.reason)))

    def _unanswered(self) -> Iterator[Unplaced]:
        runs = {run.source: run for run in self.history.runs}
        for review in (review for review in self.history.reviews if review.run):
            run = runs[review.run]
            known = {(a.suite, a.question) for a in run.answers}
            for suite, question in (key for key in review.scores if key not in known):
                yield Unplaced(
                    review.source,
                    f"{suite}/{question}",
                    f"scores an answer that its run does not hold: {run.source}",
                )

    def _unmapped(self) -> Iterator[Unplaced]:
        """One line per weights file that the registry has no entry for."""
        runs: dict[str, list[LegacyRun]] = {}
        for run in self.history.runs:
            if entry_of(run, self.registry.models) is None:
                runs.setdefault(run.model, []).append(run)
        for model, found in runs.items():
            why = f"no entry of the registry has these weights: {model} ({len(found)} runs), shown under that name"
            yield Unplaced(found[0].source, "model_path", why)

    def counts(self) -> Counter[str]:
        """How many files were taken for what (see `Kind`), how many answers were found, and how many show which symptom."""
        found = Counter(source.kind.value for source in self.history.sources)
        for answer in (
            a for run in self.history.runs for a in run.answers if a.suite != SPEED_TEST
        ):
            found.update(["answers", *answer.symptoms])
        return found


def _run_rows(imported: Imported) -> Iterator[Sequence[object]]:
    shown: dict[str, tuple[float | None, str]]
    shown = {row.base.source: (None, row.struck) for row in imported.rows if row.base is not None}
    shown |= {way.run.source: (way.ratio, way.struck) for row in imported.rows for way in row.ways}
    for run in sorted(imported.history.runs, key=lambda r: (r.run_id, r.source)):
        entry = entry_of(run, imported.registry.models)
        ratio, struck = shown.get(run.source, (None, ""))
        yield (
            run.run_id, run.timestamp, run.role, entry.key if entry is not None else None, run.model, run.config,
            len(run.answers), _rounded(median_speed(run)), _rounded(ratio), struck, run.source in shown, run.damage, run.source,
        )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _answer_rows(imported: Imported) -> Iterator[Sequence[object]]:
    reviews = by_run(imported.history.reviews)
    for run in sorted(imported.history.runs, key=lambda r: (r.run_id, r.source)):
        found = [reviews.get((run.source, again)) for again in (False, True)]
        rounds = [review.scores if review is not None else {} for review in found]
        for a in run.answers:
            first, second = (scored.get((a.suite, a.question)) for scored in rounds)
            leading = second or first
            yield (
                run.run_id, run.model, run.config, a.suite, a.question, a.tokens_per_s, a.log_tokens_per_s, a.prompt_tokens,
                a.completion_tokens, a.total_time_ms, a.acceptance_rate, a.algorithmic_score,
                first.score if first else None, second.score if second else None,
                leading.reason if leading else a.score_reason, a.response_characters, "; ".join(a.symptoms), a.source,
            )  # fmt: skip


def history_tables(imported: Imported) -> dict[str, str]:
    """File name -> content of everything that is derived from an imported history."""
    sources = (
        (s.path, s.size_bytes, s.sha256, s.kind.value, s.note) for s in imported.history.sources
    )
    return {
        "runs.csv": csv_text(RUN_COLUMNS, _run_rows(imported)),
        "answers.csv": csv_text(ANSWER_COLUMNS, _answer_rows(imported)),
        "sources.csv": csv_text(SOURCE_COLUMNS, sources),
        "unplaced.csv": csv_text(
            UNPLACED_COLUMNS, ((u.file, u.place, u.reason) for u in imported.unplaced)
        ),
        "summary.csv": imported.summary,
        "summary_differences.csv": csv_text(
            [field.name for field in fields(Difference)], map(astuple, imported.differences)
        ),
    }
