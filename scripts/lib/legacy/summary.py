"""The predecessor's `summary.csv`, made again from its runs and reviews, byte for byte where nothing is struck out.

Its habits, as its own copies show them: lines end in CRLF; a row has a `vl` field only where images
were reviewed, so most rows are one field shorter than the header; `†` marks scores of the second
round (`_rescored`), and the speed beside them is the median of that review's speeds, elsewhere the
run's mean; a speed of 0 is a timeout and no speed. Medians and percentages have halves rounded up;
the means that run files state are printed as Python prints them, so 9.95 is 9.9 and 16.75 is 16.8.
What physics strikes out here is left out of the row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median

from scripts.lib.base.untrusted_text import csv_value
from scripts.lib.legacy.rows import LegacyRow, Way
from scripts.lib.legacy.runs import LegacyRun
from scripts.lib.legacy.values import half_up
from scripts.lib.tables.setups import SUMMARY_COLUMNS
from scripts.lib.tables.summary import best_and_all, combination

SUITES = SUMMARY_COLUMNS[1:9]
# The sweep that the table shows where the archive's own copy shows no other; 32 and 48 were
# measured later.
SHOWN_K = (4, 8, 16, 24)
_K = re.compile(r"\bk(\d{1,9}):[\d.]")


def shown_k(archives_own: str) -> tuple[int, ...]:
    """The values of K that the archive's own table has anywhere, else the four of the first sweep."""
    return tuple(sorted({int(k) for k in _K.findall(archives_own)})) or SHOWN_K


def _mean_speed(run: LegacyRun) -> float:
    """The mean that the file itself states, as the predecessor's table shows it; without one that of the speeds above 0."""
    if run.reported_tokens_per_s:
        return run.reported_tokens_per_s
    speeds = [a.tokens_per_s for a in run.answers if a.tokens_per_s]
    return fmean(speeds) if speeds else 0.0


def _base_speed(row: LegacyRow) -> str:
    if row.struck:
        return ""
    if row.review is not None and row.review.rescored:
        speeds = [score.tokens_per_s for score in row.review.scores.values() if score.tokens_per_s]
        if speeds:
            return half_up(median(speeds), 1)
    # Without a base run the predecessor showed the speed of a mode there.
    shown = row.base or next((way.run for way in row.ways if not way.struck), None)
    return f"{_mean_speed(shown):.1f}" if shown is not None else ""


def _best_and_all(ways: Sequence[Way], name: Callable[[Way], str]) -> tuple[str, str]:
    return best_and_all([(name(way), _mean_speed(way.run)) for way in ways])


def _speculation(ways: Sequence[Way], shown: tuple[int, ...]) -> list[str]:
    """Draft, best speed and the sweep, of the draft that was fastest."""
    by_draft: dict[str, list[Way]] = {}
    for way in ways:
        mode = way.run.mode
        if mode is not None and mode.draft and mode.lookup_n is None and mode.k in shown:
            by_draft.setdefault(mode.draft, []).append(way)
    best = max(
        by_draft, key=lambda draft: max(_mean_speed(way.run) for way in by_draft[draft]), default=""
    )
    return [best, *_best_and_all(by_draft.get(best, []), lambda way: f"k{_mode(way, 'k')}")]


def _mode(way: Way, part: str) -> object:
    return getattr(way.run.mode, part)


def _fields(row: LegacyRow, shown: tuple[int, ...]) -> list[str]:
    ways = [way for way in row.ways if not way.struck and _mean_speed(way.run)]
    passed, scored = row.total(SUITES)
    suites = [
        "{}/{}".format(*row.passes[suite]) if suite in row.passes else "-" for suite in SUITES[:-1]
    ]
    if SUITES[-1] in row.passes:
        suites.append("{}/{}".format(*row.passes[SUITES[-1]]))
    mark = "†" if row.review is not None and row.review.rescored else ""
    total = [f"{passed}/{scored}", f"{half_up(100 * passed / scored if scored else 0.0, 0)}%{mark}"]
    lookup = [way for way in ways if _mode(way, "draft") is None]
    combined = sorted(
        (way for way in ways if _mode(way, "draft") and _mode(way, "lookup_n") is not None),
        key=_combination,
    )
    return [
        row.label, *suites, *total, _base_speed(row),
        *_speculation(ways, shown),
        *_best_and_all(lookup, lambda way: f"n{_mode(way, 'lookup_n')}"),
        *_best_and_all(combined, _combination),
    ]  # fmt: skip


def _combination(way: Way) -> str:
    assert way.run.mode is not None
    return combination(way.run.mode)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    # A model's name may begin as a formula does; no name of the predecessor's own is changed.
    csv.writer(out, lineterminator="\r\n").writerows(map(csv_value, row) for row in rows)
    return out.getvalue()


def summary_csv(rows: Iterable[LegacyRow], shown: tuple[int, ...] = SHOWN_K) -> str:
    """The whole table."""
    return _lines([SUMMARY_COLUMNS, *(_fields(row, shown) for row in rows)])
