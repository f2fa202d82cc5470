"""Checks reviews against the cells from which they were made: usable rows, and damage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.errors import Problem
from scripts.lib.base.stored_json import Damaged
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.plan import Cell, Shard
from scripts.lib.results.review import QuestionKey, Review, question_key
from scripts.lib.results.review_rows import ReviewRow, read_review


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged record, and the review that must be made again because of it (empty: none)."""

    problem: Problem
    review: str = ""


@dataclass(frozen=True, slots=True)
class SeenCell:
    """The seal of a stored cell, and its shard's warm-up in seconds."""

    sha256: str
    warm_up_s: float


class StoredCells:
    """Reads stored cells, each file once: a base's cell is used by several reviews."""

    def __init__(self) -> None:
        self._seen: dict[str, SeenCell | Damaged | None] = {}

    def look(self, file: str) -> SeenCell | Damaged | None:
        """The cell in that file; Damaged for a damaged one, None if there is no file."""
        if file not in self._seen:
            self._seen[file] = _look(Path(file))
        return self._seen[file]


def _look(file: Path) -> SeenCell | Damaged | None:
    try:
        record = read_cell(file)
    except FileNotFoundError:
        return None
    except Damaged as damage:
        return damage
    return SeenCell(record.sha256, record.warm_up_s)


@dataclass(frozen=True, slots=True)
class CheckedReview:
    """The usable rows of a review, the shard's warm-up in seconds, and what is damaged."""

    rows: tuple[ReviewRow, ...]
    warm_up_s: float | None
    damaged: tuple[Damage, ...]


def _files(shard: Shard | None, cells: Iterable[Cell]) -> dict[str, Cell]:
    return {f"{shard.folder}/{cell.file_name}": cell for cell in cells} if shard is not None else {}


@dataclass(frozen=True, slots=True)
class _Planned:
    """The sources of a review: its cells by file, and the base's cell files by question."""

    cells: Mapping[str, Cell]
    bases: Mapping[QuestionKey, str]

    @classmethod
    def of(cls, review: Review) -> _Planned:
        bases = _files(review.base, review.base_cells)
        by_question = {question_key(cell): file for file, cell in bases.items()}
        return cls(_files(review.shard, review.cells), by_question)


def _wrong(
    row: ReviewRow, planned: _Planned, review: Review, cells: StoredCells
) -> Iterator[Problem]:
    """Why a row is not usable: its cell, or the base's, is damaged or was replaced."""
    identity = (row.suite, row.question_id, row.repeat)
    if row.cell_file not in planned.cells or question_key(planned.cells[row.cell_file]) != identity:
        problem = "damaged: the row belongs to no cell of this review"
        yield Problem(review.file, row.cell_file, problem)
        return
    base_file = planned.bases.get(identity, "")
    for file, seal in ((row.cell_file, row.cell_sha256), (base_file, row.base_sha256)):
        found = cells.look(file) if seal else None
        if isinstance(found, Damaged):
            yield found.problem
        elif seal and (found is None or found.sha256 != seal):
            yield Problem(review.file, file, "damaged: the cell is not the one that was reviewed")


def check_review(review: Review, cells: StoredCells) -> CheckedReview:
    """Read a stored review and check it against its cells. Damage is returned, not raised."""
    try:
        rows = read_review(Path(review.file))
    except Damaged as damage:
        return CheckedReview((), None, (Damage(damage.problem, review.file),))
    planned = _Planned.of(review)
    kept: dict[str, ReviewRow] = {}
    problems: list[Problem] = []
    for row in rows:
        wrong = list(_wrong(row, planned, review, cells))
        if row.cell_file in kept:
            wrong.append(Problem(review.file, row.cell_file, "damaged: the cell has two rows"))
        problems += wrong
        if not wrong:
            kept[row.cell_file] = row
    shown = {row.cell_file for row in rows}
    for file in planned.cells:
        found = cells.look(file) if file not in shown else None
        if isinstance(found, Damaged):
            problems.append(found.problem)
        elif found is not None:
            problems.append(Problem(review.file, file, "damaged: the cell has no row"))
    seen = (cells.look(file) for file in kept)
    warm_up = next((cell.warm_up_s for cell in seen if isinstance(cell, SeenCell)), None)
    damaged = tuple(Damage(problem, review.file) for problem in dict.fromkeys(problems))
    return CheckedReview(tuple(kept.values()), warm_up, damaged)
