"""The rows of a review, and their CSV file. Values are read back exactly as they were written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from scripts.lib.base.stored_json import Damaged, digest, read_stored
from scripts.lib.base.untrusted_text import formula_quoted, formula_unquoted
from scripts.lib.planning.cell_record import Count, Counts
from scripts.lib.results.symptoms import Symptom

# The last column of a stored review: the seal of its row.
ROW_SEAL, SEAL_CHARACTERS = "row_digest", 16
# The number of numbers in a speculator's count.
_COUNTED = len(astuple(Count()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One scored cell. Rates in tokens per second, times in seconds; texts are on one line.

    `score` is 0-3 (None: unscored), `coverage` the share of the criteria's weight that was scored.
    `scorer`, `score`, `passed`, `coverage`, `score_reason`, `series` and `verdict` are the leading
    scorer's. Each scorer also has a column of its own (`claude_score`, `checks_score`,
    `local_score`), which is empty if it was not asked or gave no score: scorers are never mixed
    in one column. `accepted_by_position` and `speculators`: see `Measurement`; empty also if the
    cell does not have them. `cell_sha256` and `base_sha256` are the seals of the cell and of the
    base's cell from which the row was made.
    """

    suite: str
    question_id: str
    tokens_per_second: float | None = None
    claude_score: int | None = None
    score_reason: str
    scorer: str
    score: int | None = None
    passed: bool | None = None
    coverage: float = 0.0
    checks_score: int | None = None
    local_score: int | None = None
    series: str = ""
    verdict: str = ""
    tier: int
    repeat: int
    status: str
    error: str = ""
    symptoms: tuple[Symptom, ...] = ()
    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    ttft_s: float | None = None
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    verify_steps: int = 0
    accepted_by_position: tuple[int, ...] = ()
    speculators: Counts = field(default_factory=dict, hash=False)
    load_s: float
    generation_s: float = 0.0
    peak_rss_bytes: int
    environment: str
    certificate: str = ""
    divergence_token: int | None = None
    divergence_gap_logits: float | None = None
    cell_file: str
    cell_sha256: str
    base_sha256: str = ""


class Column(NamedTuple):
    """Converters of a column: value to text, and text to value (raises ValueError)."""

    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _optional(column: Column) -> Column:
    return Column(
        lambda value: "" if value is None else column.write(value),
        lambda text: column.read(text) if text else None,
    )


def _read_truth(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(f"expected True or False, found {text[:40]!r}")
    return text == "True"


def _read_symptoms(text: str) -> tuple[Symptom, ...]:
    return tuple(map(Symptom, text.split("; "))) if text else ()


def _write_positions(counts: Iterable[int]) -> str:
    return " ".join(map(str, counts))


def _read_positions(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _write_counts(counts: Counts) -> str:
    """For example `lookup 12/4/30/20; mtp 8/8/16/9`: asked, drafts, drafted and accepted tokens."""
    return "; ".join(
        f"{name} {'/'.join(map(str, astuple(count)))}" for name, count in counts.items()
    )


def _read_counts(text: str) -> Counts:
    found: dict[str, Count] = {}
    for part in filter(None, text.split("; ")):
        name, _, figures = part.rpartition(" ")
        numbers = [int(figure) for figure in figures.split("/")]
        if not name or name in found or len(numbers) != _COUNTED:
            raise ValueError(f"expected a name and {_COUNTED} counts, found {part[:40]!r}")
        found[name] = Count(*numbers)
    return found


_TEXT = Column(formula_quoted, formula_unquoted)
_WHOLE, _NUMBER = Column(str, int), Column(str, float)
_WHOLE_OR_NONE, _NUMBER_OR_NONE = _optional(_WHOLE), _optional(_NUMBER)

# In the file's order; the predecessor's columns come first.
COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "suite": _TEXT,
        "question_id": _TEXT,
        "tokens_per_second": _NUMBER_OR_NONE,
        "claude_score": _WHOLE_OR_NONE,
        "score_reason": _TEXT,
        "scorer": _TEXT,
        "score": _WHOLE_OR_NONE,
        "passed": _optional(Column(str, _read_truth)),
        "coverage": _NUMBER,
        "checks_score": _WHOLE_OR_NONE,
        "local_score": _WHOLE_OR_NONE,
        "series": _TEXT,
        "verdict": _TEXT,
        "tier": _WHOLE,
        "repeat": _WHOLE,
        "status": _TEXT,
        "error": _TEXT,
        "symptoms": Column("; ".join, _read_symptoms),
        "finish_reason": _TEXT,
        "prompt_tokens": _WHOLE_OR_NONE,
        "completion_tokens": _WHOLE_OR_NONE,
        "ttft_s": _NUMBER_OR_NONE,
        "prefill_tokens_per_s": _NUMBER_OR_NONE,
        "decode_tokens_per_s": _NUMBER_OR_NONE,
        "drafted_tokens": _WHOLE,
        "accepted_tokens": _WHOLE,
        "verify_steps": _WHOLE,
        "accepted_by_position": Column(_write_positions, _read_positions),
        "speculators": Column(_write_counts, _read_counts),
        "load_s": _NUMBER,
        "generation_s": _NUMBER,
        "peak_rss_bytes": _WHOLE,
        "environment": _TEXT,
        "certificate": _TEXT,
        "divergence_token": _WHOLE_OR_NONE,
        "divergence_gap_logits": _NUMBER_OR_NONE,
        "cell_file": _TEXT,
        "cell_sha256": _TEXT,
        "base_sha256": _TEXT,
    }
)
HEADER = [*COLUMNS, ROW_SEAL]


def _row_seal(texts: Sequence[str]) -> str:
    return digest(list(texts), SEAL_CHARACTERS)


def to_csv(rows: Iterable[ReviewRow]) -> str:
    """The review as CSV text, one line per row, each with its seal."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        texts = [column.write(getattr(row, name)) for name, column in COLUMNS.items()]
        writer.writerow([*texts, _row_seal(texts)])
    return out.getvalue()


def _check_header(found: Sequence[str], path: Path) -> None:
    pairs = zip_longest(HEADER, found, fillvalue="none")
    for number, (expected, there) in enumerate(pairs, start=1):
        if expected != there:
            problem = f"column {number}: expected {expected}, found {there[:40]!r}"
            raise Damaged(str(path), problem, "line 1")


def read_review(path: Path) -> tuple[ReviewRow, ...]:
    """Read a review back. Raises Damaged, with file and line, if it was changed."""
    reader = csv.reader(io.StringIO(read_stored(path), newline=""))
    rows = []
    try:
        _check_header(next(reader, []), path)
        for *texts, seal in reader:
            place = f"line {reader.line_num}"
            if len(texts) != len(COLUMNS) or _row_seal(texts) != seal:
                problem = f"its row does not have its {ROW_SEAL}: changed since"
                raise Damaged(str(path), problem, place)
            columns = zip(COLUMNS.items(), texts, strict=True)
            values: dict[str, Any] = {name: c.read(text) for (name, c), text in columns}
            rows.append(ReviewRow(**values))
    except (ValueError, csv.Error) as error:
        raise Damaged(str(path), f"not a review ({error})", f"line {reader.line_num}") from error
    return tuple(rows)
