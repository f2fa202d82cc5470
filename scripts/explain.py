"""Explain cells: the state of each, its file, and which fields changed.

for example:
  python -m scripts.explain smollm2_135m_q4_1/baseline/math/t1_q1_apples    one cell
  python -m scripts.explain 'smollm2_135m_q4_1/*/math/*'                    several; quote the *
  python -m scripts.explain --hardware reference-vm-2c lookup_n3            names with this word
  python -m scripts.explain 4f1c09d2ab7e                                   the cell with this digest

states:
  valid    measured with the present spec; it counts and is not run again
  failed   measured, and the model failed; a result until `snakemake retry_failed` deletes it
  damaged  stored, but the file cannot be trusted; `snakemake retry_failed` measures it again
  new      never measured; the next `snakemake results` runs it
  stale    measured with another spec; the fields that differ are shown, and the next
           `snakemake results` measures it again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from scripts.cells import add_options, config_of, planned_states
from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError
from scripts.lib.base.stored_json import Damaged
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.results.states import CellState, State, why_stale


def _how_it_ended(file: Path) -> str:
    """When a cell was measured and how it ended, or why it cannot be read."""
    try:
        record = read_cell(file)
    except Damaged as damage:
        return damage.problem.message
    error = f": {record.error}" if record.error else ""
    return f"measured {record.started_utc}, run {record.run_id}, {record.status}{error}"


def _fits(pattern: str, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, f"*{pattern}*") for name in names)


def _explain(state: CellState, file: str) -> None:
    print(f"{state.cell.id} ({state.shard.engine}): {state.state}")
    print(f"  file: {file}")
    for change in why_stale(state):
        print(f"  {change}")
    if state.file is not None:
        stale = state.state is State.STALE
        print(f"  previous cell: {state.file}" if stale else f"  {_how_it_ended(state.file)}")


def main(arguments: argparse.Namespace) -> None:
    """Explain each cell that matches. Raises BenchError if none does."""
    pattern, found = arguments.pattern, 0
    for state in planned_states(config_of(arguments)):
        name = str(state.cell.id)
        file = f"{state.shard.folder}/{state.cell.file_name}"
        exact = pattern in (state.cell.digest, file)
        if exact or _fits(pattern, (name, name.partition("/")[2])):
            found += 1
            _explain(state, file)
    if not found:
        raise BenchError(
            f"no planned cell matches '{pattern}'; "
            "a cell is HARDWARE/MODEL/MODE/SUITE/QUESTION, * is allowed"
        )


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.explain", __doc__, main)
    add_options(parser)
    words = "HARDWARE/MODEL/MODE/SUITE/QUESTION or a part of it, * allowed; a digest; or a file"
    parser.add_argument("pattern", metavar="CELL", help=words)
    return parser


if __name__ == "__main__":
    run_command(parser())
