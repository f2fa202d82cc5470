"""Show the plan: every shard, and everything left out with the reason.

for example:
  python -m scripts.plan
  python -m scripts.plan --hardware epyc-9655 --assume-present --configfile config/full.yaml
  python -m scripts.plan --format json
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import tell_notices
from scripts.lib.planning.disk import load_planner, pending, planners
from scripts.lib.planning.left_out import MissingWeights
from scripts.lib.planning.plan import Plan, make_plan
from scripts.lib.settings.run_config import load_config

COLUMNS = ("hardware", "model", "mode", "cells", "pending", "excluded")


def rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """One row per shard, then one per left-out model, mode or pattern; `excluded` is the reason."""
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


def _print(plans: tuple[Plan, ...], form: str) -> None:
    table = [row for plan in plans for row in rows(plan)]
    if form == "json":
        print(json.dumps(table, indent=1, ensure_ascii=False))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    else:
        values = [row.values() for row in table]
        print(tabulate(values, COLUMNS, "simple", missingval="", disable_numparse=True))
        shown = [row for row in table if row["excluded"] is None]
        cells, todo = sum(row["cells"] for row in shown), sum(row["pending"] for row in shown)
        left_out = len(table) - len(shown)
        print(f"\n{len(shown)} shards, {cells} cells, {todo} pending; {left_out} rows left out")


def main(arguments: argparse.Namespace) -> int:
    """Print the plan; the exit code is 1 if an input is faulty and left out."""
    changes = {
        key: value
        for key in ("registry", "prompts", "hardware")
        if (value := getattr(arguments, key)) is not None
    }
    config = replace(load_config(tuple(arguments.configfile)), **changes)
    planner = load_planner(config, arguments.assume_present)
    plans = tuple(make_plan(engine) for engine in planners(planner))
    _print(plans, arguments.format)
    tell_notices(planner.notices)
    for warning in plans[0].warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for fault in planner.faults:
        print(f"left out: {fault}", file=sys.stderr)
    return int(bool(planner.faults))


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.plan", __doc__, main)
    parser.add_format("table", "csv", "json")
    parser.add_argument("--registry", type=Path, metavar="FILE", help="another registry file")
    parser.add_argument("--prompts", type=Path, metavar="FOLDER", help="another folder of suites")
    words = "a profile of config/hardware/, or auto (default: the configuration's)"
    parser.add_argument("--hardware", metavar="NAME", help=words)
    words = "plan as if all weights were on this machine"
    parser.add_argument("--assume-present", action="store_true", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_command(parser())
