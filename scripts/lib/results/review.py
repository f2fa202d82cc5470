"""Reviews: the scored rows of a shard as CSV, the predecessor's columns first.

A review is named like a cell: its name ends in a digest of its cells' digests and of what scoring
uses of the questions. So if a criterion is edited, answers are scored again, without inference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import REVIEWS
from scripts.lib.base.results_tree import drop
from scripts.lib.base.stored_json import Damaged, digest
from scripts.lib.base.untrusted_text import valid_text
from scripts.lib.planning.cell_record import CellRecord, Measurement, read_cell
from scripts.lib.planning.disk import existing_files
from scripts.lib.planning.plan import Cell, Plan, Shard
from scripts.lib.prompts.loader import Question
from scripts.lib.prompts.types import Check
from scripts.lib.results.certificate import Certificate, certify
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.results.symptoms import symptoms
from scripts.lib.scoring.scorers import Scored, Scorer, Scoring, has_sandbox, scoring_tools
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL

# Raise this when the columns change: stored reviews are then made again from the same cells.
REVIEW_SCHEMA = 5

# Suite, question, repeat.
QuestionKey = tuple[str, str, int]


@lru_cache(maxsize=4096)
def scoring_identity(question: Question) -> str:
    """Digest of what scoring uses: expected and reference answers, criteria, checks."""
    criteria = [[c.criterion, c.weight, _identities(c.checks)] for c in question.scoring]
    identity: list[Any] = [question.expected, question.reference_answer, criteria]
    if question.whole:
        identity.append(_identities(question.whole))
    if question.all_must_pass:
        identity.append("all must pass")
    return digest(identity)


def _identities(checks: Iterable[Check]) -> list[list[str]]:
    return [[check.type, repr(sorted(check.params.items()))] for check in checks]


def scored_cells(shard: Shard) -> tuple[Cell, ...]:
    """The cells of a review: all planned ones if the shard can run here, else those that exist."""
    if shard.runnable:
        return shard.cells
    existing = existing_files(shard.folder)
    return tuple(cell for cell in shard.cells if cell.file_name in existing)


@dataclass(frozen=True, slots=True)
class Review:
    """A planned review: its shard, the cells it scores, and the base's cells to compare."""

    shard: Shard
    cells: tuple[Cell, ...]
    base: Shard | None
    base_cells: tuple[Cell, ...]
    scorers: tuple[Scorer, ...]
    file: str


def base_shard(plan: Plan, shard: Shard) -> Shard | None:
    """The shard whose answers a speculative shard should give; None without such a shard."""
    if not shard.mode.speculative:
        return None
    wanted = (shard.model.key, shard.mode.quality_row)
    for other in plan.shards:
        if (other.model.key, other.mode.name) == wanted:
            return other
    return None


def plan_review(plan: Plan, shard: Shard) -> Review:
    """The review of a shard; its file's name ends in the digest of everything it is made from."""
    cells, base = scored_cells(shard), base_shard(plan, shard)
    asked = {question_key(cell) for cell in cells}
    found = scored_cells(base) if base is not None else ()
    base_cells = tuple(cell for cell in found if question_key(cell) in asked)
    scored = [[cell.digest, scoring_identity(cell.question)] for cell in cells]
    scorers = [scorer.identity for scorer in plan.scorers]

    def file(sandboxed: bool) -> str:
        tools = scoring_tools(plan.scorers, (cell.question for cell in cells), sandboxed)
        identity = [REVIEW_SCHEMA, scorers, tools, scored, [cell.digest for cell in base_cells]]
        name = f"{shard.mode.name}.{digest(identity)}.csv"
        return f"{REVIEWS}/{shard.hardware.name}/{shard.model.key}/{name}"

    # A review that was made with a sandbox is also used on a machine without one. A review made
    # without a sandbox has another name, so it is made again as soon as there is a sandbox.
    best = file(sandboxed=True)
    other = file(sandboxed=False)
    chosen = best if best == other or Path(best).is_file() or has_sandbox() else other
    return Review(shard, cells, base, base_cells, plan.scorers, chosen)


def drop_reviews(plan: Plan, shard: Shard) -> None:
    """Delete the review of a shard that measures again, and those that compare with it."""
    for other in plan.shards:
        if other is shard or base_shard(plan, other) is shard:
            drop(Path(plan_review(plan, other).file))


def question_key(cell: Cell) -> QuestionKey:
    """(suite, question, repeat): equal in two modes for cells of the same question."""
    return cell.id.suite, cell.id.question, cell.id.repeat


def answer_of(record: CellRecord) -> tuple[str, str] | None:
    """The answer to score, and why it ended; None without one. After a timeout, what there is."""
    measured = record.measurement
    if measured is None or record.status == "error":
        return None
    # Cells are JSON, whose escapes can hold half a surrogate pair.
    return valid_text(measured.answer), measured.finish_reason


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stored cell to review: record and file; for a speculative mode, the base's record, too."""

    cell: Cell
    record: CellRecord
    file: str
    base: CellRecord | None = None
    certificate: Certificate | None = None


def review_cell(evidence: Evidence, scoring: Scoring) -> ReviewRow:
    """Score one cell with each scorer; a cell without an answer is not scored."""
    cell, record = evidence.cell, evidence.record
    row = ReviewRow(
        suite=cell.id.suite,
        question_id=cell.id.question,
        score_reason=_one_line(f"no answer: {record.error}"),
        scorer=scoring.leading,
        tier=cell.question.tier,
        repeat=cell.id.repeat,
        status=record.status,
        error=_one_line(record.error or ""),
        symptoms=symptoms(record, cell.question.prompt_text()),
        load_s=record.load_s,
        peak_rss_bytes=record.peak_rss_bytes,
        environment=record.environment,
        cell_file=evidence.file,
        cell_sha256=record.sha256,
        base_sha256=evidence.base.sha256 if evidence.base is not None else "",
    )
    answer = answer_of(record)
    if answer is not None:
        row = _with_scores(row, scoring.of(cell.question, *answer))
    if record.measurement is not None:
        row = _with_measurement(row, record.measurement)
    if evidence.certificate is not None:
        row = replace(
            row,
            certificate=evidence.certificate.verdict.value,
            divergence_token=evidence.certificate.token,
            divergence_gap_logits=evidence.certificate.gap_logits,
        )
    return row


def _one_line(text: str) -> str:
    return " ".join(valid_text(text).split())


def _with_scores(row: ReviewRow, scored: Iterable[Scored]) -> ReviewRow:
    """The row with each scorer's score; the first scorer's counts.

    A judge that was not asked is named in the reason, since its column is empty.
    """
    by_scorer = {found.scorer: found for found in scored}
    scores = {name: found.score.score for name, found in by_scorer.items()}
    leading, *others = by_scorer.values()
    reasons = [leading.score.reason]
    if leading.scorer == CHECKS:
        judges = (found for found in others if not found.verdict)
        reasons += [f"{found.scorer}: {found.score.unscored}" for found in judges]
    return replace(
        row,
        scorer=leading.scorer,
        claude_score=scores.get(CLAUDE),
        checks_score=scores.get(CHECKS),
        local_score=scores.get(LOCAL),
        score=leading.score.score,
        passed=leading.score.passed,
        coverage=round(leading.score.coverage, 4),
        score_reason=_one_line("; ".join(reasons)),
        series=leading.series,
        verdict=leading.verdict,
    )


def _with_measurement(row: ReviewRow, measured: Measurement) -> ReviewRow:
    return replace(
        row,
        finish_reason=measured.finish_reason,
        prompt_tokens=measured.prompt_tokens,
        completion_tokens=measured.completion_tokens,
        ttft_s=measured.ttft_s,
        prefill_tokens_per_s=measured.prefill_tokens_per_s,
        tokens_per_second=measured.decode_tokens_per_s,
        decode_tokens_per_s=measured.decode_tokens_per_s,
        drafted_tokens=measured.drafted_tokens,
        accepted_tokens=measured.accepted_tokens,
        verify_steps=measured.verify_steps,
        accepted_by_position=measured.accepted_by_position,
        speculators=measured.speculators,
        generation_s=round(measured.ttft_s + measured.decode_s, 6),
    )


def _stored(shard: Shard, cells: Iterable[Cell]) -> Iterator[tuple[Cell, str, CellRecord]]:
    """The undamaged cells of a shard, each with its file. Raises BenchError for a missing one."""
    for cell in cells:
        file = f"{shard.folder}/{cell.file_name}"
        try:
            yield cell, file, read_cell(Path(file))
        except FileNotFoundError as error:
            raise BenchError(f"{file}: missing; run: snakemake -j8 results") from error
        except Damaged:
            # It gets no row. The tables list it; when it is repaired, the review is made again.
            continue


def review_shard(review: Review) -> tuple[ReviewRow, ...]:
    """Score the undamaged stored cells of a shard. Raises BenchError if a cell is missing."""
    bases: dict[QuestionKey, CellRecord] = {}
    if review.base is not None:
        bases = {
            question_key(cell): record
            for cell, _, record in _stored(review.base, review.base_cells)
        }
    rows, scoring = [], Scoring(review.scorers)
    for cell, file, record in _stored(review.shard, review.cells):
        base = bases.get(question_key(cell))
        certificate = certify(base, record) if review.shard.mode.speculative else None
        rows.append(review_cell(Evidence(cell, record, file, base, certificate), scoring))
    return tuple(rows)
