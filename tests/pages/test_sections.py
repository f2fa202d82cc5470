"""Tables of RESULTS.md on speculation: sweeps, positions, speculators, verdicts, marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.layout import PAGES, RESULTS_PAGE
from scripts.lib.pages.results_page import results_page
from scripts.lib.pages.sections import evidence, quality, speed
from scripts.lib.planning.cell_record import Count
from scripts.lib.planning.modes import Mode
from tests.factories.table_rows import LOOKUP, part, row, way

BASE = row("m", 30)
HEAD = Mode("mtp_k4", mtp=True, k=4)
BOTH = Mode("mtp_k4_ngram_mod", mtp=True, k=4, ngram="ngram_mod")
DRAFT = Mode("spec_d_k8", draft="d", k=8)
POOL = Mode("ngram_mod", ngram="ngram_mod")
MAP = Mode("ngram_map_k", ngram="ngram_map_k")
POSITIONS = {"accepted_by_position": (80, 60, 40, 20), "accepted_tokens": 200}


def lines(table: str) -> list[list[str]]:
    """The cells of a pipe table, line by line, without the rule below its header."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return [rows[0], *rows[2:]] if rows else []


def by_drafting(table: str) -> dict[str, list[str]]:
    return {line[2]: line for line in lines(table)[1:]}


def test_heads_are_swept_over_k_and_lookup_beside_a_head_is_not_lookup_alone() -> None:
    beside = Mode("mtp_k2_lookup", mtp=True, k=2, lookup_n=3)
    made = part(BASE, *(way(BASE, mode, 15.0) for mode in (HEAD, BOTH, beside, DRAFT, LOOKUP)))
    sweep = speed.draft_sweep(made)
    assert lines(sweep)[0] == ["model", "base", "drafts by", "K = 2", "K = 4", "K = 8"]
    found = by_drafting(sweep)
    assert set(found) == {"`mtp`", "`mtp + ngram_mod`", "`mtp + lookup`", "`d`"}
    assert found["`mtp`"][3] == "–" and "1.50x" in found["`mtp`"][4]
    lookups = lines(speed.lookup_sweep(made))
    assert lookups[0][-1] == "n = 3" and [line[2] for line in lookups[1:]] == ["`lookup`"]


def test_n_gram_speculators_stand_side_by_side() -> None:
    reduced = Mode("moe6_ngram_mod", experts=6, ngram="ngram_mod")
    fewer = replace(BASE, mode=Mode("moe6", experts=6))
    ways = [way(BASE, POOL, 15.0), way(BASE, MAP, 20.0), way(fewer, reduced, 12.0)]
    table = lines(speed.ngram_table(part(BASE, fewer, *ways, way(BASE, BOTH, 15.0))))
    assert table[0] == ["model", "base", "drafts by", "`ngram_map_k`", "`ngram_mod`"]
    assert [line[1] for line in table[1:]] == ["`baseline`", "`moe6`"]
    assert "2.00x" in table[1][3] and "1.50x" in table[1][4]
    assert table[2][3] == "–" and "1.20x" in table[2][4]
    assert speed.ngram_table(part(BASE, way(BASE, LOOKUP, 15.0))) == ""


def test_acceptance_by_position_and_a_dash_where_it_is_not_known() -> None:
    told, old = way(BASE, DRAFT, 15.0, **POSITIONS), way(BASE, LOOKUP, 15.0)
    short = way(BASE, HEAD, 15.0, **POSITIONS)
    table = {
        line[1]: line[2:] for line in lines(speed.acceptance_table(part(BASE, told, old, short)))
    }
    assert table["mode"] == [*(f"position {n}" for n in (1, 2, 4, 8, 16)), "accepted length"]
    assert [cell.split(" (")[0] for cell in table["`spec_d_k8`"]] == [
        *("80 %", "60 %", "20 %", "0 %", "–"),
        "2.00",
    ]
    assert table["`mtp_k4`"][2].startswith("20 %") and table["`mtp_k4`"][3] == "–"
    assert table["`lookup_n3`"][:5] == ["–"] * 5 and table["`lookup_n3`"][5].startswith("3.00")
    assert "`baseline`" not in table


def test_what_each_speculator_did_is_told() -> None:
    counts = {"ngram_mod": Count(40, 2, 128, 60), "mtp": Count(38, 38, 152, 70)}
    both = way(BASE, BOTH, 15.0)
    both = replace(both, rows=(replace(both.rows[0], speculators=counts), *both.rows[1:]))
    assert lines(speed.speculators_table(part(BASE, both, way(BASE, HEAD, 15.0))))[1:] == [
        ["`m`", "`mtp_k4_ngram_mod`", "`ngram_mod`", "40", "2", "128", "60"],
        ["`m`", "`mtp_k4_ngram_mod`", "`mtp`", "38", "38", "152", "70"],
    ]


def test_a_sampled_answer_that_differs_is_counted_shown_and_has_no_gap() -> None:
    differs: dict[str, Any] = {"certificate": "differs", "divergence_token": 7}
    sampled = way(BASE, HEAD, 15.0)
    sampled = replace(sampled, rows=(replace(sampled.rows[0], **differs), *sampled.rows[1:]))
    made = part(BASE, sampled)
    assert speed.certificate(sampled) == "differs (1 of 16 differ)"
    assert "differs" in by_drafting(speed.draft_sweep(made))["`mtp`"][3]
    (line,) = lines(evidence.divergences(made))[1:]
    assert line[3:] == ["differs", "7", "–"]
    lossy = replace(sampled.rows[0], certificate="lossy")
    both = part(BASE, replace(sampled, rows=(sampled.rows[0], lossy)))
    assert [line[3:] for line in lines(evidence.divergences(both))[1:]] == [
        ["lossy", "7", "≥ 1"],
        ["differs", "7", "–"],
    ]
    assert made.way_of(BASE) is BASE, "it is not recommended"


LEAVE = "measured | on one machine"


@pytest.mark.parametrize(
    "shown",
    [
        speed.draft_sweep,
        speed.modes_table,
        speed.acceptance_table,
        speed.speculators_table,
        evidence.divergences,
        evidence.failures,
        quality.master_table,
        quality.recommendations,
        lambda made: quality.candidates_table(made.rankings[0]),
        lambda made: "\n".join(f"| {name} |" for name, _ in evidence.struck(made)),
    ],
)
def test_a_mode_that_needs_the_registrys_leave_is_marked_wherever_it_is_shown(shown: Any) -> None:
    made = way(BASE, HEAD, 30.0, **POSITIONS, speculators={"mtp": Count(9, 9, 36, 20)})
    tie = replace(made.rows[0], certificate="numeric tie", divergence_token=3)
    made = replace(made, rows=(tie, *made.rows[1:]))
    if shown is evidence.failures:
        made = replace(made, rows=(replace(tie, status="error", error="no"), *made.rows[1:]))
    if "struck" in shown.__code__.co_names:
        made = way(BASE, HEAD, 90.0)
    needs_none, needs_one = part(BASE, made), part(BASE, replace(made, leave=LEAVE))
    assert "`mtp" in shown(needs_none) and "†" not in shown(needs_none)
    assert "`†" in shown(needs_one)


def test_the_footnote_gives_each_reason_once() -> None:
    made = [replace(way(BASE, mode, 15.0), leave=LEAVE) for mode in (HEAD, POOL)]
    note = quality.leaves_of(part(BASE, *made))
    assert note == (
        "† Recurrent: speculates only because the registry allows it. "
        "`m`: measured \\| on one machine"
    )
    assert quality.leaves_of(part(BASE, way(BASE, HEAD, 15.0))) == ""
    page = results_page(Path(PAGES[RESULTS_PAGE]), [part(BASE, *made)])
    assert page.count(note) == 1 and page.count("`ngram_mod`†") >= 1
