"""Check every stored record: is it what was written, does it fit the others, and who wrote it.

Cells, reviews, verdicts, environments, probes and runs carry a seal, the sha256 of their content.
One that does not fit its seal, its name or the other records is damaged: it counts as missing, and
enters no table. Exit code 1 where there is any.

A seal is no signature. Who wrote a record is told by git, and shown here by author.

  python -m scripts verify python -m scripts verify --sign      # after you have looked at what
  changed: seal it as it is now snakemake -j8 retry_failed           # measure damaged cells again;
  damaged reviews and probes are made again by any run
"""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import sys
from collections import Counter
from itertools import chain

from tabulate import tabulate
from tqdm import tqdm

from scripts.lib.base.errors import BenchError, run_cli
from scripts.lib.base.layout import RESULTS
from scripts.lib.base.untrusted_text import one_line, printable
from scripts.lib.machine.process import alone_in_checkout
from scripts.lib.planning.disk import LOCK_FILE
from scripts.lib.workflow.verification import (
    KINDS,
    LOCK,
    Checked,
    authors,
    check_lock,
    check_tree,
    results_trees,
    sign,
)

SHOWN = 40


def _authorship(checked: list[Checked]) -> str:
    """A row an author, a column a kind of record; empty where git does not tell."""
    by = authors(item.file for item in checked)
    counts = Counter((by[item.file], item.kind.name) for item in checked if item.file in by)
    kinds = [kind.name for kind in (LOCK, *KINDS) if any(item.kind is kind for item in checked)]
    rows = [
        [one_line(author), *(counts[author, kind] or "" for kind in kinds)]
        for author in sorted({a for a, _ in counts})
    ]
    return tabulate(rows, ["last written by", *kinds], tablefmt="simple") if rows else ""


def _sign(checked: list[Checked]) -> list[Checked]:
    """Seal what can be sealed; gives what stays damaged."""
    left = []
    for item in checked:
        if sign(item.kind, item.file):
            print(f"signed: {item.file}")
        else:
            left.append(item)
    return left


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts verify", description=__doc__, formatter_class=form
    )
    parser.add_argument(
        "--sign",
        action="store_true",
        help="seal damaged records whose content is a record, as it is now",
    )
    parser.add_argument(
        "--all", action="store_true", help=f"name every damaged record (default: the first {SHOWN})"
    )
    arguments = parser.parse_args()
    if not RESULTS.is_dir():
        raise BenchError(
            f"{RESULTS}: no results tree here; run it in the project's folder, after snakemake -j8 results"
        )
    if arguments.sign:
        alone_in_checkout()
    found = chain(check_lock(LOCK_FILE), *(check_tree(root) for root in results_trees(RESULTS)))
    checked = list(tqdm(found, desc="verify", unit="file", disable=None, mininterval=0.5))
    damaged = [item for item in checked if item.problem is not None]
    if arguments.sign:
        damaged = _sign(damaged)
    for item in damaged[: None if arguments.all else SHOWN]:
        print(printable(str(item.problem)), file=sys.stderr)
    if len(damaged) > SHOWN and not arguments.all:
        print(f"… and {len(damaged) - SHOWN} more: --all names them", file=sys.stderr)
    counts = Counter(item.kind.name for item in checked)
    print(
        ", ".join(f"{count} {name}" for name, count in counts.items()) + f": {len(damaged)} damaged"
    )
    table = _authorship(checked)
    print(f"\n{table}" if table else "\nno git here: who wrote the records is not known")
    return 1 if damaged else 0


if __name__ == "__main__":
    run_cli(main)
