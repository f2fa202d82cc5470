"""What a run is to do: its shards, their missing cells and the predicted times, as a record.

The Snakefile writes `.snakemake/run_plan.json` when its jobs start. With the rows of the run's
output.jsonl it says where the run is (`run_view`), also to another process or machine.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.base.layout import RUN_PLAN
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import (
    SEAL,
    Damaged,
    now_utc,
    read_sealed,
    read_stored,
    sealed,
)
from scripts.lib.planning.plan import Shard
from scripts.lib.planning.prediction import Times


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard of a run. `cells`: all planned ones, also those that exist already.

    `start_s`: predicted seconds of its start and load; `cell_s`: those of each missing cell, in
    the order in which they are run.
    """

    hardware: str
    engine: str
    model: str
    mode: str
    cells: int
    start_s: float
    cell_s: tuple[float, ...]

    @property
    def name(self) -> str:
        """The shard's name, as `planning.plan.Shard` has it."""
        return f"{self.hardware}/{self.model}/{self.mode}/{self.engine}"

    @property
    def missing(self) -> int:
        """The number of cells that the run has to make."""
        return len(self.cell_s)


def shard_plan(shard: Shard, times: Times) -> ShardPlan:
    """The plan of a shard whose missing cells take these times."""
    return ShardPlan(
        hardware=shard.hardware.name,
        engine=shard.engine,
        model=shard.model.key,
        mode=shard.mode.name,
        cells=len(shard.cells),
        start_s=round(times.start_s, 3),
        cell_s=tuple(round(seconds, 3) for seconds in times.cell_s),
    )


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The shards of a run with missing cells, and the process that runs it.

    `is_local`: the shards run on this machine, one after the other. Else they are on a cluster.
    `process_start`: the process's start in seconds since the epoch; another process may get its
    number later.
    """

    run_id: str
    started_utc: str
    machine: str
    process: int
    process_start: float
    is_local: bool
    shards: tuple[ShardPlan, ...]

    def write(self, file: Path = RUN_PLAN) -> None:
        """Write the record."""
        write_atomic(file, json.dumps(sealed(asdict(self)), separators=(",", ":")) + "\n")

    def has_ended(self) -> bool | None:
        """True if the run's process is gone; None if it runs on another machine."""
        if self.machine != platform.node():
            return None
        try:
            return abs(psutil.Process(self.process).create_time() - self.process_start) > 1
        except psutil.Error:
            return True


def make_run_plan(run_id: str, shards: Sequence[ShardPlan], is_local: bool = True) -> RunPlan:
    """The plan of a run by this process, beginning now."""
    return RunPlan(
        run_id=run_id,
        started_utc=now_utc(),
        machine=platform.node(),
        process=os.getpid(),
        process_start=psutil.Process().create_time(),
        is_local=is_local,
        shards=tuple(shards),
    )


def read_run_plan(file: Path = RUN_PLAN) -> RunPlan:
    """The plan of the last run of this checkout.

    Raises FileNotFoundError if there was none, Damaged if the record is not what was written.
    """
    raw = read_sealed(read_stored(file), str(file))
    del raw[SEAL]
    try:
        shards = tuple(_shard(raw) for raw in raw.pop("shards"))
        return RunPlan(**raw, shards=shards)
    except (TypeError, KeyError) as error:
        raise Damaged(str(file), f"not the plan of a run ({error})") from error


def _shard(raw: dict[str, Any]) -> ShardPlan:
    return ShardPlan(**raw | {"cell_s": tuple(map(float, raw["cell_s"]))})
