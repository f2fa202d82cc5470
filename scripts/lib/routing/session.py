"""Runs a sample with the pipeline, and reads and writes its outcomes.

`benchmarks/results/routing/{hardware}/{sample}/` holds the options (sample.json), the configuration
of each part, outcomes.csv, routes.csv and summary.md. If samples are joined, the newest outcome of
each question, entry and action counts. Its reward is computed with the times of the frontdoor of
its own sample.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.globs import matches
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.planning.disk import for_model, load_planner, pending
from scripts.lib.planning.plan import Cell, Plan, Shard, find_shard, make_plan
from scripts.lib.results.review import plan_review
from scripts.lib.results.review_rows import ReviewRow, read_review
from scripts.lib.routing.entries import ACTIONS, FRONTDOOR, MODE, Absent, Sample, entry_settings
from scripts.lib.routing.rewards import ModelOutcome, missing, outcome, rewarded
from scripts.lib.settings.run_config import parse_config

OUTCOMES = "outcomes.csv"
WRITTEN = "written_utc"
# Suite, question, action, entry, mode.
_Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Part:
    """One entry's part of a sample in one mode: configuration (plain values), shard and review."""

    key: str
    mode: str
    settings: Mapping[str, Any]
    shard: Shard
    review: str

    @property
    def name(self) -> str:
        """The entry, with the mode if that is not `baseline`."""
        return self.key if self.mode == MODE else f"{self.key}.{self.mode}"

    def pending(self) -> tuple[Cell, ...]:
        """The cells that are missing."""
        return pending(self.shard)

    def targets(self) -> list[str]:
        """The files to ask Snakemake for; empty if nothing is missing.

        One missing cell is enough, because its job makes all of them.
        """
        if missing_cells := self.pending():
            return [f"{self.shard.folder}/{missing_cells[0].file_name}", self.review]
        return [] if Path(self.review).is_file() else [self.review]

    def rows(self) -> tuple[ReviewRow, ...]:
        """The reviewed cells; empty if the review is missing."""
        return read_review(Path(self.review)) if Path(self.review).is_file() else ()


def parts_of(sample: Sample, raw: Mapping[str, Any]) -> tuple[tuple[Part, ...], tuple[Absent, ...]]:
    """The parts of a sample, one per entry and mode; and the modes that entries do not have.

    Raises BenchError if no entry has any of the modes.
    """
    parts: list[Part] = []
    absent: list[Absent] = []
    for key in sample.by_entry:
        found, lacking = _modes_of(sample, raw, key)
        absent += (
            Absent(f"mode {pattern} of {key}", "--modes", reason) for pattern, reason in lacking
        )
        for mode in found:
            settings = entry_settings(raw, sample, key, (mode,))
            plan = _plan(settings, key)
            shard = find_shard(plan, key, mode)
            parts.append(Part(key, mode, settings, shard, plan_review(plan, shard).file))
    if not parts:
        reasons = "\n".join(f"  {item.action}: {item.reason}" for item in absent)
        raise BenchError(
            "--modes: no entry of the sample has one of the decoding modes "
            f"{', '.join(sample.modes)}\n{reasons}"
        )
    return tuple(parts), tuple(absent)


def _plan(settings: Mapping[str, Any], key: str) -> Plan:
    return make_plan(for_model(load_planner(parse_config(settings)), key))


def _modes_of(
    sample: Sample, raw: Mapping[str, Any], key: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """(the modes of an entry that are asked for, (pattern, reason) of the patterns without one)."""
    if sample.modes == (MODE,):
        return [MODE], []
    every = _plan(entry_settings(raw, sample, key, ("*",)), key)
    known = [shard.mode.name for shard in every.shards if shard.model.key == key]
    found = [name for name in known if matches(name, sample.modes)]
    lacking = [
        pattern for pattern in sample.modes if not any(matches(name, (pattern,)) for name in known)
    ]
    return found, [(pattern, _why_lacking(every, key, pattern, known)) for pattern in lacking]


def _why_lacking(plan: Plan, key: str, pattern: str, known: Sequence[str]) -> str:
    reasons = [
        item.reason
        for item in plan.left_out
        if item.model == key and item.question is None and matches(pattern, (item.mode,))
    ]
    return reasons[0] if reasons else f"it has no such decoding mode{suggest(pattern, known)}"


def run_part(part: Part, folder: Path, dry_run: bool, verbose: bool) -> bool:
    """Let Snakemake make the missing files of a part; True if it succeeds."""
    if not (targets := part.targets()):
        return True
    file = folder / f"{part.name}.yaml"
    # Written as JSON, which YAML 1.1 (Snakemake's reader) and 1.2 read in the same way.
    settings = json.dumps(dict(part.settings), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(file, settings + "\n")
    argv = [sys.executable, "-m", "snakemake", "--configfile", str(file)]
    argv += ["--dry-run"] if dry_run else []
    argv += [] if verbose else ["--quiet", "all"]
    # Not subprocess.run, which on Ctrl-C kills Snakemake while it finishes the current cell.
    return subprocess.Popen([*argv, "--", *targets]).wait() == 0


def outcomes_of(sample: Sample, parts: Sequence[Part]) -> tuple[ModelOutcome, ...]:
    """The outcome of each question for each action and mode, with rewards."""
    return rewarded(_outcomes(sample, parts))


def _outcomes(sample: Sample, parts: Sequence[Part]) -> Iterator[ModelOutcome]:
    for part in parts:
        rows = {f"{row.suite}/{row.question_id}": row for row in part.rows()}
        asked = [
            (action, question)
            for suite, actions in sample.routes.items()
            for action, model in actions.items()
            if model.key == part.key
            for question in sample.questions[suite]
        ]
        for action, question in asked:
            row = rows.get(question.name_in_full)
            if row is not None:
                yield outcome(action, part.key, row, part.mode)
            else:
                why = "its cell is missing; see the run's log"
                yield missing(action, part.key, question, why, part.mode)


def joined(rounds: Iterable[Sequence[ModelOutcome]]) -> tuple[ModelOutcome, ...]:
    """The last outcome of each question, action, entry and mode over the rounds of a session."""
    return tuple({_key(o): o for outcomes in rounds for o in outcomes}.values())


def outcomes_csv(outcomes: Sequence[ModelOutcome], written_utc: str) -> str:
    """One line per outcome, with the time of writing, which shows the newest of several samples."""
    columns = [*(field.name for field in fields(ModelOutcome)), WRITTEN]
    return csv_text(columns, ((*asdict(o).values(), written_utc) for o in outcomes))


def read_outcomes(folder: Path) -> tuple[tuple[ModelOutcome, ...], ...]:
    """The outcomes of all samples of a hardware profile, grouped by suite and frontdoor.

    For each question, action and entry, the newest outcome counts; one with a missing cell counts
    only if there is no other. Raises BenchError for a damaged file.
    """
    samples = [_read(file) for file in sorted(folder.glob(f"*/{OUTCOMES}"))]
    newest: dict[_Key, ModelOutcome] = {}
    asked: dict[tuple[str, str], dict[_Key, None]] = {}
    for _, outcomes in sorted(samples, key=lambda sample: sample[0]):
        frontdoors = {o.suite: o.entry for o in outcomes if o.action == FRONTDOOR}
        for o in outcomes:
            asked.setdefault((o.suite, frontdoors.get(o.suite, "")), {})[_key(o)] = None
            if o.cell_file or _key(o) not in newest:
                newest[_key(o)] = o
    return tuple(rewarded(newest[key] for key in asked[group]) for group in sorted(asked))


def _key(o: ModelOutcome) -> _Key:
    return o.suite, o.question, o.action, o.entry, o.mode


def _read(file: Path) -> tuple[datetime, list[ModelOutcome]]:
    """(time of writing, outcomes). Older files do not record the time; the file's own is used."""
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    with file.open(encoding="utf-8", newline="") as stream:
        try:
            lines = list(csv.DictReader(stream))
            times = [line[WRITTEN] for line in lines if line.get(WRITTEN)]
            if times:
                written = max(datetime.fromisoformat(time).astimezone(UTC) for time in times)
            return written, [_parsed(line) for line in lines]
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise BenchError(
                f"{file}: not a table of outcomes ({error!r}); delete its folder and run again"
            ) from error


def _parsed(line: Mapping[str, str]) -> ModelOutcome:
    if line["action"] not in ACTIONS:
        raise ValueError(f"no action '{line['action']}'")
    if line["success"] == "True" and not line["quality"]:
        raise ValueError("a success without quality")
    texts: dict[str, Any] = {
        name: line[name] for name in ("suite", "question", "action", "entry", "why", "cell_file")
    }
    numbers: dict[str, Any] = {
        name: float(line[name]) if line[name] else None
        for name in ("quality", "elapsed_s", "expected_s", "reward")
    }
    return ModelOutcome(
        **texts,
        **numbers,
        tier=int(line["tier"]),
        success=None if line["success"] == "" else line["success"] == "True",
        infrastructure=line["infrastructure"] == "True",
        # Older samples have no column for the mode.
        mode=line.get("mode") or MODE,
    )
