"""Check the registry: the file itself, and each entry against the GGUF header of its weights. Loads no tensor."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from scripts.lib.authoring.registry_check import HeaderVerdict, RegistryFinding, compare
from scripts.lib.base.errors import BenchError, run_cli, tell_left_out
from scripts.lib.planning.disk import LOCK_FILE, registry_of
from scripts.lib.registry.types import carried_notice
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.facts import WeightsFacts, WeightsLock, WeightsReader
from scripts.lib.weights.gguf_header import Header

HEADERS = ("model", "line", "fact", "registry", "file", "verdict")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.validate", description=__doc__)
    parser.add_argument("--registry", type=Path, help="another registry file")
    parser.add_argument("--model", action="append", default=[], help="only this entry; repeatable")
    parser.add_argument(
        "--all", action="store_true", help="also list the facts that agree or are not said"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit code 1 on a contradiction as well (for CI)"
    )
    parser.add_argument(
        "--sha256",
        action="store_true",
        help="also hash the files whole (a minute for 100 GB, then cached)",
    )
    parser.add_argument(
        "--lock", action="store_true", help=f"hash, and write the facts found to {LOCK_FILE}"
    )
    return parser.parse_args()


def _present(
    registry: Registry, wanted: list[str], hashing: bool
) -> Iterator[tuple[Model, WeightsFacts | str | None]]:
    """Each entry with its weights' facts; None where there is no file, a text where the file cannot be read."""
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
    ids = f"BOS {h.bos_id} EOS {h.eos_id}"
    experts = f"{h.expert_used_count} of {h.expert_count}" if h.expert_count else ""
    template = h.chat_template_digest or "none"
    vocabulary = f"{h.vocab_type} {h.vocab_size}"
    return [
        model.key,
        h.architecture,
        h.quant,
        h.quant_mix,
        experts,
        str(h.context_length),
        vocabulary,
        ids,
        template,
    ]


def main() -> int:
    arguments = _arguments()
    config = load_config()
    registry = registry_of(replace(config, registry=arguments.registry or config.registry))
    lock = WeightsLock.load(LOCK_FILE) if arguments.lock else WeightsLock(LOCK_FILE, {})
    counts = Counter[str]()
    table, described, broken = [], [], []
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
        described.append(_described(model, found))
        lock = lock.updated(model.path, found)
    if arguments.lock:
        lock.save()
    if described:
        columns = (
            "model",
            "architecture",
            "quant",
            "tensors",
            "experts",
            "context",
            "vocabulary",
            "tokens",
            "template",
        )
        print(tabulate(described, columns, tablefmt="simple", disable_numparse=True), end="\n\n")
    if table:
        print(tabulate(table, HEADERS, tablefmt="simple", disable_numparse=True), end="\n\n")
    left_out = tell_left_out(
        problem for problems in registry.left_out.values() for problem in problems
    )
    if registry.carried:
        print(f"note: {carried_notice(registry.carried)}", file=sys.stderr)
    for problem in (*registry.warnings, *broken):
        print(
            f"warning: {problem}" if problem not in broken else f"error: {problem}", file=sys.stderr
        )
    without = f" ({len(registry.left_out)} left out)" if left_out else ""
    print(
        f"{registry.path}: {len(registry.models)} entries{without}; weights: {counts['present']} present, "
        f"{counts['absent']} absent, {counts['without a file']} without a file, {len(broken)} unreadable; facts: "
        f"{counts['agrees']} agree, {counts['contradicts']} contradict, {counts['not said']} not said; "
        f"{len(registry.warnings)} warnings"
    )
    return int(bool(broken) or bool(left_out) or (arguments.strict and bool(counts["contradicts"])))


if __name__ == "__main__":
    run_cli(main)
