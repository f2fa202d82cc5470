"""axe-core finds nothing serious in report.html, in any state that a reader reaches."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.factories.browser import Page
from tests.factories.report_page import open_link

pytestmark = pytest.mark.slow

AXE = Path("tests/data/axe/axe.min.js")
STATES: dict[str, dict[str, str | list[str]]] = {
    "first": {},
    "selected": {"role": "general", "pick": ["small/baseline"], "workload": "prose"},
    "setup": {"setup": "big_dense/spec_little_draft_k4"},
    "nothing fits": {"least": "9000"},
}


def findings(page: Page) -> list[str]:
    """The serious findings of axe-core, each with the elements that it is about."""
    page.evaluate(AXE.read_text(encoding="utf-8") + "; true")
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then((x) => x.violations.map((v) => ({"
        "id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 160))"
        "})))"
    )
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {one['nodes']}" for one in serious]


def test_axe_is_the_file_that_its_sum_names() -> None:
    expected = AXE.with_name("SHA256SUMS").read_text(encoding="utf-8").split()[0]
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == expected


@pytest.mark.parametrize(
    ("state", "scheme"), [*((state, "light") for state in STATES), ("setup", "dark")]
)
def test_axe_finds_nothing_serious(page: Page, state: str, scheme: str) -> None:
    page.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    open_link(page, **STATES[state])
    assert findings(page) == []


def test_axe_sees_a_fault_where_there_is_one(page: Page) -> None:
    page.evaluate("document.querySelector('label[for=choice-role]').remove()")
    assert any("choice-role" in found for found in findings(page))
