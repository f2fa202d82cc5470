"""Fidelity on the pages: the section of RESULTS.md, the picture, the report's rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.lib.base.layout import PAGES, RESULTS_PAGE
from scripts.lib.pages.pictures import draw
from scripts.lib.pages.results_page import results_page
from scripts.lib.planning.left_out import LeftOut
from tests.factories.table_rows import part, row
from tests.tables.test_fidelity import fidelity, spread


def page(*, measured: bool = True) -> str:
    setup = row("q8", 30)
    made = part(setup)
    if measured:
        found = (fidelity("q8", spread(0.01), setup=setup), fidelity("q4", spread(0.05)))
        why = LeftOut("f16", "baseline", "no entry of the same model has larger weights")
        made = replace(made, fidelities=found, fidelity_left_out=(why,))
    return results_page(Path(PAGES[RESULTS_PAGE]), [made])


def test_the_page_shows_divergences_pairs_and_what_is_left_out() -> None:
    shown = page()
    assert "### Fidelity" in shown and "-fidelity.svg" in shown
    assert "| `q8` | Q4\\_K\\_M | `baseline` | `f16` `baseline` | 1.00 | 10." in shown
    assert "`q4` `baseline` | `q8` `baseline` | 5.00x" in shown
    assert "no entry of the same model has larger weights" in shown


def test_without_comparisons_there_is_no_section() -> None:
    assert "Fidelity" not in page(measured=False)


def test_the_picture_has_both_fronts_and_is_empty_without_a_divergence() -> None:
    setup = row("q8", 30)
    found = (fidelity("q8", spread(0.01), setup=setup), fidelity("q4", spread(0.05)))
    drawn = draw("fidelity", replace(part(setup), fidelities=found))
    for words in ("GB of weights", "decode tokens/s", "nats per token", "q8 baseline"):
        assert words in drawn
    assert "no divergence was measured" in draw("fidelity", part(setup))
