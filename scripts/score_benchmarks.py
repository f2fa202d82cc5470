"""Score stored answers without Snakemake: a run's or all, by the configured scorers or others; compare two scorings."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from scripts.lib.base.errors import BenchError, run_cli, suggest, tell_left_out
from scripts.lib.base.layout import RUNS
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import one_line as shown
from scripts.lib.execution.run_record import read_rows
from scripts.lib.judging.answers import Answer, every_cell, stored_answers
from scripts.lib.judging.compare import Comparison, compare, scores_of
from scripts.lib.judging.cost import Budget
from scripts.lib.judging.instrument import figures
from scripts.lib.judging.stage import drop_reviews, judge_answers
from scripts.lib.planning.disk import load_planner, planners
from scripts.lib.planning.plan import Cell, Plan, Planner, make_plan, seen_from_elsewhere
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import ReviewRow, to_csv
from scripts.lib.scoring.series import Series
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL
from scripts.lib.settings.run_config import Config, load_config

MOST_DISAGREEMENTS = 20


def _of_run(run: str | None) -> Callable[[Cell], bool]:
    """Which cells are meant: those that a run measured, or all."""
    if run is None:
        return every_cell
    rows = read_rows(RUNS / run).rows
    if not rows:
        known = sorted(folder.name for folder in RUNS.iterdir()) if RUNS.is_dir() else []
        raise BenchError(f"{RUNS / run}: no such run, or it stored no cell{suggest(run, known)}")
    digests = {row["digest"] for row in rows}
    return lambda cell: cell.digest in digests


def _judge(
    planner: Planner, answers: list[Answer], beside: list[Answer], again: bool, budget: Budget
) -> None:
    for scorer in planner.scorers:
        if scorer.series is not None:
            result = judge_answers(
                scorer.series, planner, answers, again, beside=beside, budget=budget
            )
            drop_reviews(result)
            tell_left_out(result.damaged)
            said = f"; stopped: {shown(result.stopped)}" if result.stopped else ""
            print(f"{scorer.series.name}: {result.replies} replies, ${result.usd:.4f}{said}")


def _summary(file: str, rows: tuple[ReviewRow, ...]) -> list[object]:
    scored = [row for row in rows if row.score is not None]
    passed = sum(row.passed is True for row in scored)
    return [file, len(rows), len(scored), passed, len(rows) - len(scored)]


def _write_reviews(plans: list[Plan], wanted: Callable[[Cell], bool]) -> None:
    """Write the reviews of the shards that hold a wanted cell, from the cells that are there."""
    table = []
    for plan in plans:
        for shard in plan.shards:
            review = plan_review(plan, shard)
            if any(map(wanted, review.cells)):
                rows = review_shard(review)
                write_atomic(Path(review.file), to_csv(rows))
                table.append(_summary(review.file, rows))
    if not table:
        raise BenchError("no stored cell to score: snakemake -j8 results measures them")
    print(tabulate(table, ["review", "answers", "scored", "passed", "unscored"], tablefmt="simple"))


def _rescore(config: Config, planner: Planner, answers: list[Answer], budget: Budget) -> None:
    """Judge once more, in the series of the next round, and show how far the two rounds agree."""
    later = load_planner(replace(config, judge=replace(config.judge, round=config.judge.round + 1)))
    pairs = [(a.series, b.series) for a, b in zip(planner.scorers, later.scorers, strict=True)]
    judges = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not judges:
        raise BenchError(
            "--rescore asks a judge once more, and checks always say the same: add --judge claude"
        )
    _judge(later, answers, [], again=False, budget=budget)
    for first, second in judges:
        _show(
            first, second, compare(scores_of(first.name, answers), scores_of(second.name, answers))
        )
    print(
        f"the numbers are still those of round {config.judge.round}: config.yaml, judge.round chooses the round"
    )


def _show(first: Series | str, second: Series | str, found: Comparison) -> None:
    names = [value if isinstance(value, str) else value.name for value in (first, second)]
    print(
        f"\n{names[0]} (first) against {names[1]} (second): {found.both} answers scored by both, "
        f"{found.only_first} by the first alone, {found.only_second} by the second alone"
    )
    print(figures(found.measures))
    rows = [
        [
            d.first.label,
            d.first.score,
            d.second.score,
            shown(d.first.reason)[:300],
            shown(d.second.reason)[:300],
        ]
        for d in found.disagreements[:MOST_DISAGREEMENTS]
    ]
    if rows:
        widths = [28, 5, 6, 45, 45]
        headers = ["question", "first", "second", "the first's reason", "the second's reason"]
        print(f"\n{len(found.disagreements)} disagreements, the greatest first:")
        print(tabulate(rows, headers, tablefmt="grid", maxcolwidths=widths))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.score_benchmarks",
        description=__doc__,
        epilog="example: python -m scripts.score_benchmarks --run 2026-11-25_101500 --judge claude",
    )
    parser.add_argument(
        "--run", metavar="RUN", help=f"only the cells that this run measured (a folder of {RUNS})"
    )
    parser.add_argument(
        "--judge",
        action="append",
        choices=(CHECKS, CLAUDE, LOCAL),
        help="score by this one; repeatable, the first one leads (default: judge.scorers of the configuration)",
    )
    parser.add_argument(
        "--again", action="store_true", help="also ask again what a quarantined batch left unscored"
    )
    parser.add_argument(
        "--rescore", action="store_true", help="judge once more in a series of its own, and compare"
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar="SERIES",
        help="compare two series (python -m scripts.judge series), or checks",
    )
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    config = load_config(tuple(arguments.configfile))
    if arguments.judge:
        config = replace(
            config, judge=replace(config.judge, scorers=tuple(dict.fromkeys(arguments.judge)))
        )
    planner, wanted = load_planner(config), _of_run(arguments.run)
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    answers = list(stored_answers(plans, wanted))
    if arguments.compare:
        first, second = arguments.compare
        _show(first, second, compare(scores_of(first, answers), scores_of(second, answers)))
        return 0
    beside = list(stored_answers(plans, lambda cell: not wanted(cell))) if arguments.run else []
    budget = Budget(config.judge.claude.max_usd)
    _judge(planner, answers, beside, arguments.again, budget)
    if arguments.rescore:
        _rescore(config, planner, answers, budget)
    _write_reviews(plans, wanted)
    return 0


if __name__ == "__main__":
    run_cli(main)
