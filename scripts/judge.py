"""The judges: judge the stored answers that wait, calibrate a scorer on answers with known scores, list the series."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from scripts.lib.base.errors import BenchError, run_cli, tell_left_out
from scripts.lib.base.process_lifetime import die_with_starter
from scripts.lib.base.results_tree import drop
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import one_line as shown
from scripts.lib.judging.answers import stored_answers
from scripts.lib.judging.calibration import (
    CALIBRATION_FILE,
    KnownAnswer,
    calibration_measures,
    is_fit,
    load_calibration,
    scored_by_checks,
)
from scripts.lib.judging.instrument import figures, series_reports
from scripts.lib.judging.stage import calibrate, drop_reviews, judge_answers
from scripts.lib.planning.disk import load_planner, planners
from scripts.lib.planning.plan import make_plan, seen_from_elsewhere
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL
from scripts.lib.settings.run_config import Config, load_config


def _run(config: Config, arguments: argparse.Namespace) -> int:
    """Judge all pending answers with each configured judge.

    If a judge is unavailable, its answers stay unscored; that is not an error.
    """
    planner = load_planner(config)
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    answers = list(stored_answers(plans))
    for scorer in planner.scorers:
        if scorer.series is None:
            continue
        result = judge_answers(scorer.series, planner, answers, arguments.again)
        tell_left_out(result.damaged)
        failed = [record for record in result.closed if record.status != "accepted"]
        print(
            f"{scorer.series.name}: {result.replies} replies, ${result.usd:.4f}, {len(result.closed)} batches closed"
        )
        for record in failed:
            print(f"quarantined: batch {record.batch}: {shown('; '.join(record.findings))}")
        if arguments.stamp is None and result.reviews:
            drop_reviews(result)
            print(
                f"{len(result.reviews)} reviews are out of date: snakemake results_so_far makes them, and RESULTS.md, again"
            )
        if result.stopped:
            print(
                f"stopped: {shown(result.stopped)}; the pending answers stay unscored until the next run"
            )
    if arguments.stamp is not None:
        for old in arguments.stamp.parent.glob("judged.*.json"):
            drop(old)
        write_atomic(arguments.stamp, "{}\n")
    return 0


def _calibrate(config: Config, arguments: argparse.Namespace) -> int:
    """Score the calibration set; exit code 1 where the scorer does not meet the bars."""
    planner = load_planner(config)
    known = load_calibration(planner.suites, arguments.file)
    rows = (
        scored_by_checks(known)
        if arguments.scorer == CHECKS
        else _judged(config, arguments.scorer, known)
    )
    measures = calibration_measures(rows)
    if arguments.verbose:
        table = [
            [k.question.suite, k.question.id, k.score, s, shown(reason)[:100]]
            for k, s, reason in rows
        ]
        print(
            tabulate(table, ["suite", "question", "known", "score", "reason"], tablefmt="simple"),
            end="\n\n",
        )
    print(figures(measures))
    fit = is_fit(measures)
    print(
        f"\n{arguments.scorer}: {'meets' if fit else 'does not meet'} the bars of a judge ({len(known)} answers)"
    )
    return 0 if fit else 1


def _judged(
    config: Config, scorer: str, known: Sequence[KnownAnswer]
) -> list[tuple[KnownAnswer, int | None, str]]:
    planner = load_planner(replace(config, judge=replace(config.judge, scorers=(scorer,))))
    series = planner.scorers[0].series
    assert series is not None
    store, record = VerdictStore(series), calibrate(series, planner, known)
    found = {item.pair: store.read(item.digest) for item in record.items}
    verdicts = [(k, found[k.shown.pair]) for k in known]
    return [(k, v.score if v else None, v.scored.reason if v else "no reply") for k, v in verdicts]


def _series(config: Config, arguments: argparse.Namespace) -> int:
    """Every judge with verdicts in the tree: batches, cost, and its figures as an instrument."""
    reports = series_reports()
    if not reports:
        raise BenchError(
            "no judge has given a verdict yet; config.yaml: judge.scorers chooses them"
        )
    for report in reports:
        print(
            f"{report.series}: {report.accepted} batches accepted, {len(report.quarantined)} quarantined, ${report.usd:.4f}"
        )
        print(figures(report.measures), end="\n\n")
        for record in report.quarantined:
            print(
                f"quarantined: batch {record.batch}: {shown('; '.join(record.findings))}",
                file=sys.stderr,
            )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.judge", description=__doc__)
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser(
        "run", help="judge the stored answers that wait for a verdict (judge.scorers)"
    )
    run.add_argument(
        "--again", action="store_true", help="also the answers of batches that were quarantined"
    )
    run.add_argument("--stamp", type=Path, help="file to leave when done; older ones are removed")
    run.set_defaults(run=_run)
    cal = commands.add_parser("calibrate", help="run a scorer over answers with known scores")
    cal.add_argument("--scorer", choices=(CHECKS, CLAUDE, LOCAL), default=CHECKS)
    cal.add_argument("--file", type=Path, default=CALIBRATION_FILE, help="default: %(default)s")
    cal.add_argument("--verbose", action="store_true", help="also each answer")
    cal.set_defaults(run=_calibrate)
    commands.add_parser("series", help="the judges with verdicts in the tree").set_defaults(
        run=_series
    )
    return parser.parse_args()


def main() -> int:
    die_with_starter()
    arguments = _arguments()
    code: int = arguments.run(load_config(tuple(arguments.configfile)), arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
