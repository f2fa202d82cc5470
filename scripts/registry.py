"""Look at the registry and edit it: add, show, drafts, diff, docs."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from scripts.lib.authoring.registry_docs import PAGE_FILE, SCHEMA_FILE, json_schema, page
from scripts.lib.authoring.registry_edit import (
    fitting_drafts,
    fitting_targets,
    propose_entry,
    propose_key,
    text_diff,
    with_entry,
)
from scripts.lib.authoring.registry_show import Row, carried, resolved
from scripts.lib.base.errors import BenchError, run_cli
from scripts.lib.base.part_names import part_name
from scripts.lib.base.safe_files import naming, write_atomic
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.disk import load_planner, pending, registry_of
from scripts.lib.planning.modes import expand_modes
from scripts.lib.planning.plan import Plan, Planner, make_plan
from scripts.lib.planning.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.registry_loader import Model
from scripts.lib.settings.run_config import Config, load_config
from scripts.lib.weights.facts import WeightsReader


def _add(config: Config, arguments: argparse.Namespace) -> int:
    registry, path = registry_of(config), arguments.weights
    first = part_name(path, 1)
    if first != path:
        print(
            f"{path.name} is a part of a split model, which is named by its first: {first.name}",
            file=sys.stderr,
        )
        path = first
    if not path.is_file():
        raise BenchError(f"{path}: no such file")
    found = WeightsReader().header_facts(path)
    key = arguments.key or propose_key(path, registry.models)
    text = with_entry(registry.path, key, propose_entry(registry, path, found))
    print(text_diff(registry.path, text), end="")
    draft_file = registry.path.with_suffix(".proposed.yaml")
    try:
        with naming(draft_file):
            draft_file.write_text(text, encoding="utf-8")
        proposed = registry_of(replace(config, registry=draft_file))
    finally:
        draft_file.unlink(missing_ok=True)
    planner = replace(load_planner(config), registry=proposed)
    _print_drafts(planner, proposed.models[key], Weights(found, path, True, False))
    if not arguments.yes:
        print("nothing is written yet: add --yes to write it", file=sys.stderr)
        return 0
    write_atomic(registry.path, text)
    print(
        f"written: {registry.path}: roles.{key}; see what it plans: python -m scripts.registry show {key}"
    )
    return 0


def _print_drafts(planner: Planner, model: Model, weights: Weights) -> None:
    """Which drafts fit a model; of a draft, which models it fits."""
    known = {**planner.weights, model.key: weights}
    if model.tier == "D":
        targets = list(fitting_targets(planner.registry, weights, known))
        print(
            f"\nmodels that share {model.key}'s vocabulary: {', '.join(targets) or 'none is known here'}"
        )
        return
    drafts = list(fitting_drafts(planner.registry, weights, model, known))
    print(
        f"\ndrafts of {model.key}: "
        + ("" if drafts else "none is named for it and none shares its vocabulary")
    )
    for key, verdict in drafts:
        print(f"  {key}: {verdict}")


def _show(config: Config, arguments: argparse.Namespace) -> int:
    planner = load_planner(config)
    model = planner.registry.entry(arguments.role)
    weights, expansion = planner.weights[model.key], expand_modes(model, planner.registry.models)
    here = (
        "here"
        if weights.present
        else "made by a rule"
        if weights.fetchable
        else "not on this machine"
    )
    print(f"{model.key} ({planner.registry.path}:{model.line}): {model.description}")
    print(
        f"  {model.name}, {model.quant}, {model.size_gb:g} GB, {model.architecture}, tier {model.tier}; weights: {here}"
    )
    print(
        f"  roles: {', '.join(model.candidate_roles) or 'none'}; suites: {', '.join(_suites(planner, model)) or 'none'}"
    )
    print(
        f"  modes ({len(expansion.modes)}): {' '.join(mode.name for mode in expansion.modes) or 'none'}"
    )
    if model.deprecated:
        print(
            f"  deprecated{f': {model.deprecated_reason}' if model.deprecated_reason else ''}; planned where it is named alone"
        )
    if expansion.recommended:
        print(f"  recommended: {expansion.recommended}")
    for item in expansion.left_out:
        print(f"  left out: {item.mode}: {item.reason}")
    for warning in (*expansion.warnings, *_warnings_of(planner, model)):
        print(f"  warning: {warning}")
    _print_rows("value", resolved(planner, model), "says so")
    _print_rows("carried through", carried(planner.registry, model), "stands on")
    _print_drafts(planner, model, weights)
    return 0


def _warnings_of(planner: Planner, model: Model) -> list[str]:
    place = f"roles.{model.key}"
    return [
        str(w)
        for w in planner.registry.warnings
        if w.place == place or w.place.startswith(f"{place}.")
    ]


def _print_rows(title: str, rows: Iterable[Row], source: str) -> None:
    table = [[row.name, row.value, row.source] for row in rows]
    if table:
        print("\n" + tabulate(table, [title, "", source], tablefmt="simple", disable_numparse=True))


def _suites(planner: Planner, model: Model) -> list[str]:
    return list(dict.fromkeys(question.suite for question in planner.selected(model)))


def _drafts(config: Config, arguments: argparse.Namespace) -> int:
    planner = load_planner(config)
    model = planner.registry.entry(arguments.role)
    _print_drafts(planner, model, planner.weights[model.key])
    return 0


def _diff(config: Config, arguments: argparse.Namespace) -> int:
    """What the edit from OLD to NEW runs, drops and leaves, planned as if all weights were here."""
    plans: list[Plan] = []
    for file in (arguments.old, arguments.new):
        plans.append(
            make_plan(
                load_planner(replace(config, registry=file), assume_present=not arguments.here)
            )
        )
    before = {cell.digest for shard in plans[0].shards for cell in shard.cells}
    after = {cell.digest for shard in plans[1].shards for cell in shard.cells}
    measured, rows, total, cells = read_measured(), [], 0.0, 0
    for shard in plans[1].shards:
        stored = {cell.digest for cell in shard.cells} - {cell.digest for cell in pending(shard)}
        new = [
            cell for cell in shard.cells if cell.digest not in before and cell.digest not in stored
        ]
        if new:
            seconds = shard_seconds(shard, new, measured)
            total, cells = total + seconds, cells + len(new)
            rows.append(
                [shard.model.key, shard.mode.name, len(new), len(shard.cells), hours_text(seconds)]
            )
    print(tabulate(rows, ["model", "mode", "to run", "of cells", "at most"], tablefmt="simple"))
    dropped = len(before - after)
    print(
        f"\n{cells} cells to run in {len(rows)} shards, at most {hours_text(total)}; {dropped} cells no longer asked for"
    )
    return 0


def _docs(config: Config, arguments: argparse.Namespace) -> int:
    for file, text in ((PAGE_FILE, page()), (SCHEMA_FILE, json_schema())):
        write_atomic(file, text)
        print(f"written: {file}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.registry", description=__doc__)
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser(
        "add", help="propose an entry for a GGUF file out of its header; --yes writes it"
    )
    add.add_argument("weights", type=Path, help="the GGUF file (the first, where it is split)")
    add.add_argument("--key", help="the entry's key (default: out of the file's name)")
    add.add_argument("--yes", action="store_true", help="write it")
    add.set_defaults(run=_add)
    for name, run, words in (
        ("show", _show, "one entry, its modes and drafts"),
        ("drafts", _drafts, "which drafts fit"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("role", help="a key under roles:")
        command.set_defaults(run=run)
    diff = commands.add_parser(
        "diff", help="which cells an edit of the registry runs, and how long that takes"
    )
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    diff.add_argument(
        "--here", action="store_true", help="only models whose weights are on this machine"
    )
    diff.set_defaults(run=_diff)
    docs = commands.add_parser("docs", help=f"write {PAGE_FILE} and {SCHEMA_FILE}")
    docs.set_defaults(run=_docs)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    code: int = arguments.run(load_config(tuple(arguments.configfile)), arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
