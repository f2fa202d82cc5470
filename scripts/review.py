"""Score the stored cells of one shard into its review CSV."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.config import load_config
from scripts.lib.errors import run_cli
from scripts.lib.plan import find_shard, for_model, load_planner, make_plan
from scripts.lib.records import write_atomic
from scripts.lib.review import review_file, review_shard, scored_cells, to_csv


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.review", description=__doc__)
    parser.add_argument("--hardware", help="a hardware profile; default: the configuration's")
    parser.add_argument("--model", required=True, help="a key under roles: in the registry")
    parser.add_argument("--mode", default="baseline", help="a decoding mode")
    arguments = parser.parse_args()
    config = load_config()
    planner = for_model(load_planner(config, hardware=arguments.hardware), arguments.model)
    shard = find_shard(make_plan(planner), arguments.model, arguments.mode)
    cells = scored_cells(shard)
    write_atomic(Path(review_file(shard, cells)), to_csv(review_shard(shard, cells)))
    return 0


if __name__ == "__main__":
    run_cli(main)
