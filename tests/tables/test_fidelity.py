"""Fidelity in the tables: figures over questions, pairs, and the verdict on fewer experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from scripts.lib.base.estimates import NonInferiority
from scripts.lib.fidelity.record import Measured
from scripts.lib.planning.modes import Mode
from scripts.lib.tables.fidelity import (
    KL_BOUND,
    Fidelity,
    KlVerdict,
    both_verdicts,
    pairs,
)
from scripts.lib.tables.ranking import MARGIN
from scripts.lib.tables.tidy import tidy_csv
from tests.factories.plans import model
from tests.factories.table_rows import part, row


def block(kl: float, places: int = 50, same: float = 0.9, lost: float = 0.01) -> Measured:
    """A block of that mean divergence, which half of its places have."""
    values = tuple(2 * kl if place % 2 else 0.0 for place in range(places))
    firsts = tuple(place < same * places for place in range(places))
    return Measured(values, firsts, places // 2, 0.9 * kl, 0.1 * kl, 3.0, -1.0 - lost, -1.0, 0.5)


def fidelity(key: str, kls: Sequence[float], mode: str = "baseline", **changes: object) -> Fidelity:
    found = {f"math/q{place:02}": block(kl) for place, kl in enumerate(kls)}
    made = Fidelity(
        "h", "embedded", model(key), Mode(mode), "f16", "baseline", 10**9, len(kls), found, {}
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def spread(centre: float, count: int = 40) -> list[float]:
    return list(centre * np.exp(np.random.default_rng(0).normal(0, 0.4, count)))


def test_the_mean_is_over_questions_with_its_interval() -> None:
    kls = spread(0.01)
    found = fidelity("q8", kls)
    assert found.kl is not None and found.kl.low is not None and found.kl.high is not None
    assert found.kl.value == pytest.approx(np.mean(kls)) and found.kl.clusters == 40
    assert found.kl.low < found.kl.value < found.kl.high
    assert found.kl.high - found.kl.value > found.kl.value - found.kl.low, "skewed"
    assert found.kl_far_upper == pytest.approx(2 * max(kls), rel=0.4)
    assert found.tokens == 40 * 50
    assert found.perplexity_ratio is not None
    assert found.perplexity_ratio.value == pytest.approx(np.exp(0.01))
    assert found.same_first is not None and found.same_first.value == pytest.approx(0.9)


def test_a_few_questions_have_no_interval_and_no_verdict() -> None:
    few = fidelity("q8", [0.001] * 5)
    assert few.kl is not None and few.kl.low is None
    assert few.verdict is KlVerdict.NOT_SHOWN
    assert fidelity("q8", []).kl is None


def test_no_interval_leaves_what_is_possible() -> None:
    nearly = {f"q{n}": block(1e-6 if n else 0.01, same=1.0 if n else 0.5) for n in range(12)}
    found = fidelity("q8", [], found=nearly)
    assert found.same_first is not None and found.same_first.high == 1
    assert found.kl is not None and found.kl.low is not None and found.kl.low >= 0


@pytest.mark.parametrize(
    ("centre", "verdict"),
    [(0.001, KlVerdict.WITHIN), (KL_BOUND, KlVerdict.NOT_SHOWN), (0.05, KlVerdict.BEYOND)],
)
def test_the_verdict_needs_the_whole_interval(centre: float, verdict: KlVerdict) -> None:
    kls = np.array(spread(centre))
    assert fidelity("q8", list(kls * centre / kls.mean())).verdict is verdict


def test_the_bound_is_the_margin_of_the_pass_rate_by_pinsker_s_inequality() -> None:
    assert pytest.approx(MARGIN) == (KL_BOUND / 2) ** 0.5


@pytest.mark.parametrize(
    ("tasks", "by_kl", "together"),
    [
        (NonInferiority.SHOWN, KlVerdict.WITHIN, "non-inferior by tasks and KL"),
        (NonInferiority.SHOWN, KlVerdict.NOT_SHOWN, "non-inferior by tasks"),
        (NonInferiority.NOT_SHOWN, KlVerdict.WITHIN, "non-inferior by KL"),
        (
            NonInferiority.SHOWN,
            KlVerdict.BEYOND,
            "they disagree: non-inferior by tasks, beyond the bound by KL",
        ),
        (
            NonInferiority.INFERIOR,
            KlVerdict.WITHIN,
            "they disagree: inferior by tasks, within the bound by KL",
        ),
        (NonInferiority.INFERIOR, KlVerdict.NOT_SHOWN, "inferior"),
        (NonInferiority.INFERIOR, KlVerdict.BEYOND, "inferior"),
        (NonInferiority.NOT_SHOWN, KlVerdict.BEYOND, "not shown"),
        (NonInferiority.NOT_SHOWN, KlVerdict.NOT_SHOWN, "not shown"),
    ],
)
def test_fewer_experts_are_judged_by_both_and_a_contradiction_is_shown(
    tasks: NonInferiority, by_kl: KlVerdict, together: str
) -> None:
    assert both_verdicts(tasks, by_kl) == together


def test_configurations_of_one_reference_are_compared_by_question() -> None:
    kls = spread(0.01)
    worse = [2 * kl for kl in kls]
    found = list(pairs([fidelity("q8", kls), fidelity("q4", worse), fidelity("kv", kls, "kv@x")]))
    ratios = {(pair.new.name, pair.old.name): pair.ratio for pair in found}
    assert ratios["q4/baseline", "q8/baseline"].estimate.value == pytest.approx(2)
    assert ratios["q4/baseline", "q8/baseline"].p_value < 0.001
    assert ratios["kv/kv@x", "q8/baseline"].p_value == 1
    other = fidelity("moe", kls, "moe4", reference="moe")
    assert not list(pairs([fidelity("q8", kls), other])), "another reference"


def test_a_copy_of_the_reference_has_no_ratio() -> None:
    assert not list(pairs([fidelity("q8", spread(0.01)), fidelity("f32", [0.0] * 40)]))


def test_the_tables_have_size_speed_divergence_and_passes_side_by_side() -> None:
    setup = row("q8", 30)
    found = fidelity("q8", spread(0.01), setup=setup)
    made = replace(part(setup), fidelities=(found, fidelity("q4", spread(0.05))))
    head, first, second = tidy_csv("fidelity", [made]).splitlines()
    values = dict(zip(head.split(","), first.split(","), strict=True))
    assert (values["model"], values["reference"], values["tokens"]) == ("q8", "f16", "2000")
    assert float(values["kl_low"]) < float(values["kl_mean"]) < float(values["kl_high"])
    assert float(values["pass_rate"]) == 0.75 and values["decode_tokens_per_s_median"]
    without = dict(zip(head.split(","), second.split(","), strict=True))
    assert without["pass_rate"] == without["decode_tokens_per_s_median"] == ""
    assert len(tidy_csv("fidelity_pairs", [made]).splitlines()) == 2


def test_without_comparisons_the_tables_are_empty() -> None:
    assert len(tidy_csv("fidelity", [part(row("q8", 30))]).splitlines()) == 1
