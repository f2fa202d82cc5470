"""Check the registry, and each entry against its weights' GGUF header.

Only the headers are read, no tensor. The exit code is 1 if an entry is left out or a file cannot
be read.

for example:
  python -m scripts.validate
  python -m scripts.validate --model frontdoor --all
  python -m scripts.validate --strict
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from scripts.lib.authoring.registry_check import HeaderVerdict, RegistryFinding, compare
from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError, tell_left_out
from scripts.lib.base.yaml_fields import carried_notice
from scripts.lib.planning.disk import LOCK_FILE, registry_of
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.facts import WeightsFacts, WeightsLock, WeightsReader
from scripts.lib.weights.gguf_header import Header

COLUMNS = "model architecture quant tensors experts context vocabulary tokens template"


def _present(
    registry: Registry, wanted: list[str], hashing: bool
) -> Iterator[tuple[Model, WeightsFacts | str | None]]:
    """Each entry with its weights' facts; None without a file, the error if it is unreadable."""
    models = [registry.entry(key) for key in wanted] or list(registry.models.values())
    paths, reader = {model.key: registry.weights_path(model) for model in models}, WeightsReader()
    present = {key: path for key, path in paths.items() if path is not None and path.is_file()}
    if hashing:
        reader.hash_ahead(present.values())
    for model in tqdm(models, desc="reading headers", unit="file", leave=False, disable=None):
        path = present.get(model.key)
        if path is None:
            yield model, None
            continue
        try:
            yield model, reader.facts(path) if hashing else reader.header_facts(path)
        except (BenchError, OSError) as error:
            yield model, str(error)


def _rows(model: Model, findings: list[RegistryFinding], everything: bool) -> list[list[str]]:
    shown = [f for f in findings if everything or f.verdict is HeaderVerdict.CONTRADICTS]
    return [
        [model.key, str(model.line), f.fact, f.registry, f.file, f.verdict.value] for f in shown
    ]


def _described(model: Model, found: WeightsFacts) -> list[str]:
    h: Header = found.header
    return [
        model.key,
        h.architecture,
        h.quant,
        h.quant_mix,
        f"{h.expert_used_count} of {h.expert_count}" if h.expert_count else "",
        str(h.context_length),
        f"{h.vocab_type} {h.vocab_size}",
        f"BOS {h.bos_id} EOS {h.eos_id}",
        h.chat_template_digest or "none",
    ]


def _print_table(rows: list[list[str]], headers: str) -> None:
    if rows:
        print(tabulate(rows, headers.split(), disable_numparse=True), end="\n\n")


def main(arguments: argparse.Namespace) -> int:
    """Print facts, contradictions and problems."""
    config = load_config()
    registry = registry_of(replace(config, registry=arguments.registry or config.registry))
    lock = WeightsLock.load(LOCK_FILE) if arguments.lock else WeightsLock(LOCK_FILE, {})
    counts, strict = Counter[str](), arguments.strict
    table, described, broken, remedies = [], [], [], []
    for model, found in _present(registry, arguments.model, arguments.sha256 or arguments.lock):
        if isinstance(found, str):
            broken.append(found)
            continue
        if found is None:
            counts["absent" if model.path else "without a file"] += 1
            continue
        findings = list(compare(model, found))
        counts["present"] += 1
        counts.update(f.verdict.value for f in findings)
        table += _rows(model, findings, arguments.all)
        remedies += [f"roles.{model.key}: {f.remedy}" for f in findings if f.remedy]
        described.append(_described(model, found))
        lock = lock.updated(model.path, found)
    if arguments.lock:
        lock.save()
    _print_table(described, COLUMNS)
    _print_table(table, "model line fact registry file verdict")
    left_out = tell_left_out(p for problems in registry.left_out.values() for p in problems)
    if registry.carried:
        print(f"notice: {carried_notice(registry.carried)}", file=sys.stderr)
    for warning in (*registry.warnings, *remedies):
        print(f"warning: {warning}", file=sys.stderr)
    for error in broken:
        print(f"error: {error}", file=sys.stderr)
    _print_counts(registry, counts, len(broken))
    return int(bool(broken) or bool(left_out) or (strict and bool(counts["contradicts"])))


def _print_counts(registry: Registry, counts: Counter[str], broken: int) -> None:
    without = f" ({len(registry.left_out)} left out)" if registry.left_out else ""
    print(
        f"{registry.path}: {len(registry.models)} entries{without}; "
        f"weights: {counts['present']} present, {counts['absent']} absent, "
        f"{counts['without a file']} without a file, {broken} unreadable; "
        f"facts: {counts['agrees']} agree, {counts['contradicts']} contradict, "
        f"{counts['not said']} not said; {len(registry.warnings)} warnings"
    )


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.validate", __doc__, main)
    words = "another registry file"
    parser.add_argument("--registry", type=Path, metavar="FILE", help=words)
    words = "only this entry; repeatable"
    parser.add_argument("--model", action="append", default=[], metavar="KEY", help=words)
    for option, words in (
        ("--all", "also list the facts that agree or that the registry does not give"),
        ("--strict", "exit code 1 on a contradiction, too (for CI)"),
        ("--sha256", "also hash the whole files (a minute for 100 GB, then cached)"),
        ("--lock", f"hash the files and write the facts to {LOCK_FILE}"),
    ):
        parser.add_argument(option, action="store_true", help=words)
    return parser


if __name__ == "__main__":
    run_command(parser())
