"""The predecessor's `summary.csv`, made again: the same bytes if nothing is struck out.

How it writes the table, as its own copies show:
- Lines end in CRLF. A row has a `vl` field only if images were reviewed, so most rows are one field
  shorter than the header.
- `†` marks scores of the second round (`_rescored`). The speed beside them is the median of that
  review's speeds; elsewhere it is the run's mean. A speed of 0 is a timeout and does not count.
- Medians and percentages are rounded with halves up. The means that run files state are printed as
  Python prints them, so 9.95 is 9.9 and 16.75 is 16.8.
What physics strikes out here is not in the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from statistics import fmean, median

from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.legacy.rows import LegacyRow
from scripts.lib.legacy.runs import LegacyRun
from scripts.lib.legacy.values import half_up
from scripts.lib.tables.setups import SUMMARY_COLUMNS
from scripts.lib.tables.summary import SUITES, speculation_columns

# The values of K in the table if the archive's own copy shows none; 32 and 48 were measured later.
SHOWN_K = (4, 8, 16, 24)
_K = re.compile(r"\bk(\d{1,9}):[\d.]")


def shown_k(archives_own: str) -> tuple[int, ...]:
    """The values of K anywhere in the archive's own table, else the four of the first sweep."""
    return tuple(sorted({int(k) for k in _K.findall(archives_own)})) or SHOWN_K


def _mean_speed(run: LegacyRun) -> float:
    """The mean that the file states, else the mean of the answers' speeds; 0 without any."""
    return run.reported_tokens_per_s or (fmean(run.speeds) if run.speeds else 0.0)


def _base_speed(row: LegacyRow) -> str:
    if row.struck:
        return ""
    if row.review is not None and row.review.rescored and row.review.speeds:
        return half_up(median(row.review.speeds.values()), 1)
    # Without a base run the predecessor showed the speed of a mode.
    shown = row.base or next((way.run for way in row.ways if not way.struck), None)
    return f"{_mean_speed(shown):.1f}" if shown is not None else ""


def _fields(row: LegacyRow, shown: tuple[int, ...]) -> list[str]:
    passed, scored = row.total(SUITES)
    mark = "†" if row.review is not None and row.review.rescored else ""
    with_vl = SUITES if SUITES[-1] in row.passes else SUITES[:-1]
    runs = [way.run for way in row.ways if not way.struck and _mean_speed(way.run)]
    return [
        row.label,
        *row.shown_passes(with_vl, "-"),
        f"{passed}/{scored}",
        f"{half_up(100 * passed / scored if scored else 0.0, 0)}%{mark}",
        _base_speed(row),
        *speculation_columns(
            (run.mode, _mean_speed(run))
            for run in runs
            if run.mode.lookup_n is not None or run.mode.k in shown
        ),
    ]


def summary_csv(rows: Iterable[LegacyRow], shown: tuple[int, ...] = SHOWN_K) -> str:
    """The whole table."""
    return csv_text(SUMMARY_COLUMNS, (_fields(row, shown) for row in rows)).replace("\n", "\r\n")
