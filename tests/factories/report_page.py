"""What a reader does on report.html, and what is seen there."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

from tests.factories.browser import Page

# Tables are narrowed, and numbers taken, a moment after the last change.
SETTLED_MS = 200


def choose(page: Page, select: str, words: str) -> None:
    """Choose the option of that text, as a user would."""
    done = page.evaluate(
        f"(() => {{ const s = document.getElementById({json.dumps(select)});"
        f" const o = [...s.options].find((x) => x.textContent === {json.dumps(words)});"
        " if (!o) return false; s.value = o.value;"
        " s.dispatchEvent(new Event('change')); return true })()"
    )
    assert done, f"{select} has no option {words!r}"


def texts(page: Page, selector: str) -> list[str]:
    """The text of each element that a CSS selector finds."""
    found: list[str] = page.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((x) => x.textContent)"
    )
    return found


def column(page: Page, table: str, number: int) -> list[str]:
    """The cells of a table's column, counted from 1."""
    return texts(page, f"#{table} tbody tr > :nth-child({number})")


def wait_for_answers(page: Page) -> None:
    """Wait until the page has unpacked its answers."""
    page.evaluate("REPORT.answersReady")


def settle(page: Page) -> None:
    """Wait until the page has followed the last change."""
    page.evaluate(f"new Promise((done) => setTimeout(done, {SETTLED_MS}))")


def type_into(page: Page, field: str, words: str) -> None:
    """Put the focus into a field and type."""
    page.evaluate(f"document.getElementById({json.dumps(field)}).focus()")
    page.send("Input.insertText", text=words)
    settle(page)


def open_link(page: Page, **state: str | list[str]) -> None:
    """Load the page anew by a link with this state."""
    address = page.evaluate("location.pathname")
    # Without it, only the fragment would change, and the page would not be loaded.
    page.send("Page.navigate", url="about:blank")
    page.open(Path(address), urlencode(state, doseq=True))
    wait_for_answers(page)
    settle(page)
