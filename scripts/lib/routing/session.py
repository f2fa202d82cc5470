"""One sample's folder: the pipeline is asked for its cells, and what they were worth is written beside the question.

`benchmarks/results/routing/{hardware}/{sample}/` holds what was asked for (sample.json), the
configuration of each entry's part, outcomes.csv, routes.csv, summary.md. Samples are put together
by the facts: of a question put to one entry as one action the newest outcome counts, and what it is
worth is told against the frontdoor that it was sampled with.
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
from scripts.lib.routing.rewards import Outcome, missing, outcome, rewarded
from scripts.lib.settings.run_config import parse_config

OUTCOMES = "outcomes.csv"
WRITTEN = "written_utc"
# Suite, question, action, entry, mode.
_Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Part:
    """One entry's part of a sample in one mode: its configuration as plain values, its shard, and that shard's review."""

    key: str
    mode: str
    settings: Mapping[str, Any]
    shard: Shard
    review: str

    @property
    def name(self) -> str:
        return self.key if self.mode == MODE else f"{self.key}.{self.mode}"

    def pending(self) -> tuple[Cell, ...]:
        """The cells that are still to be run."""
        return pending(self.shard)

    def targets(self) -> list[str]:
        """The files that Snakemake is to make: a missing cell (its job makes them all), and the review."""
        missing_cells = [f"{self.shard.folder}/{cell.file_name}" for cell in self.pending()]
        return [
            *missing_cells[:1],
            *([] if not missing_cells and Path(self.review).is_file() else [self.review]),
        ]

    def rows(self) -> tuple[ReviewRow, ...]:
        """The reviewed cells; none where the job failed before the review."""
        return read_review(Path(self.review)) if Path(self.review).is_file() else ()


def parts_of(sample: Sample, raw: Mapping[str, Any]) -> tuple[tuple[Part, ...], tuple[Absent, ...]]:
    """The parts of a sample, one per entry and mode, planned as the pipeline plans them; and the modes that entries lack.

    Raises BenchError where no entry has any of the modes.
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
            f"--modes: no entry of the sample has one of the decoding modes {', '.join(sample.modes)}\n{reasons}"
        )
    return tuple(parts), tuple(absent)


def _plan(settings: Mapping[str, Any], key: str) -> Plan:
    return make_plan(for_model(load_planner(parse_config(settings)), key))


def _modes_of(
    sample: Sample, raw: Mapping[str, Any], key: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """(the modes asked for that an entry has, (pattern, reason) of each pattern that fits none of them)."""
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
    """Have Snakemake make what is missing of a part; True when all of it is there (or, on a dry run, could be)."""
    if not (targets := part.targets()):
        return True
    file = folder / f"{part.name}.yaml"
    # JSON is the YAML that every reader understands alike: Snakemake's own is of version 1.1.
    write_atomic(
        file, json.dumps(dict(part.settings), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    argv = [sys.executable, "-m", "snakemake", "--configfile", str(file)]
    argv += ["--dry-run"] if dry_run else []
    argv += [] if verbose else ["--quiet", "all"]
    # Not subprocess.run: at Ctrl-C that kills Snakemake, which is finishing the cell in flight.
    return subprocess.Popen([*argv, "--", *targets]).wait() == 0


def outcomes_of(sample: Sample, parts: Sequence[Part]) -> tuple[Outcome, ...]:
    """The outcome of every question under every action and mode, rewards included."""
    return rewarded(_outcomes(sample, parts))


def _outcomes(sample: Sample, parts: Sequence[Part]) -> Iterator[Outcome]:
    for part in parts:
        rows = {f"{row.suite}/{row.question_id}": row for row in part.rows()}
        for suite, actions in sample.routes.items():
            for action in (action for action, model in actions.items() if model.key == part.key):
                for question in sample.questions[suite]:
                    row = rows.get(question.name_in_full)
                    if row is not None:
                        yield outcome(action, part.key, row, part.mode)
                    else:
                        why = "its cell is not there: see the run's log"
                        yield missing(action, part.key, question, why, part.mode)


def joined(rounds: Iterable[Sequence[Outcome]]) -> tuple[Outcome, ...]:
    """The outcomes of several rounds of one session: of a question put to one entry as one action in one mode the last."""
    return tuple({_key(o): o for outcomes in rounds for o in outcomes}.values())


def outcomes_csv(outcomes: Sequence[Outcome], written_utc: str) -> str:
    """One line per question and action, each with the time of writing, by which the newest of several samples is told."""
    columns = [*(field.name for field in fields(Outcome)), WRITTEN]
    return csv_text(columns, ((*asdict(o).values(), written_utc) for o in outcomes))


def read_outcomes(folder: Path) -> tuple[tuple[Outcome, ...], ...]:
    """The outcomes of all samples of a hardware profile: those of one suite and one frontdoor together, by suite.

    Each question counts once per action and entry, by its newest outcome; one that is missing
    counts where nothing else is known. Raises BenchError for a damaged file.
    """
    samples = [_read(file) for file in sorted(folder.glob(f"*/{OUTCOMES}"))]
    newest: dict[_Key, Outcome] = {}
    asked: dict[tuple[str, str], dict[_Key, None]] = {}
    for _, outcomes in sorted(samples, key=lambda sample: sample[0]):
        frontdoors = {o.suite: o.entry for o in outcomes if o.action == FRONTDOOR}
        for o in outcomes:
            asked.setdefault((o.suite, frontdoors.get(o.suite, "")), {})[_key(o)] = None
            if o.cell_file or _key(o) not in newest:
                newest[_key(o)] = o
    return tuple(rewarded(newest[key] for key in asked[group]) for group in sorted(asked))


def _key(o: Outcome) -> _Key:
    return o.suite, o.question, o.action, o.entry, o.mode


def _read(file: Path) -> tuple[datetime, list[Outcome]]:
    """(when it was written, its outcomes). Files of before that time was recorded have the file's own."""
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    with file.open(encoding="utf-8", newline="") as stream:
        try:
            lines = list(csv.DictReader(stream))
            times = [
                datetime.fromisoformat(line[WRITTEN]).astimezone(UTC)
                for line in lines
                if line.get(WRITTEN)
            ]
            return max(times, default=written), [_parsed(line) for line in lines]
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise BenchError(
                f"{file}: not a table of outcomes ({error!r}); delete its folder and run again"
            ) from error


def _parsed(line: Mapping[str, str]) -> Outcome:
    def number(name: str) -> float | None:
        return float(line[name]) if line[name] else None

    if line["action"] not in ACTIONS:
        raise ValueError(f"no action '{line['action']}'")
    if line["success"] == "True" and not line["quality"]:
        raise ValueError("a success without quality")
    return Outcome(
        suite=line["suite"],
        question=line["question"],
        tier=int(line["tier"]),
        action=line["action"],
        entry=line["entry"],
        success=None if line["success"] == "" else line["success"] == "True",
        quality=number("quality"),
        elapsed_s=number("elapsed_s"),
        expected_s=number("expected_s"),
        reward=number("reward"),
        infrastructure=line["infrastructure"] == "True",
        why=line["why"],
        cell_file=line["cell_file"],
        # Samples of before modes were asked for have no such column.
        mode=line.get("mode") or MODE,
    )
