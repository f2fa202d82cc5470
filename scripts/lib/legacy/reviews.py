"""The predecessor's review files: `suite,question_id,tokens_per_second,claude_score,score_reason`, hand-made and uneven."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from scripts.lib.legacy.runs import number, text

COLUMNS = ("suite", "question_id", "tokens_per_second", "claude_score", "score_reason")
RESCORED = "_rescored"
BEST, PASS = 3, 2
# The beginning of another row inside a field: a quote was opened and never closed.
_SWALLOWED = re.compile(r"\n[a-z]\w*,t\d\w*,")


@dataclass(frozen=True, slots=True)
class LegacyScore:
    """One judged answer: 0-3, the reason, and the speed (tokens per second) that was copied into the review."""

    score: int
    reason: str
    tokens_per_s: float | None

    @property
    def passed(self) -> bool:
        """The predecessor's rule: a pass is a score of 2 or 3."""
        return self.score >= PASS


@dataclass(frozen=True, slots=True)
class LegacyReview:
    """The scores of one run file, by (suite, question). `rescored`: of the second, stricter round."""

    source: str
    name: str
    rescored: bool
    scores: Mapping[tuple[str, str], LegacyScore] = field(default_factory=dict)


def is_review(source: str, content: str) -> bool:
    """True for a CSV file that begins with a review's columns."""
    header = content.split("\n", 1)[0].strip().lower().split(",")
    return source.endswith(".csv") and tuple(header[: len(COLUMNS)]) == COLUMNS


def _row(fields: list[str], known: Mapping[tuple[str, str], LegacyScore]) -> tuple[tuple[str, str], LegacyScore] | str:
    """A line as (key, score), or why it is none. A reason with commas that nobody quoted is put together again."""
    if len(fields) < len(COLUMNS) - 1:
        return f"expected {len(COLUMNS)} fields: found {len(fields)}"
    suite, question, speed, given = (part.strip() for part in fields[:4])
    score = number(given)
    if score is None or score not in range(BEST + 1):
        return f"expected a score from 0 to 3: {suite}/{question} has '{given[:40]}'"
    found = LegacyScore(int(score), text(",".join(fields[4:])), number(speed))
    if (suite, question) in known:
        same = known[(suite, question)] == found
        return f"is there twice{'' if same else ' and differs, the first one counts'}: {suite}/{question}"
    return (suite, question), found


@contextmanager
def _fields_up_to(characters: int) -> Iterator[None]:
    """Let the csv module read fields of that length; its own limit of 131,072 characters is one for the whole process."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, characters))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _lines(content: str) -> tuple[list[tuple[int, list[str]]], str]:
    """(line number, fields) of each row, and what was wrong with the quotes: then every line is read by itself."""
    reader, rows, wrong = csv.reader(io.StringIO(content, newline="")), [], ""
    try:
        with _fields_up_to(len(content)):
            rows = [(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        wrong = f"is not CSV ({error})"
    if any(_SWALLOWED.search(part) for _, fields in rows for part in fields):
        wrong = "has an unclosed quote"
    if wrong:
        rows = [(place, line.split(",")) for place, line in enumerate(content.splitlines(), 1)]
    return rows, wrong


def read_review(source: str, content: str) -> tuple[LegacyReview, list[tuple[str, str]]]:
    """A review file's content (see `is_review`), and (place, reason) of every line that gave no score."""
    stem = PurePosixPath(source).stem
    scores: dict[tuple[str, str], LegacyScore] = {}
    rows, wrong = _lines(content.replace("\x00", "�"))
    odd = [("", f"{wrong}: read line by line")] if wrong else []
    for place, fields in rows[1:]:
        if any(part.strip() for part in fields):
            row = _row(fields, scores)
            if isinstance(row, str):
                odd.append((f"line {place}", row))
            else:
                scores[row[0]] = row[1]
    return LegacyReview(source, stem.removesuffix(RESCORED), stem.endswith(RESCORED), scores), odd
