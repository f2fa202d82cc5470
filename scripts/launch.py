"""Print the command line of a shard's engine, ready to paste.

for example:
  python -m scripts.launch --model smollm2_135m_q4_1 --mode lookup_n3
  python -m scripts.launch --model frontdoor --engine cli
"""

from __future__ import annotations

import argparse

from scripts.lib.base.command import Parser, run_command
from scripts.lib.execution.launch_command import cli_line, server_line
from scripts.lib.executor import load_settings
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.settings.run_config import load_config


def main(arguments: argparse.Namespace) -> None:
    """Print the line. It may be for another machine: any mode, also without weights here."""
    config = load_config(tuple(arguments.configfile)).with_modes(("*",))
    planner = for_model(load_planner(config, assume_present=True), arguments.model, "server")
    shard = find_shard(make_plan(planner), arguments.model, arguments.mode)
    settings = load_settings(shard, check=False)
    if arguments.engine == "cli" or arguments.template:
        print(cli_line(planner, shard, settings, arguments.template, arguments.port))
    else:
        print(server_line(settings, planner.engine.binary or server_binary(), arguments.port))


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.launch", __doc__, main)
    parser.add_model_and_mode()
    words = "server: llama-server as the shard starts it (default); cli: the registry's template"
    parser.add_argument("--engine", choices=("server", "cli"), default="server", help=words)
    words = "the registry's template of this name; implies --engine cli"
    parser.add_argument("--template", metavar="NAME", help=words)
    words = "the port in the line (default: 8080)"
    parser.add_argument("--port", type=int, default=8080, metavar="N", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_command(parser())
