"""RESULTS.md on judges: rates side by side, judges of the judged family, and pairs of setups."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.base.estimates import Comparison, Estimate
from scripts.lib.judging.pairs import PairResult, setup_pairs
from scripts.lib.pages.sections import judges, pairs
from scripts.lib.planning.modes import Mode
from scripts.lib.scoring.scorers import scorers_of
from scripts.lib.scoring.series import make_series
from scripts.lib.settings.run_config import load_config
from tests.factories.plans import plan_of_shards
from tests.factories.table_rows import part, row

CLAUDE = make_series("claude", "claude-sonnet-5-5", 1024, 0, compares=True)


@pytest.mark.parametrize(
    ("judge", "judged", "same"),
    [
        ("smollm2_135m_q8_0", "SmolLM2-135M-Instruct", True),
        ("qwen3_32b", "DeepSeek-R1-Distill-Qwen-7B", True),
        ("claude-sonnet-5-5", "SmolLM2-135M-Instruct", False),
        ("qwen3_32b", "Meta-Llama-3-70B", False),
    ],
)
def test_a_judge_of_the_judged_family_is_known(judge: str, judged: str, same: bool) -> None:
    assert judges.is_same_family(make_series("local", judge, 1024, 0), judged) is same


def test_a_second_judge_stands_beside_the_first_and_is_never_averaged() -> None:
    config = replace(load_config().judge, scorers=("claude", "local", "checks"), scope="all")
    config = replace(config, local=replace(config.local, model="big_7b_q8_0"))
    setup = row("m", 30)
    rows = tuple(
        replace(r, claude_score=3, local_score=0 if n % 2 else None)
        for n, r in enumerate(setup.rows)
    )
    made = part(replace(setup, rows=rows))
    made = replace(made, plan=replace(made.plan, scorers=scorers_of(config, "w")))
    (line,) = judges.rates_table(made).splitlines()[2:]
    _, claude, local, checks = (cell.strip() for cell in line.strip("|").split("|"))
    assert claude.startswith("100 %") and judges.SAME_FAMILY not in claude
    assert local.startswith("0 %") and local.endswith(judges.SAME_FAMILY)
    assert checks == "–"
    alone = replace(made, plan=replace(made.plan, scorers=made.plan.scorers[:1]))
    assert judges.rates_table(alone) == ""


def test_the_checks_are_named_where_they_score_for_a_judge() -> None:
    made = part(row("m", 30))
    for scope, named in (("all", False), ("unchecked", True)):
        config = replace(load_config().judge, scorers=("claude",), scope=scope)
        of_scope = replace(made, plan=replace(made.plan, scorers=scorers_of(config, "")))
        said = judges.leading_scorer(of_scope)
        assert ("where they score it fully" in said) is named


def test_pairs_show_wins_ties_losses_test_and_price() -> None:
    plan = plan_of_shards(
        ("a", "A", "Q8_0", Mode("baseline")), ("b", "A", "Q4_0", Mode("baseline"))
    )
    (pair,) = setup_pairs([plan])
    compared = Comparison(Estimate(0.25, 0.05, 0.5, 12, 12), 0.03)
    result = PairResult(pair, CLAUDE, 4, 7, 1, 3, 0, 0.09, compared)
    (line,) = pairs.pairs_table([result]).splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["`a/baseline`", "`b/baseline`", "quantisation", "4 / 7 / 1", "3"]
    assert cells[5].startswith("+25 points (+5 to +50)") and cells[6] == "p = 0.03"
    assert cells[7:] == ["`claude-sonnet-5-5`", "$0.0100"]


def test_a_part_without_verdicts_on_pairs_has_no_such_section() -> None:
    assert pairs.results(part(row("m", 30))) == ()
