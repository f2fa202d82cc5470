"""What a real llama-server did for its answers comes into the review's rows and the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.executor import Job, run
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.plan import Plan, Shard, find_shard, make_plan
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_check import CheckedReview
from scripts.lib.results.review_rows import read_review, to_csv
from scripts.lib.tables.load import Reviewed, setup
from scripts.lib.weights.facts import facts
from tests.factories.engines import HARDWARE, Recorder
from tests.factories.plans import tiny_planner
from tests.factories.tiny_models import write_model

pytestmark = pytest.mark.slow

MODE = "mtp_k2_lookup"


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, Shard]:
    """Two cells of a tiny model whose head and prompt lookup draft, below the working directory."""
    planner = tiny_planner(tmp_path / "models")
    file = write_model(tmp_path / "models/mtp.gguf", "mtp")
    config = planner.config.with_modes((MODE,))
    config = replace(config, sampling=replace(config.sampling, max_tokens=60))
    planner = replace(
        planner,
        config=config,
        hardware=HARDWARE,
        weights={**planner.weights, "plain": Weights(facts(file), file, True, False)},
    )
    plan = make_plan(planner)
    shard = find_shard(plan, "plain", MODE)
    shard = replace(shard, cells=shard.cells[:2])
    engine = make_engine("server", EngineSettings(server_binary(), tmp_path / "log", 60.0))
    guard = WeightsGuard(shard)
    recorder = Recorder()
    job = Job(shard, tmp_path, "run", lambda loaded: "environment", recorder, guard)
    run(job, engine, shard.cells)
    assert [record.error for record in recorder.records] == [None, None]
    monkeypatch.chdir(tmp_path)
    return replace(plan, shards=(shard,)), shard


def test_positions_and_speculators_come_from_the_server_into_the_tables(
    measured: tuple[Plan, Shard],
) -> None:
    plan, shard = measured
    rows = review_shard(plan_review(plan, shard))
    assert [row.status for row in rows] == ["ok", "ok"]
    file = Path("review.csv")
    file.write_text(to_csv(rows), encoding="utf-8")
    assert read_review(file) == rows
    made = setup(plan, Reviewed(shard, str(file), CheckedReview(rows, None, ())), None)
    assert made.accepted > 0 and list(made.counts) == ["lookup", "mtp"]
    assert sum(position.accepted for position in made.positions) == made.accepted
    assert sum(count.accepted_tokens for count in made.counts.values()) == made.accepted
    assert sum(count.drafted_tokens for count in made.counts.values()) == made.drafted
    assert made.most_drafted == 16 and len(made.positions) <= 16
    shares = [position.share.value for position in made.positions if position.share is not None]
    assert shares == sorted(shares, reverse=True) and 0 < shares[0] <= 1
