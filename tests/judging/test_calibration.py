"""The calibration set: sixty answers of all scores; the checks agree where they see everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.lib.authoring.prompt_lint import checked_weight
from scripts.lib.base.errors import InputErrors
from scripts.lib.judging.calibration import (
    PROBES,
    KnownAnswer,
    calibration_findings,
    calibration_measures,
    load_calibration,
    outcomes,
    probes,
    scored_by_checks,
)
from scripts.lib.judging.canaries import PLAIN, STYLES
from tests.factories.commands import call
from tests.factories.plans import SUITES

KNOWN = load_calibration(SUITES)
PROBED = tuple(probes(SUITES))


def findings(score: Callable[[KnownAnswer], int | None]) -> str:
    """What is wrong with a scorer that scores the set and the probes like this."""
    return "; ".join(calibration_findings(outcomes((k, score(k), "") for k in (*KNOWN, *PROBED))))


def test_it_has_sixty_answers_of_all_scores() -> None:
    counts = Counter(known.score for known in KNOWN)
    assert len(KNOWN) == 60 and set(counts) == {0, 1, 2, 3} and min(counts.values()) >= 12
    assert len({known.shown.pair for known in KNOWN}) == 60
    assert all(known.why for known in KNOWN)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.question.id}-{known.score}")
def test_the_checks_give_the_known_score_where_they_see_everything(known) -> None:  # type: ignore[no-untyped-def]
    ((_, score, reason),) = scored_by_checks([known])
    if checked_weight(known.question) == 100:
        assert score == known.score, reason
    else:
        # A part of the weight cannot be checked by machine, so the score may be off by one.
        assert score is None or abs(score - known.score) <= 1, reason


def test_checks_meet_the_bars_of_a_judge() -> None:
    items = outcomes(scored_by_checks([*KNOWN, *PROBED]))
    measures = {m.name: m for m in calibration_measures(items)}
    assert not list(calibration_findings(items))
    assert measures["calibration_exact"].n == 60 and measures["scored"].value == 1.0
    assert measures["calibration_same_pass"].n == 60 + len(PROBED)


def test_probes_are_the_same_answers_in_every_style() -> None:
    kinds = Counter(known.kind for known in PROBED)
    assert {kinds[kind] for kind in (PLAIN, *STYLES)} == {PROBES}
    wrong = {k.question.name_in_full for k in PROBED if k.kind == PLAIN}
    assert all({k.question.name_in_full for k in PROBED if k.kind == s} == wrong for s in STYLES)
    assert tuple(probes(SUITES)) == PROBED


def test_a_poor_scorer_does_not_meet_them() -> None:
    for wrong in (
        lambda k: 3,
        lambda k: 0,
        lambda k: 3 - k.score,
        lambda k: min(3, k.score + 1),
        lambda k: None,
    ):
        assert findings(wrong)


def test_a_scorer_that_likes_a_style_does_not_meet_them() -> None:
    assert not findings(lambda k: k.score)
    for style in STYLES:
        said = findings(lambda k, style=style: 3 if k.kind == style else k.score)  # type: ignore[misc]
        assert f"wrong answers passed ({style})" in said


def test_a_scorer_that_knows_right_from_wrong_alone_meets_them() -> None:
    """It gives 3 or 0 and nothing between: that costs exact agreement, but no pass."""
    assert not findings(lambda k: 3 if k.score >= 2 else 0)


def test_a_single_mistake_is_not_fatal() -> None:
    first = PROBED[0].shown.pair
    assert not findings(lambda k: 3 if k.shown.pair == first else k.score)


def test_a_scorer_that_leaves_most_unscored_does_not_meet_them() -> None:
    """Even where it is right about those that it scores."""
    few = {known.shown.pair for known in KNOWN[::5]}
    assert "of the answers were scored" in findings(
        lambda k: k.score if k.shown.pair in few else None
    )


def test_the_command_says_whether_a_scorer_is_fit() -> None:
    done = call("scripts.judge", "calibrate", "--verbose")
    assert (
        done.returncode == 0
        and f"checks: meets the limits of a judge ({len(KNOWN) + len(PROBED)} answers)"
        in done.stdout
    ), done.stderr
    assert "calibration_quadratic_kappa" in done.stdout and "t2_q4_weighings" in done.stdout
    no_key = call("scripts.judge", "calibrate", "--scorer", "claude")
    assert no_key.returncode == 1 and "no ANTHROPIC_API_KEY in the environment" in no_key.stderr
    assert "Traceback" not in no_key.stderr


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "{question: math/t1_q1_aples, score: 3, why: w, answer: a}",
            "did you mean 'math/t1_q1_apples'?",
        ),
        ("{question: math/t1_q1_apples, score: 4, why: w, answer: a}", "expected 0 to 3, found 4"),
        ("{question: math/t1_q1_apples, score: true, why: w, answer: a}", "expected 0 to 3"),
        (
            "{question: math/t1_q1_apples, score: 3, answer: a}",
            "expected question, score, why and answer",
        ),
        (
            "{question: math/t1_q1_apples, score: 3, why: w, answer: a, wy: b}",
            "unknown key; did you mean 'why'?",
        ),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, entry: str, said: str) -> None:
    file = tmp_path / "set.yaml"
    file.write_text(f"answers:\n  - {entry}\n")
    with pytest.raises(InputErrors) as raised:
        load_calibration(SUITES, file)
    assert said in str(raised.value) and "set.yaml:2" in str(raised.value)
