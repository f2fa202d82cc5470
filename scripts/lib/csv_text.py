"""Foreign text (answers, prompts, names) as CSV that a spreadsheet, pandas and UTF-8 can all take."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from scripts.lib.review import csv_value


def encodable(text: str) -> str:
    """The text with what UTF-8 cannot hold (lone surrogates, which JSON and file names may bring) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A header and rows, formulas made text, one line a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([encodable(csv_value(value)) for value in row] for row in rows)
    return out.getvalue()
