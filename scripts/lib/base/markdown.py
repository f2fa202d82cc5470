"""Parts of Markdown pages: untrusted text, numbers with their intervals, tables, links."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tabulate import tabulate

from scripts.lib.base.untrusted_text import one_line

if TYPE_CHECKING:
    # Its libraries take most of a second to load, and every shard writes a summary.
    from scripts.lib.base.estimates import Estimate

DASH = "–"
# From docs/reference/benchmarks/ (and models/) to the checkout's root.
TO_ROOT = "../../.."
_MARKS = re.compile(r"([\\`*_\[\]|~$#])")
# At the beginning of a list's entry these would start another list; a number like 51.35 does not.
_LIST_MARK = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=]))")
_AUTOLINK = re.compile(r"(://|www\.)", re.IGNORECASE)
# GitHub turns addresses into links, and @names into notifications, after it has removed
# backslashes: only inline code prevents this for an @.
_AT = re.compile(r"(@+)")


def text(value: object) -> str:
    """Untrusted text, escaped: one line without HTML, links, headings, lists or formulas."""
    line = html.escape(one_line(value), quote=False)
    line = _AT.sub(r"`\1`", _LIST_MARK.sub(r"\1\\", _MARKS.sub(r"\\\1", line)))
    return _AUTOLINK.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], line)


def code(value: object) -> str:
    """Untrusted text as inline code."""
    line = one_line(value).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def quoted(value: object, limit: int = 200) -> str:
    """The first `limit` characters of untrusted prose, as inline code."""
    line = one_line(value)
    return code(line if len(line) <= limit else f"{line[:limit]}…")


def link(shown: str, path: str) -> str:
    """A link from a page to a file or folder of the checkout; `shown` is Markdown already."""
    return f"[{shown}]({TO_ROOT}/{quote(path, errors='replace')})"


def number(value: float | None, digits: int = 1) -> str:
    """A number with `digits` decimals, or a dash."""
    return DASH if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share as a whole percentage, or a dash."""
    return DASH if value is None else f"{100 * value:.0f} %"


def gibibytes(value: float) -> str:
    """Bytes in GiB with two decimals, without the unit."""
    return f"{value / 2**30:.2f}"


def estimate(value: Estimate | None, digits: int = 1, unit: str = "", with_n: bool = False) -> str:
    """`158.8 (150.2–163.0)`; without an interval, with the number of questions: `158.8 (n=3)`."""
    if value is None:
        return DASH
    inside = (
        []
        if value.low is None or value.high is None
        else [f"{value.low:.{digits}f}–{value.high:.{digits}f}"]
    )
    if with_n or not inside:
        inside.append(f"n={value.clusters}")
    return f"{value.value:.{digits}f}{unit} ({', '.join(inside)})"


def share(value: Estimate | None, with_n: bool = False) -> str:
    """A median of shares, or a share of a median, in percent with its interval: `60 % (55–64)`."""
    return estimate(None if value is None else value.scaled(100), 0, " %", with_n)


def rate(value: Estimate | None) -> str:
    """A share with its interval, in percent: `21 % (8–40)`."""
    if value is None:
        return DASH
    low, high = (0.0 if end is None else 100 * end for end in (value.low, value.high))
    return f"{100 * value.value:.0f} % ({low:.0f}–{high:.0f})"


def points(value: Estimate) -> str:
    """A difference of two shares in percentage points: `-4 points (-17 to +8)`."""
    low, high = (0.0 if end is None else 100 * end for end in (value.low, value.high))
    return f"{100 * value.value:+.0f} points ({low:+.0f} to {high:+.0f})"


def p_value(value: float) -> str:
    """A p-value with two significant digits, or `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def table(rows: Iterable[Sequence[object]], headers: Sequence[str]) -> str:
    """A pipe table, empty without rows; the cells must be Markdown already.

    Columns are not padded: a single long cell would change every line, and double the page's size.
    """
    found = list(rows)
    if not found:
        return ""
    lines = re.sub(
        r" {2,}", " ", tabulate(found, headers, tablefmt="pipe", disable_numparse=True)
    ).split("\n")
    lines[1] = re.sub(r"-{3,}", "---", lines[1])
    return "\n".join(lines)


def limited(rows: Sequence[Sequence[object]], headers: Sequence[str], most: int, rest: Path) -> str:
    """A table of at most `most` rows; a last line counts the others and names their file."""
    shown = table(rows[:most], headers)
    return (
        shown
        if len(rows) <= most
        else f"{shown}\n\nAnd {len(rows) - most} more: `{rest}` has them."
    )
