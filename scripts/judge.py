"""Judge answers, compare setups, calibrate a scorer, or list the judges.

`snakemake results` runs `judge run` if judge.scorers names a judge. A series is one judge with one
prompt; its verdicts are never mixed with another's.

for example:
  python -m scripts.judge run --configfile judge.yaml
  python -m scripts.judge pairs --scorer claude
  python -m scripts.judge calibrate --scorer claude --verbose
  python -m scripts.judge series
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from tabulate import tabulate

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import BenchError, tell_left_out
from scripts.lib.base.layout import PAIRS_TABLE, TABLES
from scripts.lib.base.results_tree import drop
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import one_line as shown
from scripts.lib.judging.answers import pair_item, stored_answers
from scripts.lib.judging.calibration import (
    CALIBRATION_FILE,
    KnownAnswer,
    calibration_findings,
    calibration_measures,
    load_calibration,
    outcomes,
    probes,
    scored_by_checks,
)
from scripts.lib.judging.cost import expected_usd, measured, size_of
from scripts.lib.judging.instrument import figures
from scripts.lib.judging.pair_checks import all_reports
from scripts.lib.judging.pairs import check_compared, pair_results, pairs_text, setup_pairs
from scripts.lib.judging.run_result import RunResult, summary_line
from scripts.lib.judging.stage import calibrate, drop_reviews, judge_answers, judge_pairs
from scripts.lib.planning.disk import load_planner, planners
from scripts.lib.planning.plan import Plan, Planner, make_plan, seen_from_elsewhere
from scripts.lib.scoring.series import Series
from scripts.lib.scoring.verdict_store import QUARANTINED, BatchRecord, VerdictStore
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL, PAIRS
from scripts.lib.settings.run_config import Config, load_config


def _print_quarantined(records: Iterable[BatchRecord], stream: TextIO) -> None:
    for record in records:
        findings = shown("; ".join(record.findings))
        print(f"quarantined: batch {record.batch}: {findings}", file=stream)


def _run(arguments: argparse.Namespace) -> None:
    """Ask each configured judge for what `judge.scope` names and has no verdict yet.

    If a judge is unavailable, its answers stay unscored; that is not an error.
    """
    planner = load_planner(load_config(tuple(arguments.configfile)))
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    if planner.config.judge.scope == PAIRS:
        _judge_pairs(planner, plans, arguments.again)
    else:
        _judge_answers(planner, plans, arguments.again, arguments.stamp is None)
    if arguments.stamp is not None:
        for old in arguments.stamp.parent.glob("judged.*.json"):
            drop(old)
        write_atomic(arguments.stamp, "{}\n")


def _judge_answers(planner: Planner, plans: Sequence[Plan], again: bool, drops: bool) -> None:
    """Judge answers. `drops`: delete the reviews that change, which no rule is about to make."""
    answers = list(stored_answers(plans))
    for scorer in planner.scorers:
        if scorer.series is None:
            continue
        result = judge_answers(scorer.series, planner, answers, again)
        if drops and result.reviews:
            drop_reviews(result)
            print(
                f"{len(result.reviews)} reviews are out of date; "
                "snakemake results_so_far makes them and RESULTS.md again"
            )
        _tell(scorer.series.name, result, "answers")


def _judge_pairs(planner: Planner, plans: Sequence[Plan], again: bool) -> None:
    """Let the judges compare setups, and print how they compare."""
    check_compared(plans)
    pairs = setup_pairs(plans)
    if not pairs:
        raise BenchError(
            "no two setups to compare: expected two quantisations of a model, a reduced number of "
            "experts, a variant with other KV types, or judge.pairs in the configuration"
        )
    for scorer in planner.scorers:
        if scorer.pairs is not None:
            result = judge_pairs(scorer.pairs, planner, pairs, again)
            if result.closed:
                drop(PAIRS_TABLE)
            _tell(scorer.pairs.name, result, "orders of pairs")
    results = pair_results(plans)
    if results:
        print(pairs_text(results), end="\n\n")


def _tell(name: str, result: RunResult, what: str) -> None:
    """Print what a run did; its last line sums it up."""
    tell_left_out(result.damaged)
    _print_quarantined((r for r in result.closed if r.status == QUARANTINED), sys.stdout)
    print(shown(summary_line(name, result, what)))


def _pairs(arguments: argparse.Namespace) -> None:
    """Compare setups in pairs, whatever `judge.scope` is."""
    config = load_config(tuple(arguments.configfile))
    scorers = (arguments.scorer,) if arguments.scorer else config.judge.scorers
    if set(scorers) == {CHECKS}:
        raise BenchError(
            "no judge is configured: add --scorer claude, or name one in judge.scorers"
        )
    judge = replace(config.judge, scorers=scorers, scope=PAIRS)
    planner = load_planner(replace(config, judge=judge))
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    _judge_pairs(planner, plans, arguments.again)


def _calibrate(arguments: argparse.Namespace) -> int:
    """Score the calibration set; the exit code is 1 if the scorer does not meet the limits."""
    config = load_config(tuple(arguments.configfile))
    suites = load_planner(config).suites
    known = [*load_calibration(suites, arguments.file), *probes(suites)]
    known = list({k.shown.pair: k for k in known}.values())
    rows = _scored(config, arguments.scorer, known)
    found = outcomes(rows)
    if arguments.verbose:
        table = [
            [k.question.suite, k.question.id, k.score, score, shown(reason)[:100]]
            for k, score, reason in rows
        ]
        print(tabulate(table, ["suite", "question", "known", "score", "reason"]), end="\n\n")
    print(figures(calibration_measures(found)))
    problems = list(calibration_findings(found))
    meets = "does not meet" if problems else "meets"
    print(f"\n{arguments.scorer}: {meets} the limits of a judge ({len(known)} answers)")
    for problem in problems:
        print(f"- {shown(problem)}")
    stamps = list(TABLES.glob("plan.*.json"))
    if arguments.scorer != CHECKS and stamps:
        # The scores of the series are ranked now, or not any more.
        for stamp in stamps:
            drop(stamp)
        print("tables and pages are out of date; snakemake results_so_far makes them again")
    return 1 if problems else 0


def _print_price(config: Config, series: Series, known: Iterable[KnownAnswer]) -> None:
    """Say what a calibration costs before it is paid for. A local judge costs nothing."""
    if series.scorer != CLAUDE:
        return
    claude = config.judge.claude
    items = (pair_item(series, k.question.name_in_full, k.shown) for k in known)
    sizes = list(map(size_of, items))
    likely = expected_usd(sizes, claude, measured(VerdictStore(series)))
    print(
        f"{len(sizes)} answers to {claude.model}: about ${likely:.2f}; "
        f"at most judge.claude.max_usd, ${claude.max_usd:g}",
        file=sys.stderr,
    )


def _scored(
    config: Config, scorer: str, known: Sequence[KnownAnswer]
) -> list[tuple[KnownAnswer, int | None, str]]:
    if scorer == CHECKS:
        return scored_by_checks(known)
    planner = load_planner(replace(config, judge=replace(config.judge, scorers=(scorer,))))
    series = planner.scorers[0].series
    assert series is not None
    _print_price(config, series, known)
    store, record = VerdictStore(series), calibrate(series, planner, known)
    found = {item.pair: store.read(item.digest) for item in record.items}
    verdicts = [(k, found[k.shown.pair]) for k in known]
    return [(k, v.score if v else None, v.scored.reason if v else "no reply") for k, v in verdicts]


def _series(arguments: argparse.Namespace) -> None:
    """Print each judge with stored verdicts: its batches, its cost, and how reliable it is."""
    reports = all_reports()
    if not reports:
        raise BenchError(
            "no judge has given a verdict yet; choose judges in config.yaml: judge.scorers"
        )
    for report in reports:
        print(
            f"{report.series}: {report.accepted} batches accepted, "
            f"{len(report.quarantined)} quarantined, ${report.usd:.4f}"
        )
        if report.standing:
            print(f"not ranked: {shown(report.standing)}")
        print(figures(report.measures), end="\n\n")
        _print_quarantined(report.quarantined, sys.stderr)


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.judge", __doc__)
    parser.add_configfile()
    run = parser.add_subcommand(
        "run", _run, "ask the judges for what judge.scope names and has no verdict yet"
    )
    words = "also judge the answers of quarantined batches again"
    run.add_argument("--again", action="store_true", help=words)
    words = "also write this empty file at the end; older ones are deleted"
    run.add_argument("--stamp", type=Path, metavar="FILE", help=words)
    words = "compare setups in pairs: quantisations, expert counts, KV types, or judge.pairs"
    pairs = parser.add_subcommand("pairs", _pairs, words)
    words = "the judge (default: those of judge.scorers)"
    pairs.add_argument("--scorer", choices=(CLAUDE, LOCAL), help=words)
    words = "also ask about the pairs of quarantined batches again"
    pairs.add_argument("--again", action="store_true", help=words)
    words = "run a scorer on answers with known scores; exit code 1 if it is not fit to judge"
    calibration = parser.add_subcommand("calibrate", _calibrate, words)
    scorers = (CHECKS, CLAUDE, LOCAL)
    words = f"the scorer (default: {CHECKS})"
    calibration.add_argument("--scorer", choices=scorers, default=CHECKS, help=words)
    words = f"the answers and their scores (default: {CALIBRATION_FILE})"
    calibration.add_argument(
        "--file", type=Path, default=CALIBRATION_FILE, metavar="FILE", help=words
    )
    words = "also print each answer's score and reason"
    calibration.add_argument("--verbose", action="store_true", help=words)
    parser.add_subcommand("series", _series, "list the judges that have given verdicts")
    return parser


if __name__ == "__main__":
    run_job(parser())
