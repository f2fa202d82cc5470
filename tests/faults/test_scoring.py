"""Scoring where something is missing, busy, killed or no text: nothing is scored wrong for it, and the page says why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts.lib.config import load_config
from scripts.lib.pages import pages
from scripts.lib.plan import Plan, seen_from_elsewhere
from scripts.lib.plan_files import load_plans, registry_of
from scripts.lib.records import write_atomic
from scripts.lib.results import load_parts
from scripts.lib.review import Review, plan_review, read_review, review_shard, to_csv
from scripts.lib.scoring import sandbox
from tests.sample_project import make_project, measure

RESULTS = "docs/reference/benchmarks/RESULTS.md"
WHY = "no sandbox: bubblewrap is not installed"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project with measured cells; one of its questions has a check of code."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYC_BENCH_SO_FAR", "1")
    file = tmp_path / "benchmarks/prompts/v1/coder.yaml"
    suite = yaml.safe_load(file.read_text())
    check = {"type": "code", "tests": "assert f(1) == 2"}
    suite["prompts"]["q00"]["scoring"] = [{"criterion": "runs", "weight": 100, "checks": [check]}]
    file.write_text(yaml.safe_dump(suite))
    config = yaml.safe_load((tmp_path / "config/config.yaml").read_text())
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump({**config, "models": ["small"]}))
    return tmp_path


def the_plan() -> Plan:
    (plan,) = load_plans(load_config())
    return seen_from_elsewhere(plan)


def review_of(mode: str) -> Review:
    plan = the_plan()
    return plan_review(plan, next(shard for shard in plan.shards if shard.mode.name == mode))


@contextlib.contextmanager
def no_sandbox() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_sandbox", lambda: ((), WHY))
        yield


def results_page() -> str:
    config = load_config()
    return pages(registry_of(config), load_parts(config))[RESULTS]()


def scores(file: str) -> dict[str, int | None]:
    return {row.question_id: row.score for row in read_review(Path(file)) if row.suite == "coder"}


@pytest.mark.usefixtures("project")
def test_answers_left_unscored_for_want_of_a_sandbox_are_scored_once_there_is_one() -> None:
    with no_sandbox():
        measure()
        poor = review_of("baseline")
        assert scores(poor.file)["q00"] is None
        assert f"{WHY} (100)" in results_page(), "the page says why"
    better = review_of("baseline")
    assert better.file != poor.file and not Path(better.file).exists(), "there is something to be made again"
    write_atomic(Path(better.file), to_csv(review_shard(better)))
    assert scores(better.file)["q00"] == 0
    assert WHY not in results_page()
    with no_sandbox():
        assert review_of("baseline").file == better.file, "without a sandbox the better review stands"
