"""Foreign text (answers, prompts, engines' words, registry entries) made harmless for the place where it is shown."""

from __future__ import annotations

import json

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# A spreadsheet runs a text that begins with one of these (or its full-width twin) as a formula.
_FORMULA_STARTS = tuple("=+-@" + "＝＋－＠")


def printable(value: object, keep: str = "") -> str:
    """Control, bidirectional and other invisible characters, and halves of surrogate pairs, become a replacement character.

    `keep` names those that stay. What a terminal, a diff or a page shows is then what the text says.
    """
    return "".join(c if c.isprintable() or c in keep else REPLACEMENT for c in str(value))


def one_line(value: object) -> str:
    """Printable text on one line, white space collapsed."""
    return printable(" ".join(str(value).split()))


def terminal_text(value: object) -> str:
    """Text for a terminal: lines and tabs stay, escape sequences do not."""
    return printable(value, keep="\n\t")


def csv_text(value: object) -> str:
    """A CSV field's text: empty for None, one line, never a spreadsheet's formula. Numbers stay as they are."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    line = one_line(value)
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line


def json_in_html(value: object) -> str:
    """JSON that can stand inside a `<script>` element: it cannot end the element, nor begin a comment in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    # UTF-8 has no halves of surrogate pairs.
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
