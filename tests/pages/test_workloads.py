"""RESULTS.md on workloads: tables of speeds, and the words of a recommendation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.lib.base.layout import PAGES, RESULTS_PAGE
from scripts.lib.pages.results_page import results_page
from scripts.lib.pages.sections import evidence, quality, workloads
from scripts.lib.planning.modes import Mode
from scripts.lib.results.symptoms import Symptom
from scripts.lib.tables.setups import Setup
from tests.factories.table_rows import LOOKUP, on_workloads, part, row, way

POOL = Mode("ngram_mod", ngram="ngram_mod")
SAME = {name: [10.0] * 3 for name in ("code_editing", "prose", "chat")}
PLAIN = row("m", 30)
BASE = on_workloads(PLAIN, SAME)
MIXED = {"code_editing": [19.0, 20.0, 21.0], "prose": [7.0, 7.1, 7.2], "chat": [9.0, 10.0, 11.5]}
MIXED_WORDS = (
    "`lookup_n3`: 2.00x on code editing (1.76–2.26, n=3); "
    "slower: 0.71x on prose (0.69–0.74, n=3); no gain shown on chat."
)


def lookup(speeds: dict[str, list[float]], mode: Mode = LOOKUP, **changes: object) -> Setup:
    return on_workloads(way(PLAIN, mode, 10.0), speeds, BASE, **changes)


def lines(table: str) -> list[list[str]]:
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [found[0], *found[2:]] if found else []


def recommended(*setups: Setup) -> list[str]:
    """The line of the only role."""
    header, line = lines(quality.recommendations(part(*setups)))
    assert header[-1] == "speed by workload"
    return line


def test_speeds_stand_by_workload_and_over_all() -> None:
    made = part(BASE, lookup(MIXED))
    head, base, way_of = lines(workloads.decode_table(made))
    assert head == ["model", "mode", "all", "code editing", "prose", "chat", "note"]
    assert base[:4] == ["`m`", "`baseline`", "10.0 (10.0–10.0)", "10.0 (10.0–10.0)"]
    assert way_of[1:5] == ["`lookup_n3`", "10.0 (7.1–19.8)", "20.0 (17.6–22.6)", "7.1 (6.9–7.4)"]
    (_, ups) = lines(workloads.speed_up_table(made))
    assert ups[3] == "**2.00x (1.76–2.26, n=3)**" and ups[5].startswith("1.00x (")
    assert ups[2].startswith("1.00x ("), "over all: no proved gain"


def test_answers_that_ended_early_failed_or_differ_are_noted() -> None:
    short = {"prose": [7.0, 7.1, 7.2], "chat": [9.0]}
    early = on_workloads(PLAIN, short, symptoms=(Symptom.SHORT,))
    (_, line) = lines(workloads.decode_table(part(early)))
    assert line[-1] == "ended early: prose 3 of 3, chat 1 of 1"
    failed = on_workloads(PLAIN, short, status="error", decode_tokens_per_s=None)
    assert lines(workloads.decode_table(part(failed)))[1][-1] == "4 failed"
    lossy = lookup(MIXED, certificate="lossy")
    (_, ups) = lines(workloads.speed_up_table(part(BASE, lossy)))
    assert ups[-1] == "lossy" and "**" not in "".join(ups)


def test_an_impossible_speed_up_is_struck_through_on_its_workload() -> None:
    made = part(BASE, lookup({**MIXED, "chat": [900.0, 910.0, 920.0]}))
    (_, ups) = lines(workloads.speed_up_table(made))
    assert ups[5].startswith("~~91.00x") and ups[3].startswith("**2.00x")
    reason = "91.00x passes K + 1 = 17"
    assert evidence.struck(made) == [("`m` `lookup_n3` on chat", reason)]


def test_checks_of_workloads_stand_apart_from_the_suites() -> None:
    wrong = on_workloads(PLAIN, SAME, score=0, passed=False)
    made = part(wrong)
    assert lines(workloads.checks_table(made))[1][2:] == ["0/3"] * 3
    assert made.suites == ["coder"] and "30/40" in quality.suites_table(made)
    assert "30/40: 75 %" in quality.master_table(made)


def test_the_recommendation_names_where_a_mode_wins_and_where_it_loses() -> None:
    line = recommended(BASE, lookup(MIXED))
    assert line[1] == "`m` `baseline`" and "no proved mode is faster over all workloads" in line[4]
    assert line[-1] == MIXED_WORDS


def test_the_recommended_mode_comes_first_then_what_is_faster_on_some_workload() -> None:
    everywhere = lookup({name: [11.0, 11.1, 11.2] for name in SAME}, POOL)
    line = recommended(BASE, lookup(MIXED), everywhere)
    assert line[1] == "`m` `ngram_mod`"
    assert line[-1].startswith("`ngram_mod`: 1.11x on code editing (")
    assert line[-1].endswith(f" {MIXED_WORDS}")


def test_without_a_gain_on_any_workload_the_page_says_so() -> None:
    slow = lookup({name: [7.0, 7.1, 7.2] for name in SAME})
    assert recommended(BASE, slow)[-1] == "no proved mode is faster on any workload"
    unproved = lookup(MIXED, certificate="lossy")
    assert recommended(BASE, unproved)[-1] == "no proved mode is faster on any workload"


def test_without_workloads_the_page_does_not_speak_of_them() -> None:
    template = Path(PAGES[RESULTS_PAGE])
    without = part(PLAIN, way(PLAIN, LOOKUP, 15.0))
    assert "orkload" not in results_page(template, [without])
    page = results_page(template, [part(BASE, lookup(MIXED))])
    assert page.count("### Speed by workload") == 1 and MIXED_WORDS in page
    other = replace(row("n", 3, roles=("math",)))
    assert lines(quality.recommendations(part(BASE, other)))[2][-1] == "–"
