"""Print the exact command line that a shard runs, ready to copy and paste."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from pathlib import Path

from scripts.lib.base.errors import run_cli
from scripts.lib.execution.launch_command import cli_line, server_line
from scripts.lib.executor import load_settings
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.settings.run_config import load_config


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.launch", description=__doc__)
    parser.add_argument("--model", required=True, help="a key under roles: in the registry")
    parser.add_argument("--mode", default="baseline", help="a decoding mode")
    parser.add_argument(
        "--engine", choices=("server", "cli"), default="server", help="cli: the registry's template"
    )
    parser.add_argument(
        "--template",
        metavar="NAME",
        help="the registry's template of that name (with --engine cli)",
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    arguments = parser.parse_args()
    # A command line may be wanted for another machine: weights need not be here, nor the mode be
    # selected.
    config = load_config(tuple(arguments.configfile)).with_modes(("*",))
    planner = for_model(load_planner(config, assume_present=True), arguments.model, "server")
    shard = find_shard(make_plan(planner), arguments.model, arguments.mode)
    settings = load_settings(shard, check=False)
    if arguments.engine == "cli" or arguments.template:
        print(cli_line(planner, shard, settings, arguments.template, arguments.port))
    else:
        print(server_line(settings, planner.engine.binary or server_binary(), arguments.port))
    return 0


if __name__ == "__main__":
    run_cli(main)
