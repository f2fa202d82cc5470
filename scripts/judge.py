"""Judge answers, calibrate a scorer, or list the judges' series.

`snakemake results` runs `judge run` if judge.scorers names a judge. A series is one judge with one
prompt; its verdicts are never mixed with another's.

for example:
  python -m scripts.judge --configfile judge.yaml run
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
from scripts.lib.base.layout import TABLES
from scripts.lib.base.results_tree import drop
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import one_line as shown
from scripts.lib.judging.answers import stored_answers
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
from scripts.lib.judging.cost import expected_usd
from scripts.lib.judging.instrument import figures, series_reports
from scripts.lib.judging.stage import calibrate, drop_reviews, judge_answers
from scripts.lib.planning.disk import load_planner, planners
from scripts.lib.planning.plan import make_plan, seen_from_elsewhere
from scripts.lib.scoring.judge_prompt import user_prompt
from scripts.lib.scoring.series import Series
from scripts.lib.scoring.verdict_store import BatchRecord, VerdictStore
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL
from scripts.lib.settings.run_config import Config, load_config


def _print_quarantined(records: Iterable[BatchRecord], stream: TextIO) -> None:
    for record in records:
        findings = shown("; ".join(record.findings))
        print(f"quarantined: batch {record.batch}: {findings}", file=stream)


def _run(arguments: argparse.Namespace) -> None:
    """Judge all pending answers with each configured judge.

    If a judge is unavailable, its answers stay unscored; that is not an error.
    """
    planner = load_planner(load_config(tuple(arguments.configfile)))
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    answers = list(stored_answers(plans))
    for scorer in planner.scorers:
        if scorer.series is None:
            continue
        result = judge_answers(scorer.series, planner, answers, arguments.again)
        tell_left_out(result.damaged)
        print(
            f"{scorer.series.name}: {result.replies} replies, ${result.usd:.4f}, "
            f"{len(result.closed)} batches closed"
        )
        _print_quarantined((r for r in result.closed if r.status != "accepted"), sys.stdout)
        if arguments.stamp is None and result.reviews:
            drop_reviews(result)
            print(
                f"{len(result.reviews)} reviews are out of date; "
                "snakemake results_so_far makes them and RESULTS.md again"
            )
        if result.stopped:
            print(f"stopped: {shown(result.stopped)}; the rest is unscored until the next run")
    if arguments.stamp is not None:
        for old in arguments.stamp.parent.glob("judged.*.json"):
            drop(old)
        write_atomic(arguments.stamp, "{}\n")


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
    shown_answers = [k.shown for k in known]
    sizes = [(len(user_prompt(m, "")), len(m.criteria)) for m in shown_answers]
    likely = expected_usd(claude.usd_per_million_tokens, sizes, claude.batched)
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
    reports = series_reports()
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
    run = parser.add_subcommand("run", _run, "judge the stored answers that have no verdict yet")
    words = "also judge the answers of quarantined batches again"
    run.add_argument("--again", action="store_true", help=words)
    words = "also write this empty file at the end; older ones are deleted"
    run.add_argument("--stamp", type=Path, metavar="FILE", help=words)
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
