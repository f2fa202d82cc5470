"""Damaged records of the results tree: looked for before a run, and told at its end.

The tables name what is damaged (`damaged.csv`). Planning reads no cell; so, before anything else, a
run looks at the cells of each review whose files changed since the last look, by size and times: a
fresh clone is looked at whole, once.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from scripts.lib.base.errors import InputErrors, Problem
from scripts.lib.base.layout import DAMAGED_TABLE
from scripts.lib.base.results_tree import drop
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import digest
from scripts.lib.results.probe_outcomes import read_outcome
from scripts.lib.results.review import Review
from scripts.lib.results.review_check import StoredCells, check_review
from scripts.lib.workflow.targets import Workflow

LAST_LOOK = Path(".cache/last-look.json")
HOW_TO_MEND = (
    "damaged records count as missing: restore them by git, or measure them again: snakemake -j8 retry_failed; "
    "python -m scripts verify checks the whole tree"
)


def known_damage() -> list[dict[str, str]]:
    """The rows of the table of damaged records, as it was last made; none where it cannot be read."""
    try:
        return list(
            csv.DictReader(io.StringIO(DAMAGED_TABLE.read_text(encoding="utf-8"), newline=""))
        )
    except (OSError, ValueError, csv.Error):
        return []


def _last_look() -> dict[str, str]:
    """Review file -> the state of its files at the last look; a cache: what cannot be read is looked at again."""
    try:
        found = json.loads(LAST_LOOK.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(review: Review) -> str:
    """A digest of size and times of a review's file and of its cells'."""
    cells = [f"{review.shard.folder}/{cell.file_name}" for cell in review.cells]
    if review.base is not None:
        cells += [f"{review.base.folder}/{cell.file_name}" for cell in review.base_cells]
    seen = []
    for file in (review.file, *cells):
        try:
            stat = Path(file).stat()
        except OSError:
            continue
        seen.append([file, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns])
    return digest(seen)


def damaged_reviews(reviews: Mapping[str, Review]) -> list[str]:
    """The stored reviews that do not fit their cells, of those whose files changed since the last look."""
    stored = {file: review for file, review in reviews.items() if Path(file).is_file()}
    states, before = {file: _state(review) for file, review in stored.items()}, _last_look()
    changed = [file for file, state in states.items() if before.get(file) != state]
    cells, found = StoredCells(), []
    for file in tqdm(
        changed, desc="looking at changed files", unit="review", disable=None, delay=1
    ):
        if check_review(stored[file], cells).damaged:
            found.append(file)
    # A run of one model looks at its reviews only: what is known of the others stays.
    known = {
        file: state
        for file, state in (before | states).items()
        if file not in found and Path(file).is_file()
    }
    write_atomic(LAST_LOOK, json.dumps(known))
    return found


def look_again(workflow: Workflow) -> frozenset[str]:
    """Drop what does not fit the records it was made of, or lacks one that was damaged: it is made again in this run.

    Reviews, probes' outcomes, and the tables: these also where planning found one damaged, and as
    long as something is left out, since the end of a run, which says so, is reached only behind a
    job. Gives the reviews.
    """
    known = known_damage()
    reviews = {row.get("review") or "" for row in known} & set(workflow.reviews)
    reviews.update(damaged_reviews(workflow.reviews))
    probes = [
        file
        for file in workflow.probes
        if Path(file).is_file() and read_outcome(Path(file)) is None
    ]
    for file in (*reviews, *probes):
        drop(Path(file))
    if known or reviews or workflow.planner.faults or workflow.damaged:
        drop(Path(workflow.stamp))
        drop(DAMAGED_TABLE)
    return frozenset(reviews)


def _damage_now(workflow: Workflow, looked: frozenset[str]) -> Iterator[Problem]:
    """What the tables of this run name; where it made none (`results_MODEL`), what the reviews that it looked at lack."""
    if Path(workflow.stamp).is_file():
        for row in known_damage():
            yield Problem(row.get("file") or "", row.get("place") or "", row.get("problem") or "")
        return
    cells = StoredCells()
    for review in (workflow.reviews[file] for file in sorted(looked) if Path(file).is_file()):
        yield from (damage.problem for damage in check_review(review, cells).damaged)


def check_complete(workflow: Workflow, looked: frozenset[str]) -> None:
    """Raise InputErrors where something was left out since it cannot be read or believed: the exit code says so, too.

    `looked`: the reviews that `look_again` had made again.
    """
    damaged = list(_damage_now(workflow, looked))
    if workflow.planner.faults or damaged:
        problems = dict.fromkeys((*workflow.planner.faults, *damaged))
        raise InputErrors(problems, advice=HOW_TO_MEND if damaged else "")
