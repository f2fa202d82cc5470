"""The predecessor's review files: `suite,question_id,tokens_per_second,claude_score,score_reason`.

They were made by hand, so their form varies; the shortest has neither suite nor speed
(`question_id,score,reason`). `attach` finds the run that a review scores.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from scripts.lib.legacy.values import number, speed, suite_name, text

SUITE, QUESTION, SPEED = "suite", "question_id", "tokens_per_second"
SCORE, REASON = "claude_score", "score_reason"
# The columns that a review begins with. The reason is the last one, so unquoted commas in it do no
# harm.
FORMS = (
    (SUITE, QUESTION, SPEED, SCORE, REASON),
    (SUITE, QUESTION, SCORE, REASON),
    (QUESTION, SCORE, REASON),
)
OTHER_NAMES = {"score": SCORE, "reason": REASON}
RESCORED = "_rescored"
BEST, PASS = 3, 2
# Another row begins inside a field: a quote was opened and never closed.
_SWALLOWED = re.compile(r"\n[a-z]\w*,t\d\w*,")

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LegacyScore:
    """One judged answer: 0-3, the reason, and the tokens per second copied into the review."""

    score: int
    reason: str
    tokens_per_s: float | None

    @property
    def passed(self) -> bool:
        """The predecessor's rule: a pass is a score of 2 or 3."""
        return self.score >= PASS


@dataclass(frozen=True, slots=True)
class LegacyReview:
    """The scores of one run file, by (suite, question).

    `rescored`: of the second, stricter round. In a file without suites the suite is `""` until its
    run is found. `run`: that run's source, or empty.
    """

    source: str
    name: str
    rescored: bool
    scores: Mapping[Key, LegacyScore] = field(default_factory=dict)
    run: str = ""

    @property
    def speeds(self) -> dict[Key, float]:
        """The tokens per second above 0; every run can have the 0 of a timeout."""
        return {key: s.tokens_per_s for key, s in self.scores.items() if s.tokens_per_s}


def columns_of(content: str) -> tuple[str, ...]:
    """The column names of a CSV file, in lower case and as they are spelt here."""
    names = (name.strip().strip('"').lower() for name in content.split("\n", 1)[0].split(","))
    return tuple(OTHER_NAMES.get(name, name) for name in names)


def _form(content: str) -> tuple[str, ...] | None:
    columns = columns_of(content)
    return next((form for form in FORMS if columns[: len(form)] == form), None)


def is_review(source: str, content: str) -> bool:
    """True for a CSV file that begins with a review's columns."""
    return source.endswith(".csv") and _form(content) is not None


def _row(
    fields: list[str], form: tuple[str, ...], known: Mapping[Key, LegacyScore]
) -> tuple[Key, LegacyScore] | str:
    """A line as (key, score), or why it has none. A reason split at its commas is joined again."""
    before = form[:-1]
    if len(fields) < len(before):
        return f"expected {len(form)} fields: found {len(fields)}"
    values = dict(zip(before, (part.strip() for part in fields), strict=False))
    key = suite_name(values.get(SUITE, "")), values[QUESTION]
    place, score = "/".join(filter(None, key)), number(values[SCORE])
    if score is None or score not in range(BEST + 1):
        return f"expected a score from 0 to 3: {place} has '{values[SCORE][:40]}'"
    reason = text(",".join(fields[len(before) :]))
    found = LegacyScore(int(score), reason, speed(values.get(SPEED)))
    if key not in known:
        return key, found
    differs = "" if known[key] == found else " with another value, the first one is used"
    return f"appears twice{differs}: {place}"


def _lines(content: str) -> tuple[list[tuple[int, list[str]]], str]:
    """(line number, fields) of each row, and what is wrong with the quotes.

    If something is, every line is read by itself.
    """
    reader, rows, wrong = csv.reader(io.StringIO(content, newline="")), [], ""
    # The module's limit of 131,072 characters per field is one for the whole process.
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, len(content)))
    try:
        rows = [(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        wrong = f"not CSV ({error})"
    finally:
        csv.field_size_limit(limit)
    if any(_SWALLOWED.search(part) for _, fields in rows for part in fields):
        wrong = "has an unclosed quote"
    if wrong:
        rows = [(place, line.split(",")) for place, line in enumerate(content.splitlines(), 1)]
    return rows, wrong


def read_review(source: str, content: str) -> tuple[LegacyReview, list[tuple[str, str]]]:
    """A review (see `is_review`), and (place, reason) of every line that gave no score."""
    stem, form = PurePosixPath(source).stem, _form(content)
    scores: dict[Key, LegacyScore] = {}
    rows, wrong = _lines(content.replace("\x00", "�"))
    assert form is not None
    odd = [("", f"{wrong}: read line by line")] if wrong else []
    for place, fields in rows[1:]:
        if any(part.strip() for part in fields):
            row = _row(fields, form, scores)
            if isinstance(row, str):
                odd.append((f"line {place}", row))
            else:
                scores[row[0]] = row[1]
    return LegacyReview(source, stem.removesuffix(RESCORED), stem.endswith(RESCORED), scores), odd
