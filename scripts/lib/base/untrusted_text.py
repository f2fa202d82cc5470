"""Untrusted text (answers, prompts, engine output, registry names) made safe to show."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# A message may have several lines. Other unprintable characters could control a terminal.
TERMINAL_KEEPS = "\n\t"
# A spreadsheet runs text that begins with one of these marks as a formula. A mark alone is not a
# formula: `-` is the predecessor's "not asked".
_MARKS = "[=+\\-@＝＋－＠\t\r]"
_TO_QUOTE = re.compile(f"'+{_MARKS}|{_MARKS}.", re.DOTALL)
_QUOTED = re.compile(f"'+{_MARKS}")
# HTML's special characters, control characters, marks of direction and width, and half surrogate
# pairs. (JSON has already escaped the control characters below the space.)
_ESCAPED_IN_HTML = re.compile(
    "[<>&\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)


def valid_text(text: str) -> str:
    """Text that can be written as UTF-8: surrogate pairs are joined, lone halves replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def valid_texts(value: Any) -> Any:
    """A JSON value with `valid_text` applied to every text and key in it."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, list):
        return [valid_texts(item) for item in value]
    if isinstance(value, dict):
        return {valid_texts(key): valid_texts(item) for key, item in value.items()}
    return value


def printable(value: object, keep: str = "") -> str:
    """Text with escapes, controls, direction marks and other invisible characters replaced.

    Characters in `keep` stay. A terminal or a page then shows what the text really says.
    """
    text = str(value)
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() or c in keep else REPLACEMENT for c in text)
    )


def one_line(value: object) -> str:
    """Printable text on one line with white space collapsed."""
    return printable(" ".join(str(value).split()))


def formula_quoted(text: str) -> str:
    """The text with a `'` before it if a spreadsheet would run it as a formula.

    Text that begins with quotes and a mark gets one more quote, so that `formula_unquoted` gives
    back every text.
    """
    return f"'{text}" if _TO_QUOTE.match(text) else text


def formula_unquoted(text: str) -> str:
    """The text that `formula_quoted` was given."""
    return text[1:] if _QUOTED.match(text) else text


def csv_value(value: object) -> str:
    """A value as the text of a CSV field: empty for None, one line, never a formula."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return formula_quoted(one_line(value))


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A header and rows as CSV, one line per row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(csv_value, row) for row in rows)
    return out.getvalue()


def json_in_html(value: object) -> str:
    """JSON for the inside of a `<script>` element: it cannot end the element.

    Invisible characters are escaped, too, so that an editor or a terminal shows the page's source
    as it is.
    """
    made = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _ESCAPED_IN_HTML.sub(lambda found: f"\\u{ord(found[0]):04x}", made)
