"""Plans and rows of a run, for tests of its display."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scripts.lib.execution.run_plan import RunPlan, ShardPlan, make_run_plan

START_S = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()


def text(seconds: float) -> str:
    """So many seconds after the run's start, as records have times."""
    return datetime.fromtimestamp(START_S + seconds, UTC).isoformat(timespec="seconds")


def shard(model: str = "a", mode: str = "baseline", missing: int = 4, cells: int = 6) -> ShardPlan:
    """A shard whose cells take 20 s each by the prediction, after 10 s."""
    return ShardPlan("h", "embedded", model, mode, cells, 10.0, (20.0,) * missing)


def run(*shards: ShardPlan, is_local: bool = True) -> RunPlan:
    """A run of these shards that began at `START_S`."""
    made = make_run_plan("2026-11-29_120000", shards, is_local)
    return RunPlan(
        **{name: getattr(made, name) for name in made.__slots__} | {"started_utc": text(0)}
    )


def row(
    of: ShardPlan, number: int, begin_s: float, took_s: float = 10.0, **changes: Any
) -> dict[str, Any]:
    """A row of output.jsonl: the cell began so long after the run's start."""
    return {
        "hardware": of.hardware,
        "model": of.model,
        "mode": of.mode,
        "engine": {"name": of.engine},
        "suite": "math",
        "question_id": f"t1_q{number}",
        "status": "ok",
        "error": None,
        "failure": None,
        "decode_tokens_per_s": 50.0 + number,
        "started_utc": text(begin_s),
        "stored_utc": text(begin_s + took_s),
        "load_s": 5.0,
    } | changes
