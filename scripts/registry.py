"""Look at the registry of models, and edit it.

for example:
  python -m scripts.registry show frontdoor
  python -m scripts.registry drafts frontdoor
  python -m scripts.registry add Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf
  python -m scripts.registry diff old.yaml orchestration/model_registry.yaml
  python -m scripts.registry docs
"""

from __future__ import annotations

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
from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError
from scripts.lib.base.part_names import part_name
from scripts.lib.base.safe_files import naming, write_atomic
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.disk import load_planner, pending, registry_of
from scripts.lib.planning.plan import Planner, make_plan
from scripts.lib.planning.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.registry_loader import Model
from scripts.lib.settings.run_config import Config, load_config
from scripts.lib.weights.facts import WeightsReader


def _config(arguments: argparse.Namespace) -> Config:
    return load_config(tuple(arguments.configfile))


def _add(arguments: argparse.Namespace) -> None:
    config = _config(arguments)
    registry, path = registry_of(config), part_name(arguments.weights, 1)
    if path != arguments.weights:
        print(
            f"{arguments.weights.name} is a part of a split model; the entry names its first part: "
            f"{path.name}",
            file=sys.stderr,
        )
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
        return
    write_atomic(registry.path, text)
    print(f"written: {registry.path}: roles.{key}")
    print(f"see what it plans: python -m scripts.registry show {key}")


def _print_drafts(planner: Planner, model: Model, weights: Weights) -> None:
    """Print which drafts fit a model, or, for a draft, which models it fits."""
    known = {**planner.weights, model.key: weights}
    if model.tier == "D":
        targets = ", ".join(fitting_targets(planner.registry, weights, known))
        print(f"\nmodels that share {model.key}'s vocabulary: {targets or 'none is known here'}")
        return
    drafts = list(fitting_drafts(planner.registry, weights, model, known))
    none = "" if drafts else "none is named for it and none shares its vocabulary"
    print(f"\ndrafts of {model.key}: {none}")
    for key, verdict in drafts:
        print(f"  {key}: {verdict}")


def _where(weights: Weights) -> str:
    if weights.present:
        return "here"
    return "made by a rule" if weights.fetchable else "not on this machine"


def _show(arguments: argparse.Namespace) -> None:
    planner = load_planner(_config(arguments))
    model = planner.registry.entry(arguments.key)
    weights, expansion = planner.weights[model.key], planner.modes(model)
    suites = ", ".join(dict.fromkeys(question.suite for question in planner.selected(model)))
    print(f"{model.key} ({planner.registry.path}:{model.line}): {model.description}")
    print(
        f"  {model.name}, {model.quant}, {model.size_gb:g} GB, {model.architecture}, "
        f"tier {model.tier}; weights: {_where(weights)}"
    )
    print(f"  roles: {', '.join(model.candidate_roles) or 'none'}; suites: {suites or 'none'}")
    modes = " ".join(mode.name for mode in expansion.modes)
    print(f"  modes ({len(expansion.modes)}): {modes or 'none'}")
    if model.deprecated:
        reason = f": {model.deprecated_reason}" if model.deprecated_reason else ""
        print(f"  deprecated{reason}; planned only if models: names it")
    if expansion.recommended:
        print(f"  recommended: {expansion.recommended}")
    for item in expansion.left_out:
        print(f"  left out: {item.mode}: {item.reason}")
    for warning in (*expansion.warnings, *_warnings_of(planner, model)):
        print(f"  warning: {warning}")
    _print_rows("value", resolved(planner, model), "set by")
    _print_rows("carried through", carried(planner.registry, model), "found at")
    _print_drafts(planner, model, weights)


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


def _drafts(arguments: argparse.Namespace) -> None:
    planner = load_planner(_config(arguments))
    model = planner.registry.entry(arguments.key)
    _print_drafts(planner, model, planner.weights[model.key])


def _diff(arguments: argparse.Namespace) -> None:
    """Print the cells that the edit from OLD to NEW adds, and how many it drops."""
    config, assumed = _config(arguments), not arguments.here
    old, new = (
        make_plan(load_planner(replace(config, registry=file), assume_present=assumed))
        for file in (arguments.old, arguments.new)
    )
    before, after = ({cell.digest for s in plan.shards for cell in s.cells} for plan in (old, new))
    measured, rows, total, cells = read_measured(), [], 0.0, 0
    for shard in new.shards:
        added = [cell for cell in pending(shard) if cell.digest not in before]
        if added:
            seconds = shard_seconds(shard, added, measured)
            total, cells = total + seconds, cells + len(added)
            counts = (len(added), len(shard.cells), hours_text(seconds))
            rows.append([shard.model.key, shard.mode.name, *counts])
    print(tabulate(rows, ["model", "mode", "to run", "of cells", "at most"]))
    print(
        f"\n{cells} cells to run in {len(rows)} shards, at most {hours_text(total)}; "
        f"{len(before - after)} cells no longer planned"
    )


def _docs(arguments: argparse.Namespace) -> None:
    for file, text in ((PAGE_FILE, page()), (SCHEMA_FILE, json_schema())):
        write_atomic(file, text)
        print(f"written: {file}")


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.registry", __doc__)
    parser.add_configfile()
    words = "propose an entry for a GGUF file from its header; --yes writes it"
    add = parser.add_subcommand("add", _add, words)
    words = "the GGUF file; of a split model, the first part"
    add.add_argument("weights", type=Path, metavar="FILE", help=words)
    words = "the key of the entry (default: made from the file's name)"
    add.add_argument("--key", help=words)
    words = "write the entry (default: only show it)"
    add.add_argument("--yes", action="store_true", help=words)
    for name, run, words in (
        ("show", _show, "show one entry with its modes and drafts"),
        ("drafts", _drafts, "show which drafts fit an entry"),
    ):
        command = parser.add_subcommand(name, run, words)
        command.add_argument("key", metavar="KEY", help="a key under roles:")
    words = "show which cells an edit of the registry runs, and for how long"
    diff = parser.add_subcommand("diff", _diff, words)
    for name in ("old", "new"):
        words = f"the {name} registry file"
        diff.add_argument(name, type=Path, metavar=name.upper(), help=words)
    words = "only models whose weights are on this machine (default: as if all were)"
    diff.add_argument("--here", action="store_true", help=words)
    parser.add_subcommand("docs", _docs, f"write {PAGE_FILE} and {SCHEMA_FILE}")
    return parser


if __name__ == "__main__":
    run_command(parser())
