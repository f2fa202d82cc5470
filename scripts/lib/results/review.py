"""Reviews: the scored rows of a shard as CSV, the predecessor's columns first.

A review is addressed like a cell: its name ends in the digest over its cells' digests and the
scoring identity of its questions, so an edited criterion re-scores without any inference.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import REVIEWS
from scripts.lib.base.results_tree import drop
from scripts.lib.base.stored_json import Damaged, digest, read_stored
from scripts.lib.base.untrusted_text import valid_text
from scripts.lib.planning.cell_record import CellRecord, read_cell
from scripts.lib.planning.disk import existing_files
from scripts.lib.planning.plan import Cell, Plan, Shard
from scripts.lib.prompts.loader import Question
from scripts.lib.results.certificate import Certificate, certify
from scripts.lib.results.symptoms import symptoms
from scripts.lib.scoring.scorers import Scored, Scorer, Scoring, has_sandbox, scoring_tools
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL

# Raised when a review gets other columns: the stored ones are then made again, from the same cells.
REVIEW_SCHEMA = 4
# The last column of a stored review: the seal of its row.
ROW_SEAL, SEAL_CHARACTERS = "row_digest", 16
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


# Suite, question, repeat.
QuestionKey = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One scored cell. `score` is 0-3 (None: unscored), `coverage` the share of the criteria's weight that was scored.

    Rates in tokens per second, times in seconds. `scorer`, `score`, `passed`, `coverage`,
    `score_reason`, `series` and `verdict` are the leading scorer's; every scorer has a column of
    its own beside (`claude_score`, `checks_score`, `local_score`), empty where it was not asked or
    could not tell: scorers are never mixed in one column. `cell_sha256`, `base_sha256`: the seals
    of the cell and of the base's cell that the row was made of.
    """

    suite: str
    question_id: str
    tokens_per_second: float | None
    claude_score: int | None
    score_reason: str
    scorer: str
    score: int | None
    passed: bool | None
    coverage: float
    checks_score: int | None
    local_score: int | None
    series: str
    verdict: str
    tier: int
    repeat: int
    status: str
    error: str
    symptoms: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    ttft_s: float | None
    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    drafted_tokens: int
    accepted_tokens: int
    verify_steps: int
    load_s: float
    generation_s: float
    peak_rss_bytes: int
    environment: str
    certificate: str
    divergence_token: int | None
    divergence_gap_logits: float | None
    cell_file: str
    cell_sha256: str
    base_sha256: str


COLUMNS = tuple(field.name for field in fields(ReviewRow))


@lru_cache(maxsize=4096)
def scoring_identity(question: Question) -> str:
    """Digest of what scoring looks at: the expected and reference answers, and the criteria with their checks."""
    criteria = [
        [
            c.criterion,
            c.weight,
            [[check.type, repr(sorted(check.params.items()))] for check in c.checks],
        ]
        for c in question.scoring
    ]
    whole = [[check.type, repr(sorted(check.params.items()))] for check in question.whole]
    more = [*([whole] if whole else []), *(["all must pass"] if question.all_must_pass else [])]
    return digest([question.expected, question.reference_answer, criteria, *more])


def scored_cells(shard: Shard) -> tuple[Cell, ...]:
    """The cells a review is made of: all planned ones where the shard can run, else those that are there."""
    if shard.runnable:
        return shard.cells
    existing = existing_files(shard.folder)
    return tuple(cell for cell in shard.cells if cell.file_name in existing)


@dataclass(frozen=True, slots=True)
class Review:
    """A planned review: its shard, the cells it scores, and the base mode's cells that speculative answers must equal."""

    shard: Shard
    cells: tuple[Cell, ...]
    base: Shard | None
    base_cells: tuple[Cell, ...]
    scorers: tuple[Scorer, ...]
    file: str


def base_shard(plan: Plan, shard: Shard) -> Shard | None:
    """The shard whose answers this speculative one should give; None for a mode that stands for itself."""
    if not shard.mode.speculative:
        return None
    wanted = (shard.model.key, shard.mode.quality_row)
    return next(
        (other for other in plan.shards if (other.model.key, other.mode.name) == wanted), None
    )


def plan_review(plan: Plan, shard: Shard) -> Review:
    """The review of a shard; its file's name ends in the digest of all that it is derived from."""
    cells, base = scored_cells(shard), base_shard(plan, shard)
    asked = {question_key(cell) for cell in cells}
    base_cells = (
        tuple(c for c in scored_cells(base) if question_key(c) in asked) if base is not None else ()
    )
    scored = [[cell.digest, scoring_identity(cell.question)] for cell in cells]
    scorers = [scorer.identity for scorer in plan.scorers]

    def file(sandboxed: bool) -> str:
        tools = scoring_tools(plan.scorers, (cell.question for cell in cells), sandboxed)
        identity = [REVIEW_SCHEMA, scorers, tools, scored, [cell.digest for cell in base_cells]]
        return f"{REVIEWS}/{shard.hardware.name}/{shard.model.key}/{shard.mode.name}.{digest(identity)}.csv"

    # A review that was made with a sandbox stands where there is none. One that was made without
    # has another name: it is made again as soon as there is a sandbox.
    best = file(sandboxed=True)
    other = file(sandboxed=False)
    chosen = best if best == other or Path(best).is_file() or has_sandbox() else other
    return Review(shard, cells, base, base_cells, plan.scorers, chosen)


def drop_reviews(plan: Plan, shard: Shard) -> None:
    """A shard that measures again loses its review, and those that compare with it: no table shows the cell of before."""
    for other in plan.shards:
        if other is shard or base_shard(plan, other) is shard:
            drop(Path(plan_review(plan, other).file))


def question_key(cell: Cell) -> QuestionKey:
    """What two modes' cells of one question share: suite, question, repeat."""
    return cell.id.suite, cell.id.question, cell.id.repeat


def answer_of(record: CellRecord) -> tuple[str, str] | None:
    """The answer to be scored and why it ended; None for a cell without one. A timeout's is scored as far as it goes."""
    measured = record.measurement
    if measured is None or record.status == "error":
        return None
    # Cells are JSON, whose escapes can hold half a surrogate pair.
    return valid_text(measured.answer), measured.finish_reason


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stored cell to be reviewed: its record and file; of a speculative mode the base's record that it must equal."""

    cell: Cell
    record: CellRecord
    file: str
    base: CellRecord | None = None
    certificate: Certificate | None = None


def review_cell(evidence: Evidence, scoring: Scoring) -> ReviewRow:
    """Score one cell by each scorer; one without an answer is scored by none."""
    cell, record, certificate = evidence.cell, evidence.record, evidence.certificate
    measured, answer = record.measurement, answer_of(record)
    by_scorer: dict[str, Scored] = {}
    if answer is not None:
        by_scorer = {scored.scorer: scored for scored in scoring.of(cell.question, *answer)}
    scores = {name: scored.score.score for name, scored in by_scorer.items()}
    leading = next(iter(by_scorer.values()), None)
    score = leading.score if leading is not None else None
    reason = score.reason if score is not None else f"no answer: {record.error}"
    return ReviewRow(
        suite=cell.id.suite,
        question_id=cell.id.question,
        tokens_per_second=measured.decode_tokens_per_s if measured else None,
        claude_score=scores.get(CLAUDE),
        score_reason=reason,
        scorer=scoring.leading,
        score=score.score if score is not None else None,
        passed=score.passed if score is not None else None,
        coverage=round(score.coverage, 4) if score is not None else 0.0,
        checks_score=scores.get(CHECKS),
        local_score=scores.get(LOCAL),
        series=leading.series if leading is not None else "",
        verdict=leading.verdict if leading is not None else "",
        tier=cell.question.tier,
        repeat=cell.id.repeat,
        status=record.status,
        error=record.error or "",
        symptoms="; ".join(symptoms(record, cell.question.prompt_text())),
        finish_reason=measured.finish_reason if measured else "",
        prompt_tokens=measured.prompt_tokens if measured else None,
        completion_tokens=measured.completion_tokens if measured else None,
        ttft_s=measured.ttft_s if measured else None,
        prefill_tokens_per_s=measured.prefill_tokens_per_s if measured else None,
        decode_tokens_per_s=measured.decode_tokens_per_s if measured else None,
        drafted_tokens=measured.drafted_tokens if measured else 0,
        accepted_tokens=measured.accepted_tokens if measured else 0,
        verify_steps=measured.verify_steps if measured else 0,
        load_s=record.load_s,
        generation_s=round(measured.ttft_s + measured.decode_s, 6) if measured else 0.0,
        peak_rss_bytes=record.peak_rss_bytes,
        environment=record.environment,
        certificate=certificate.verdict.value if certificate is not None else "",
        divergence_token=certificate.token if certificate is not None else None,
        divergence_gap_logits=certificate.gap_logits if certificate is not None else None,
        cell_file=evidence.file,
        cell_sha256=record.sha256,
        base_sha256=evidence.base.sha256 if evidence.base is not None else "",
    )


def _stored(shard: Shard, cells: Iterable[Cell]) -> Iterator[tuple[Cell, str, CellRecord]]:
    """The cells of a shard that can be believed, each with its file. Raises BenchError for one that is missing."""
    for cell in cells:
        file = f"{shard.folder}/{cell.file_name}"
        try:
            yield cell, file, read_cell(Path(file))
        except FileNotFoundError as error:
            raise BenchError(f"{file}: not there; run: snakemake -j8 results") from error
        except Damaged:
            # It has no row. The tables name it, and have the review made again.
            continue


def review_shard(review: Review) -> tuple[ReviewRow, ...]:
    """Score the stored cells of a shard, damaged ones left out. Raises BenchError for a cell that is missing."""
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


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        line = " ".join(valid_text(value).split())
        # A spreadsheet would run such a text as a formula.
        return f"'{line}" if line.startswith(_FORMULA_STARTS) else line
    return str(value)


def row_texts(row: ReviewRow) -> list[str]:
    """A row's values as the texts of a CSV line, in the order of COLUMNS."""
    return [_text(value) for value in asdict(row).values()]


def _row_seal(texts: Sequence[str]) -> str:
    return digest(list(texts), SEAL_CHARACTERS)


def to_csv(rows: Iterable[ReviewRow]) -> str:
    """The review as CSV text, one line a row, each with its seal."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*COLUMNS, ROW_SEAL))
    for texts in map(row_texts, rows):
        writer.writerow((*texts, _row_seal(texts)))
    return out.getvalue()


def _parse(kind: str, text: str) -> Any:
    if text == "" and "None" in kind:
        return None
    if kind.startswith("bool"):
        return text == "True"
    if kind.startswith("int"):
        return int(text)
    return float(text) if kind.startswith("float") else text


def read_review(path: Path) -> tuple[ReviewRow, ...]:
    """Read a review back. Raises Damaged naming file and line where it is not what was written."""
    kinds = [(field.name, str(field.type)) for field in fields(ReviewRow)]
    reader = csv.reader(io.StringIO(read_stored(path), newline=""))
    rows = []
    try:
        expected, found = [*COLUMNS, ROW_SEAL], next(reader, [])
        if found != expected:
            pairs = enumerate(zip_longest(expected, found, fillvalue="none"), 1)
            number, (wanted, there) = next(
                (number, pair) for number, pair in pairs if pair[0] != pair[1]
            )
            raise Damaged(
                str(path), f"column {number}: expected {wanted}, found {there[:40]!r}", "line 1"
            )
        for *texts, seal in reader:
            if len(texts) != len(COLUMNS) or _row_seal(texts) != seal:
                raise Damaged(
                    str(path),
                    f"its row does not have its {ROW_SEAL}: changed since",
                    f"line {reader.line_num}",
                )
            values = {
                name: _parse(kind, text) for (name, kind), text in zip(kinds, texts, strict=True)
            }
            rows.append(ReviewRow(**values))
    except (ValueError, csv.Error) as error:
        raise Damaged(str(path), f"not a review ({error})", f"line {reader.line_num}") from error
    return tuple(rows)
