"""Score the stored cells of one shard into its review CSV."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.config import load_config
from scripts.lib.errors import run_cli
from scripts.lib.plan import find_shard, make_plan, seen_from_elsewhere
from scripts.lib.plan_files import for_model, load_planner
from scripts.lib.records import write_atomic
from scripts.lib.review import plan_review, review_shard, to_csv


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.review", description=__doc__)
    parser.add_argument("--hardware", help="a hardware profile; default: the configuration's")
    parser.add_argument("--engine", choices=("embedded", "server"), help="default: the configuration's first")
    parser.add_argument("--model", required=True, help="a key under roles: in the registry")
    parser.add_argument("--mode", default="baseline", help="a decoding mode")
    parser.add_argument(
        "--elsewhere", action="store_true", help="of another machine's profile: review the cells there are"
    )
    arguments = parser.parse_args()
    config = load_config()
    planner = for_model(load_planner(config, hardware=arguments.hardware), arguments.model, arguments.engine)
    plan = make_plan(planner)
    if arguments.elsewhere:
        plan = seen_from_elsewhere(plan)
    review = plan_review(plan, find_shard(plan, arguments.model, arguments.mode))
    write_atomic(Path(review.file), to_csv(review_shard(review)))
    return 0


if __name__ == "__main__":
    run_cli(main)
