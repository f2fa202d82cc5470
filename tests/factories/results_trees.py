"""Makes results trees, run records and reviewed rows out of a few numbers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import digest
from scripts.lib.execution.run_record import RunRecord
from scripts.lib.machine.environment_record import store_environment
from scripts.lib.planning.cell_record import CellId, CellRecord, Measurement
from scripts.lib.results.review_rows import ReviewRow
from tests.factories.checkout import ROOT

ENGINE = {"name": "embedded", "version": "0.3.36", "source": "abc"}

ENVIRONMENT = {
    "engine": ENGINE, "hardware": {"name": "box"}, "preflight": None,
    "cpu": {"model": "A CPU", "physical_cores": 4, "logical_cpus": 8},
    "memory": {"total_bytes": 2**35}, "system": {"kernel": "6.1", "compiler": "gcc 12"},
}  # fmt: skip


def review_row(**changes: Any) -> ReviewRow:
    """A reviewed row with nothing in it but `changes`."""
    required = {
        "suite": "", "question_id": "", "score_reason": "", "scorer": "", "tier": 0, "repeat": 0,
        "status": "", "load_s": 0.0, "peak_rss_bytes": 0, "environment": "", "cell_file": "",
        "cell_sha256": "",
    }  # fmt: skip
    return ReviewRow(**(required | changes))


def measurement(speed: float, answer: str = "yes") -> Measurement:
    """A generation of 100 tokens at that decode speed; prompt evaluation at ten times it."""
    return Measurement(
        answer=answer,
        finish_reason="stop",
        prompt_tokens=50,
        completion_tokens=100,
        ttft_s=5 / speed,
        prefill_s=5 / speed,
        prefill_tokens_per_s=10 * speed,
        decode_s=100 / speed,
        decode_tokens_per_s=speed,
        drafted_tokens=0,
        accepted_tokens=0,
        verify_steps=0,
    )


def cell(question: str, speed: float | None, **changes: Any) -> CellRecord:
    """A stored cell of suite `one`; without a speed, an `error`. `spec` overrides the usual."""
    spec = {
        "engine": ENGINE, "sampling": {"temperature": 0.0}, "measurement_epoch": 0,
        "prompt": {"user": changes.pop("text", f"Is {question} so?"), "system": ""},
    }  # fmt: skip
    spec |= changes.pop("spec", {})
    identity = {
        "hardware": changes.pop("hardware", "box"),
        "model": changes.pop("model", "m"),
        "mode": changes.pop("mode", "baseline"),
    }
    answer = changes.pop("answer", "yes")
    record = CellRecord(
        cell=CellId(**identity, suite="one", question=question, repeat=changes.pop("repeat", 0)),
        digest=digest(spec),
        spec=spec,
        status="ok" if speed else "error",
        error=None if speed else "out of memory",
        measurement=measurement(speed, answer) if speed else None,
        load_s=1.0,
        warm_up_s=0.1,
        peak_rss_bytes=10**9,
        effective={},
        environment="env1",
        started_utc="2026-11-24T12:00:00+00:00",
        run_id="2026-11-24_120000",
    )
    return replace(record, **changes)


def cells(speeds: Sequence[float | None], **changes: Any) -> list[CellRecord]:
    """One cell per speed, questions q0, q1, …"""
    return [cell(f"q{number}", speed, **changes) for number, speed in enumerate(speeds)]


@dataclass(frozen=True)
class Tree:
    """A results tree below a folder."""

    root: Path

    def store(self, records: Sequence[CellRecord]) -> None:
        """Write cells to their places."""
        for record in records:
            c = record.cell
            name = f"{c.hardware}/{c.model}/{c.mode}/{c.suite}/{c.question}.{record.digest}.json"
            write_atomic(self.root / "cells" / name, record.to_json())

    def run(
        self, run_id: str, records: Sequence[CellRecord], with_cells: bool = True
    ) -> list[CellRecord]:
        """Write a run's record, and by default its cells; gives the records as stored."""
        day, time = run_id.split("_")
        started = f"{day}T{time[:2]}:{time[2:4]}:{time[4:]}+00:00"
        stored = [replace(record, run_id=run_id, started_utc=started) for record in records]
        recorder = RunRecord(self.root.parents[1], run_id, {})
        for record in stored:
            recorder.add(record)
        if with_cells:
            self.store(stored)
        return stored

    def environment(self, **system: Any) -> str:
        """Write an environment record, `system` laid over the usual one; gives its name."""
        return store_environment(
            {**ENVIRONMENT, "system": {**ENVIRONMENT["system"], **system}},
            self.root / "environments",
        )


def tree(folder: Path) -> Tree:
    """An empty tree at the place that commands look in."""
    root = folder / "benchmarks/results"
    (root / "cells").mkdir(parents=True)
    return Tree(root)


def question(number: int) -> dict[str, object]:
    check = {
        "criterion": "says yes",
        "weight": 100,
        "checks": [{"type": "contains", "any": ["yes"]}],
    }
    return {"tier": 1, "prompt": f"Is q{number} so?", "reference_answer": "yes", "scoring": [check]}


@pytest.fixture
def checkout(tmp_path: Path) -> Tree:
    """A checkout with a suite of 24 questions and no results."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    prompts = tmp_path / "benchmarks/prompts/v1"
    prompts.mkdir(parents=True)
    asked = {f"q{number}": question(number) for number in range(24)}
    (prompts / "one.yaml").write_text(
        yaml.safe_dump({"version": "1", "domain": "one", "prompts": asked})
    )
    return tree(tmp_path)
