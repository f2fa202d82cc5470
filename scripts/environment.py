"""Environment records: what the machine and the software were when a cell was measured, and in what two of them differ."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import json

from scripts.lib.base.errors import Problem, run_cli, tell_left_out
from scripts.lib.base.layout import ENVIRONMENTS
from scripts.lib.base.stored_json import believed
from scripts.lib.machine.environment_record import read_environment
from scripts.lib.results.states import changes


def _show(arguments: argparse.Namespace) -> int:
    if arguments.name is None:
        damaged: list[Problem] = []
        files = sorted(ENVIRONMENTS.glob("*.json"))
        for digest, record in believed(files, lambda file: read_environment(str(file)), damaged):
            fit = (record.get("preflight") or {}).get("outcome", "not looked at")
            print(f"{digest}  {record['hardware']['name']}  {record['engine']['version']}  {fit}")
        return tell_left_out(damaged)
    _, record = read_environment(arguments.name)
    print(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False))
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    """One line a field that differs; the exit code is 1 where any does, as diff's."""
    (a, old), (b, new) = read_environment(arguments.a), read_environment(arguments.b)
    found = changes(old, new)
    print(f"{a} -> {b}: {len(found)} fields differ")
    for change in found:
        print(f"  {change}")
    return int(bool(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.environment", description=__doc__)
    commands = parser.add_subparsers(required=True)
    what = "a digest, the beginning of one, or a file"
    show = commands.add_parser("show", help="one record, or a line for each")
    show.add_argument("name", nargs="?", help=what)
    show.set_defaults(run=_show)
    diff = commands.add_parser("diff", help="the fields that differ; exit code 1 where any does")
    diff.add_argument("a", help=what)
    diff.add_argument("b", help=what)
    diff.set_defaults(run=_diff)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
