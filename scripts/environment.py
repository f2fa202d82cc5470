"""Show environment records, or how two of them differ.

An environment record describes the machine and the software with which a cell was measured.

for example:
  python -m scripts.environment show               one line for each stored record
  python -m scripts.environment show 4f1c          the record whose digest begins with this
  python -m scripts.environment diff 4f1c 9ab0     the fields that differ
"""

from __future__ import annotations

import argparse
import json

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import Problem, tell_left_out
from scripts.lib.base.layout import ENVIRONMENTS
from scripts.lib.base.stored_json import believed
from scripts.lib.machine.environment_record import read_environment
from scripts.lib.results.states import changes


def _show(arguments: argparse.Namespace) -> int:
    if arguments.name is None:
        damaged: list[Problem] = []
        files = sorted(ENVIRONMENTS.glob("*.json"))
        for digest, record in believed(files, lambda file: read_environment(str(file)), damaged):
            fit = (record.get("preflight") or {}).get("outcome", "not checked")
            print(f"{digest}  {record['hardware']['name']}  {record['engine']['version']}  {fit}")
        return tell_left_out(damaged)
    _, record = read_environment(arguments.name)
    print(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False))
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    """Print one line for each field that differs. The exit code is 1 if any does, as diff's."""
    (a, old), (b, new) = read_environment(arguments.a), read_environment(arguments.b)
    found = changes(old, new)
    print(f"{a} -> {b}: {len(found)} fields differ")
    for change in found:
        print(f"  {change}")
    return int(bool(found))


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.environment", __doc__)
    what = "a digest, the beginning of one, or a file"
    show = parser.add_subcommand("show", _show, "print one record, or one line for each")
    show.add_argument("name", nargs="?", help=f"{what} (default: list all)")
    words = "print the fields that differ; exit code 1 if any does"
    diff = parser.add_subcommand("diff", _diff, words)
    diff.add_argument("a", metavar="A", help=what)
    diff.add_argument("b", metavar="B", help=what)
    return parser


if __name__ == "__main__":
    run_command(parser())
