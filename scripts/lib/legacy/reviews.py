"""The predecessor's review files: `suite,question_id,tokens_per_second,claude_score,score_reason`, hand-made and uneven.

A shorter form names neither suite nor speed: `question_id,score,reason`. Whose scores a file holds
`attach` tells.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from scripts.lib.legacy.values import number, speed, suite_name, text

SUITE, QUESTION, SPEED, SCORE, REASON = (
    "suite",
    "question_id",
    "tokens_per_second",
    "claude_score",
    "score_reason",
)
# The columns that a review begins with; the reason stands last, so that its unquoted commas do no
# harm.
FORMS = (
    (SUITE, QUESTION, SPEED, SCORE, REASON),
    (SUITE, QUESTION, SCORE, REASON),
    (QUESTION, SCORE, REASON),
)
OTHER_NAMES = {"score": SCORE, "reason": REASON}
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
    """The scores of one run file, by (suite, question). `rescored`: of the second, stricter round.

    A file that names no suite has the suite `""` until its run is found. `run`: that run's source;
    empty where it has none.
    """

    source: str
    name: str
    rescored: bool
    scores: Mapping[tuple[str, str], LegacyScore] = field(default_factory=dict)
    run: str = ""


def columns_of(content: str) -> tuple[str, ...]:
    """The names in a CSV file's first line, in small letters and under the names that are used here."""
    names = (name.strip().strip('"').lower() for name in content.split("\n", 1)[0].split(","))
    return tuple(OTHER_NAMES.get(name, name) for name in names)


def _form(content: str) -> tuple[str, ...] | None:
    columns = columns_of(content)
    return next((form for form in FORMS if columns[: len(form)] == form), None)


def is_review(source: str, content: str) -> bool:
    """True for a CSV file that begins with a review's columns."""
    return source.endswith(".csv") and _form(content) is not None


def _row(
    fields: list[str], form: tuple[str, ...], known: Mapping[tuple[str, str], LegacyScore]
) -> tuple[tuple[str, str], LegacyScore] | str:
    """A line as (key, score), or why it is none. A reason with commas that nobody quoted is put together again."""
    before = form[:-1]
    if len(fields) < len(before):
        return f"expected {len(form)} fields: found {len(fields)}"
    said = dict(zip(before, (part.strip() for part in fields), strict=False))
    key = suite_name(said.get(SUITE, "")), said[QUESTION]
    score = number(said[SCORE])
    if score is None or score not in range(BEST + 1):
        return (
            f"expected a score from 0 to 3: {'/'.join(filter(None, key))} has '{said[SCORE][:40]}'"
        )
    found = LegacyScore(int(score), text(",".join(fields[len(before) :])), speed(said.get(SPEED)))
    if key in known:
        same = known[key] == found
        return f"is there twice{'' if same else ' and differs, the first one counts'}: {'/'.join(filter(None, key))}"
    return key, found


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
    form = _form(content)
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
