"""Looks for damaged records of the results tree before a run, and reports them at its end.

The tables list them (`damaged.csv`). Planning reads no cells. So a run first checks each review of
which a file has changed since the last check, by size and times. After a clone, all are checked.
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
    "damaged records count as missing. Restore them with git, or measure them again: "
    "snakemake -j8 retry_failed. To check the whole tree: python -m scripts.verify"
)


def known_damage() -> list[dict[str, str]]:
    """The rows of the last table of damaged records; none if it cannot be read."""
    try:
        text = DAMAGED_TABLE.read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error):
        return []


def _last_look() -> dict[str, str]:
    """Review file -> the state of its files at the last check; empty if that is not known."""
    try:
        found = json.loads(LAST_LOOK.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(review: Review) -> str:
    """A digest of the sizes and times of a review's file and its cells' files."""
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
    """The stored reviews that do not match their cells. Only changed files are checked."""
    stored = {file: review for file, review in reviews.items() if Path(file).is_file()}
    states, before = {file: _state(review) for file, review in stored.items()}, _last_look()
    changed = [file for file, state in states.items() if before.get(file) != state]
    cells, found = StoredCells(), []
    for file in tqdm(changed, desc="checking changed files", unit="review", disable=None, delay=1):
        if check_review(stored[file], cells).damaged:
            found.append(file)
    # A run of one model checks only that model's reviews: the states of the others are kept.
    known = before | states
    for file in list(known):
        if file in found or not Path(file).is_file():
            del known[file]
    write_atomic(LAST_LOOK, json.dumps(known))
    return found


def look_again(workflow: Workflow) -> frozenset[str]:
    """Delete damaged or outdated reviews and probes' outcomes: this run makes them again.

    The tables are deleted with them, and also if anything is left out: a run reports that at its
    end, which Snakemake reaches only if there was a job. Returns the reviews.
    """
    known = known_damage()
    reviews = {row.get("review") or "" for row in known} & set(workflow.reviews)
    reviews.update(damaged_reviews(workflow.reviews))
    for file in reviews:
        drop(Path(file))
    for probe in map(Path, workflow.probes):
        if probe.is_file() and read_outcome(probe) is None:
            drop(probe)
    if known or reviews or workflow.planner.faults or workflow.damaged:
        drop(Path(workflow.stamp))
        drop(DAMAGED_TABLE)
    return frozenset(reviews)


def _damage_now(workflow: Workflow, looked: frozenset[str]) -> Iterator[Problem]:
    """The damage in this run's tables; without tables, in the reviews that were made again."""
    if Path(workflow.stamp).is_file():
        for row in known_damage():
            yield Problem(row.get("file") or "", row.get("place") or "", row.get("problem") or "")
        return
    cells = StoredCells()
    for review in (workflow.reviews[file] for file in sorted(looked) if Path(file).is_file()):
        yield from (damage.problem for damage in check_review(review, cells).damaged)


def check_complete(workflow: Workflow, looked: frozenset[str]) -> None:
    """Raise InputErrors if anything unreadable or damaged was left out; the exit code is then 1.

    `looked`: the reviews that `look_again` returned.
    """
    damaged = list(_damage_now(workflow, looked))
    if workflow.planner.faults or damaged:
        problems = dict.fromkeys((*workflow.planner.faults, *damaged))
        raise InputErrors(problems, advice=HOW_TO_MEND if damaged else "")
