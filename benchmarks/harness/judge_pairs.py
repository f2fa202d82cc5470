"""What pairs can find, and which judges of pairs are caught: simulations.

Two tables. Power: two setups answer `n` questions; of some the first gives the better answer, of
some the second, the rest is equally good. The judge decides a request rightly with a fixed chance,
else it gives one of the two other verdicts. The table has the share of runs in which the sign test
finds the difference (p < 0.05), and for comparison that of McNemar's test on two pass rates by
flawless checks, which see only the questions where one answer passes and the other fails.

Gates: each judge decides the canaries of the real questions in 400 series of
three batches; the share of first batches that are quarantined, and of series with such a batch.

With --stand-in the committed cells' quantisations are compared instead, by the real command through
the real SDK, by a stand-in for the API that decides by the checks and is right in 80 %. Its prices
are the configuration's, its tokens are not a model's.

    python -m benchmarks.harness.judge_pairs [--runs 2000] [--stand-in]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats
from tabulate import tabulate

from benchmarks.harness.checkout import ROOT, scratch_checkout
from scripts.lib.base.layout import RESULTS
from scripts.lib.judging.batch import Known
from scripts.lib.judging.pair_checks import make_pair_canaries, pair_findings
from scripts.lib.judging.pairs import decision
from scripts.lib.prompts.loader import load_suites
from scripts.lib.scoring.pair_prompt import FIRST_BETTER, SECOND_BETTER, TIE, AnswerPair
from scripts.lib.scoring.series import Item, Role, make_series
from scripts.lib.scoring.verdict_store import ACCEPTED, BatchRecord, ItemOutcome

# (questions, share where the first is better, share where the second is).
EFFECTS = (
    *((n, 0.0, 0.0) for n in (24, 90)),
    *((n, 0.2, 0.2) for n in (24, 90)),
    *((90, 0.2 + step, 0.2) for step in (0.1, 0.2, 0.3)),
    *((90, step, 0.0) for step in (0.05, 0.1, 0.2)),
    *((24, step, 0.0) for step in (0.2, 0.4)),
)
# Of two answers of unlike quality, one passes and the other fails in this share: the others both
# pass, or both fail.
SEEN_BY_PASS = 0.4
RIGHT = 0.8
SIGNIFICANT = 0.05
RUNS_OF_GATES, SERIES_BATCHES = 400, 3
WRONG = {FIRST_BETTER: (TIE, SECOND_BETTER), TIE: (0, 2), SECOND_BETTER: (TIE, FIRST_BETTER)}


def _sign_p(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """The two-sided p-value of the sign test for each run."""
    n = wins + losses
    return np.where(
        n == 0, 1.0, np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(wins, losses), n, 0.5))
    )


def outcome_chances(truth: int, right: float) -> list[float]:
    """The chances that both orders together give a win of the first, a tie, a win of the second."""
    chances = {1: 0.0, 0: 0.0, -1: 0.0}
    mirrored = {FIRST_BETTER: SECOND_BETTER, TIE: TIE, SECOND_BETTER: FIRST_BETTER}
    for forth in WRONG:
        for back in WRONG:
            p = right if forth == truth else (1 - right) / 2
            p *= right if back == mirrored[truth] else (1 - right) / 2
            chances[decision(forth, back) or 0] += p
    return [chances[1], chances[0], chances[-1]]


def power(
    n: int, first: float, second: float, right: float, runs: int, draw: np.random.Generator
) -> tuple[float, float]:
    """(share of runs that find a difference in pairs, the same by two pass rates)."""
    truths = draw.multinomial(n, (first, 1 - first - second, second), runs)
    wins, losses = np.zeros(runs, int), np.zeros(runs, int)
    for place, truth in enumerate((FIRST_BETTER, TIE, SECOND_BETTER)):
        chances = outcome_chances(truth, right)
        came = np.array([draw.multinomial(count, chances) for count in truths[:, place]])
        wins += came[:, 0]
        losses += came[:, 2]
    seen = [draw.binomial(truths[:, place], SEEN_BY_PASS) for place in (0, 2)]
    found = _sign_p(wins, losses) < SIGNIFICANT, _sign_p(*seen) < SIGNIFICANT
    return float(found[0].mean()), float(found[1].mean())


# --- gates ----------------------------------------------------------------------------------------

Judge = Callable[[Item, random.Random], int]


def _noisy(right: float, item: Item, chance: random.Random) -> int:
    assert item.expected is not None
    if chance.random() < right:
        return item.expected
    return chance.choice(WRONG[item.expected])


def _longer(item: Item, chance: random.Random) -> int:
    assert isinstance(item.shown, AnswerPair)
    one, other = len(item.shown.first), len(item.shown.second)
    return TIE if one == other else FIRST_BETTER if one > other else SECOND_BETTER


def _position(share: float, item: Item, chance: random.Random) -> int:
    """Right, but in this share of the requests it names the answer shown first."""
    assert item.expected is not None
    return FIRST_BETTER if chance.random() < share else item.expected


def _blind(item: Item, chance: random.Random) -> int:
    """Sees only whether the answers are the same; else it guesses a winner."""
    return TIE if item.expected == TIE else chance.choice((FIRST_BETTER, SECOND_BETTER))


JUDGES: dict[str, Judge] = {
    "perfect": partial(_noisy, 1.0),
    "right in 95 %": partial(_noisy, 0.95),
    "right in 80 %": partial(_noisy, 0.8),
    "right in 60 %": partial(_noisy, 0.6),
    "random": partial(_noisy, 1 / 3),
    "always the first": lambda item, chance: FIRST_BETTER,
    "the first in half of the requests, else right": partial(_position, 0.5),
    "always a tie": lambda item, chance: TIE,
    "the longer answer": _longer,
    "sees equality alone, else guesses": _blind,
}


def refused(judge: Judge) -> tuple[float, float]:
    """The shares of first batches, and of series of SERIES_BATCHES, with a finding.

    By their canaries alone. A quarantined batch ends a series.
    """
    series = make_series("claude", "simulated", 1024, 0, compares=True)
    suites = load_suites(Path("benchmarks/prompts/v1")).values()
    known = Known([q for suite in suites for q in suite.questions])
    first = ever = 0
    for number in range(RUNS_OF_GATES):
        chance, before = random.Random(number), list[BatchRecord]()
        for place in range(SERIES_BATCHES):
            made = make_pair_canaries(series, f"b{number}/{place}", (), known, 0.0, not place)
            outcomes = tuple(_outcome(item, judge(item, chance)) for item in made)
            if pair_findings(outcomes, {}, (), before).findings:
                first += place == 0
                ever += 1
                break
            before.append(BatchRecord("b", "s", ACCEPTED, (), outcomes, 0.0, "", ""))
    return first / RUNS_OF_GATES, ever / RUNS_OF_GATES


def _outcome(item: Item, score: int) -> ItemOutcome:
    return ItemOutcome(
        item.digest,
        item.shown.pair,
        Role.CANARY,
        item.label,
        item.kind,
        item.expected,
        score,
        "",
        True,
    )


def stand_in() -> int:
    """Compare the committed cells' quantisations against the stand-in; print what it prints."""
    from tests.factories.judge_server import MESSAGES, JudgeServer, by_checks

    with scratch_checkout() as folder:
        for part in ("cells", "environments"):
            shutil.copytree(ROOT / RESULTS / part, folder / RESULTS / part)
        (folder / "reference.yaml").write_text(
            "hardware: reference-vm-2c\njudge: {scorers: [claude], scope: pairs}\n"
        )
        suites = load_suites(folder / "benchmarks/prompts/v1").values()
        questions = [q for suite in suites for q in suite.questions]
        with JudgeServer(by_checks(questions, RIGHT, seed=1)) as server:
            environment = {**os.environ, **server.environment}
            # Twice, to see that nothing is paid twice.
            for argv in (["scripts.review", "--estimate"], *[["scripts.judge", "pairs"]] * 2):
                command = [sys.executable, "-m", *argv, "--configfile", "reference.yaml"]
                done = subprocess.run(command, cwd=folder, env=environment, check=False)
                print(f"exit code {done.returncode}, {server.counts[MESSAGES]} requests in all\n")
                sys.stdout.flush()
    return 0


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.judge_pairs", description=__doc__
    )
    parser.add_argument("--runs", type=int, default=2000, help="of each row (default: %(default)s)")
    words = "compare the committed cells' quantisations by a stand-in for the API"
    parser.add_argument("--stand-in", action="store_true", help=words)
    arguments = parser.parse_args()
    if arguments.stand_in:
        return stand_in()
    draw, rows = np.random.default_rng(1), []
    for n, first, second in EFFECTS:
        by_judge = [power(n, first, second, right, arguments.runs, draw) for right in (1.0, RIGHT)]
        shares = (by_judge[0][0], by_judge[1][0], by_judge[1][1])
        rows.append([n, f"{first:.0%}", f"{second:.0%}", *(f"{100 * s:.1f} %" for s in shares)])
    headers = ["questions", "first better", "second better", "pairs, flawless judge"]
    headers += [f"pairs, {RIGHT:.0%} judge", "two pass rates, flawless checks"]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True), end="\n\n")
    rows = [[name, *(f"{100 * s:.1f} %" for s in refused(judge))] for name, judge in JUDGES.items()]
    headers = ["judge", "first batch quarantined", f"one of {SERIES_BATCHES} batches quarantined"]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
