"""Show the plan: every shard with its mode, cells and how many are pending, and everything left out with the reason."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.lib.base.errors import run_cli, tell_notices
from scripts.lib.planning.disk import load_planner, pending, planners
from scripts.lib.planning.left_out import MissingWeights
from scripts.lib.planning.plan import Plan, make_plan
from scripts.lib.settings.run_config import load_config

COLUMNS = ("hardware", "model", "mode", "cells", "pending", "excluded")


def rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """One row per shard, then one per model, mode or pattern of modes left out (`excluded` is the reason)."""
    for shard in plan.shards:
        reason = None if shard.runnable else f"{MissingWeights.ABSENT}: {shard.model.path}"
        yield _row(
            plan, shard.model.key, shard.mode.name, len(shard.cells), len(pending(shard)), reason
        )
    for item in plan.left_out:
        yield _row(plan, item.model, item.place, 0, 0, item.reason)


def _row(
    plan: Plan, model: str, mode: str, cells: int, todo: int, reason: str | None
) -> dict[str, Any]:
    return dict(zip(COLUMNS, (plan.hardware.name, model, mode, cells, todo, reason), strict=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.plan",
        description=__doc__,
        epilog="example: python -m scripts.plan --hardware epyc-9655 --assume-present --configfile config/full.yaml",
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument("--registry", type=Path, help="another registry file")
    parser.add_argument("--prompts", type=Path, help="another folder of suites")
    parser.add_argument("--hardware", help="a profile of config/hardware/, or auto")
    parser.add_argument(
        "--assume-present", action="store_true", help="plan as if all weights were on this machine"
    )
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    return parser.parse_args()


def _print(plans: tuple[Plan, ...], form: str) -> None:
    table = [row for plan in plans for row in rows(plan)]
    if form == "json":
        print(json.dumps(table, indent=1, ensure_ascii=False))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    else:
        print(
            tabulate(
                [row.values() for row in table],
                COLUMNS,
                tablefmt="simple",
                missingval="",
                disable_numparse=True,
            )
        )
        shown = [row for row in table if row["excluded"] is None]
        cells, todo = sum(row["cells"] for row in shown), sum(row["pending"] for row in shown)
        print(
            f"\n{len(shown)} shards, {cells} cells, {todo} pending; {len(table) - len(shown)} rows left out"
        )


def main() -> int:
    arguments = _arguments()
    config = load_config(tuple(arguments.configfile))
    changes = {
        key: getattr(arguments, key)
        for key in ("registry", "prompts", "hardware")
        if getattr(arguments, key)
    }
    planner = load_planner(replace(config, **changes), arguments.assume_present)
    plans = tuple(make_plan(engine) for engine in planners(planner))
    _print(plans, arguments.format)
    tell_notices(planner.notices)
    for warning in plans[0].warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for fault in planner.faults:
        print(f"left out: {fault}", file=sys.stderr)
    return int(bool(planner.faults))


if __name__ == "__main__":
    run_cli(main)
