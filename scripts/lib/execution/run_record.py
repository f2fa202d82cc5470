"""The record of one invocation: `runs/{YYYY-MM-DD_HHMMSS}/`.

It holds config.json, output.jsonl, outcome.json and summary.md. It is made when the first cell is
stored, and grows cell by cell, so a run that fails half-way has a record, too.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from scripts.lib.base.errors import Problem
from scripts.lib.base.layout import RUNS
from scripts.lib.base.locks import flock
from scripts.lib.base.markdown import DASH, code, quoted, text
from scripts.lib.base.safe_files import naming, write_atomic
from scripts.lib.base.stored_json import (
    SEAL,
    Damaged,
    believed,
    now_utc,
    read_sealed,
    read_stored,
    sealed,
    stored_text,
)
from scripts.lib.machine.memory_nodes import shares_text
from scripts.lib.planning.cell_record import CellRecord, joules_per_token

OUTPUT, OUTCOME, SUMMARY = "output.jsonl", "outcome.json", "summary.md"
RUN_VARIABLE = "EPYC_BENCH_RUN"
# The most characters of an error in summary.md; the error may have some lines of an engine's log.
WORDS_LIMIT = 2_000


class RunEnd(StrEnum):
    """How a run ended; while it is going on, how its last shard ended."""

    RUNNING = "cut off, or still going"  # what a kill -9 leaves behind
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CUT_OFF = "cut off by an error"


def current_run_id() -> str:
    """The run's id: that of the invocation, else a new one (the time in UTC)."""
    return os.environ.setdefault(RUN_VARIABLE, datetime.now(UTC).strftime("%Y-%m-%d_%H%M%S"))


# Fields of a measurement that are columns of output.jsonl.
FIGURES = (
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "ttft_s",
    "prefill_tokens_per_s",
    "decode_tokens_per_s",
    "drafted_tokens",
    "accepted_tokens",
)


def output_line(record: CellRecord) -> dict[str, Any]:
    """One cell as a row of output.jsonl: the columns to search for. The cell file has the rest."""
    row: dict[str, Any] = {
        **asdict(record.cell),
        "question_id": record.cell.question,
        "digest": record.digest,
        "status": record.status,
        "error": record.error,
        "failure": record.failure,
        "started_utc": record.started_utc,
        "stored_utc": now_utc(),
        "load_s": record.load_s,
        "peak_rss_bytes": record.peak_rss_bytes,
        "environment": record.environment,
        "engine": record.spec.get("engine"),
    }
    del row["question"]
    if "memory_nodes" in record.effective:
        row["memory_nodes"] = shares_text(record.effective["memory_nodes"])
    if record.measurement is not None:
        row["response"] = record.measurement.answer
        row |= {name: getattr(record.measurement, name) for name in FIGURES}
        row["joules_per_token"] = joules_per_token(record)
    return row


class RunRecord:
    """Appends to the invocation's record; several shards' processes share it."""

    def __init__(self, root: Path, run_id: str, config: dict[str, Any]):
        self.folder = root / RUNS / run_id
        self._config = config

    def add(self, record: CellRecord) -> None:
        """Append one cell; the first one makes the folder and its config.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config_file = self.folder / "config.json"
        if not config_file.exists():
            write_atomic(
                config_file, json.dumps(sealed(self._config), indent=2, sort_keys=True) + "\n"
            )
            text = f"# Run {self.folder.name}\n\nOutcome: {RunEnd.RUNNING}.\n"
            write_atomic(self.folder / SUMMARY, text)
        line = json.dumps(sealed(output_line(record)), ensure_ascii=False) + "\n"
        output = self.folder / OUTPUT
        with naming(output), output.open("ab+") as stream:
            flock(stream.fileno(), output)
            _drop_torn_line(stream)
            # UTF-8 cannot encode half a surrogate pair: it is written as a JSON escape.
            stream.write(line.encode("utf-8", "backslashreplace"))
            stream.flush()


def _drop_torn_line(stream: BinaryIO) -> None:
    """Cut off an incomplete line that a killed process left at the end."""
    if not stream.seek(0, os.SEEK_END):
        return
    stream.seek(-1, os.SEEK_END)
    if stream.read() != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of a run's output.jsonl, and the damaged lines."""

    rows: tuple[dict[str, Any], ...]
    damaged: tuple[Problem, ...]


# Every row has these keys.
_ROW_KEYS = frozenset(
    ("hardware", "model", "mode", "suite", "question_id", "repeat", "digest", "status", "error")
)


def _row(line: bytes, file: str, place: str) -> dict[str, Any]:
    row = read_sealed(stored_text(line, file, place), file, place)
    del row[SEAL]
    if not row.keys() >= _ROW_KEYS:
        raise Damaged(file, f"expected the key {min(_ROW_KEYS - row.keys())}, found none", place)
    return row


def read_rows(folder: Path) -> RunRows:
    """The undamaged rows of output.jsonl. A last line that a crash cut off is ignored."""
    return RowReader(folder).new()


class RowReader:
    """Reads the output.jsonl of a run that may still go on: each row once."""

    def __init__(self, folder: Path):
        self._file = folder / OUTPUT
        self._offset, self._lines = 0, 0

    def new(self) -> RunRows:
        """The rows that were added since the last call; none if there is no file yet."""
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return RunRows((), ())
        # Not str.splitlines: it also splits at other characters (U+2028), which a text may contain.
        # The last part is incomplete: it is read when it has its end.
        *lines, incomplete = content.split(b"\n")
        places = [(line, f"line {number}") for number, line in enumerate(lines, self._lines + 1)]
        self._offset += len(content) - len(incomplete)
        self._lines += len(lines)
        damaged: list[Problem] = []
        file = str(self._file)
        rows = tuple(believed(places, lambda item: _row(item[0], file, item[1]), damaged))
        return RunRows(rows, tuple(damaged))


def was_interrupted(folder: Path) -> bool:
    """True if Ctrl-C ended the run, or its last shard."""
    try:
        outcome = read_sealed(read_stored(folder / OUTCOME), str(folder / OUTCOME))
    except (FileNotFoundError, Damaged):
        return False
    return outcome.get("end") == RunEnd.INTERRUPTED


def summarise_failed(folder: Path) -> None:
    """Summarise a run that did not finish: interrupted if its last shard was, else failed."""
    end = RunEnd.INTERRUPTED if was_interrupted(folder) else RunEnd.FAILED
    summarise(folder, end, "; its finished cells are kept")


def _shard(row: Mapping[str, Any]) -> str:
    return f"{row['hardware']}/{row['model']}/{row['mode']}"


def _failure(row: Mapping[str, Any]) -> str:
    cell = f"{row['model']} {row['mode']} {row['suite']}/{row['question_id']}"
    return f"- {code(cell)}: {quoted(row['error'] or row['status'], WORDS_LIMIT)}"


def summarise(folder: Path, end: RunEnd, remark: str = "") -> None:
    """Write `outcome.json` and `summary.md` of a run that stored a cell; else nothing.

    The summary has the outcome, the cells per shard and status, and each failure.
    """
    found = read_rows(folder)
    rows = found.rows
    if not rows:
        return
    shards: dict[str, Counter[str]] = {}
    nodes: dict[str, str] = {}
    for row in rows:
        shards.setdefault(_shard(row), Counter())[row["status"]] += 1
        if "memory_nodes" in row:
            nodes[_shard(row)] = text(row["memory_nodes"])
    lines = [f"# Run {folder.name}", "", f"Outcome: {end}{remark}. Cells run: {len(rows)}.", ""]
    lines += ["| shard | ok | error | timeout | pages by memory node |", "|---|---|---|---|---|"]
    lines += [
        f"| {code(name)} | {n['ok']} | {n['error']} | {n['timeout']} | {nodes.get(name, DASH)} |"
        for name, n in sorted(shards.items())
    ]
    failures = [row for row in rows if row["status"] != "ok"]
    if failures:
        lines += ["", "## Failures", ""]
        lines += map(_failure, failures)
    if found.damaged:
        lines += ["", "## Damaged lines", ""]
        lines += [
            f"- {code(problem.place)}: {quoted(problem.message, WORDS_LIMIT)}"
            for problem in found.damaged
        ]
    write_atomic(folder / OUTCOME, json.dumps(sealed({"end": end})) + "\n")
    write_atomic(folder / SUMMARY, "\n".join(lines) + "\n")
