"""Check whether every stored record is intact, and list who wrote them.

Cells, reviews, verdicts, environments, probes and runs carry a seal: the sha256 of their content. A
record that does not match its seal, its name or the other records is damaged. It counts as missing
and enters no table. The exit code is 1 if a record is damaged.

A seal is not a signature. Git knows who wrote a record; the table of authors comes from there.

for example:
  python -m scripts.verify
  python -m scripts.verify --sign    seal records as they are now, after you have checked the change
  snakemake -j8 retry_failed         measure damaged cells again; any run makes damaged reviews and
                                     probes again
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import chain

from tabulate import tabulate
from tqdm import tqdm

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError
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
    """A table with a row per author and a column per kind of record; empty if git is missing."""
    by = authors(item.file for item in checked)
    counts = Counter((by[item.file], item.kind.name) for item in checked if item.file in by)
    kinds = [kind.name for kind in (LOCK, *KINDS) if any(item.kind is kind for item in checked)]
    rows = [
        [one_line(author), *(counts[author, kind] or "" for kind in kinds)]
        for author in sorted({a for a, _ in counts})
    ]
    return tabulate(rows, ["last written by", *kinds], tablefmt="simple") if rows else ""


def _sign(checked: list[Checked]) -> list[Checked]:
    """Seal what can be sealed; returns what stays damaged."""
    left = []
    for item in checked:
        if sign(item.kind, item.file):
            print(f"signed: {item.file}")
        else:
            left.append(item)
    return left


def main(arguments: argparse.Namespace) -> int:
    """Check the tree and print what is damaged; the exit code is 1 if anything is."""
    if not RESULTS.is_dir():
        raise BenchError(
            f"{RESULTS}: no results tree here; run this command in the project's folder, "
            "after snakemake -j8 results"
        )
    if arguments.sign:
        alone_in_checkout()
    found = chain(check_lock(LOCK_FILE), *(check_tree(root) for root in results_trees(RESULTS)))
    checked = list(tqdm(found, desc="verify", unit="file", disable=None, mininterval=0.5))
    damaged = [item for item in checked if item.problem is not None]
    if arguments.sign:
        damaged = _sign(damaged)
    shown = damaged if arguments.all else damaged[:SHOWN]
    for item in shown:
        print(printable(str(item.problem)), file=sys.stderr)
    if len(damaged) > len(shown):
        print(f"… and {len(damaged) - len(shown)} more: --all names them", file=sys.stderr)
    counts = Counter(item.kind.name for item in checked)
    by_kind = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{by_kind}: {len(damaged)} damaged")
    table = _authorship(checked)
    print(f"\n{table}" if table else "\nno git history here: the records' authors are unknown")
    return 1 if damaged else 0


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.verify", __doc__, main)
    words = "seal, as they are now, damaged records whose content is a valid record"
    parser.add_argument("--sign", action="store_true", help=words)
    words = f"name every damaged record (default: the first {SHOWN})"
    parser.add_argument("--all", action="store_true", help=words)
    return parser


if __name__ == "__main__":
    run_command(parser())
