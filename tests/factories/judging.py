"""Pairs, series and configurations for tests of judges."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.authoring.prompt_lint import uses_code
from scripts.lib.judging.answers import pair_item
from scripts.lib.judging.batch import Known, Mix
from scripts.lib.judging.claude import ClaudeJudge
from scripts.lib.judging.claude_batches import ClaudeBatchesJudge
from scripts.lib.judging.cost import Budget, measured
from scripts.lib.judging.protocol import Judge
from scripts.lib.judging.run import JudgeRun, RunResult
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.series import Item, Series, make_series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import ClaudeConfig
from scripts.lib.settings.run_config import load_config
from tests.factories.judge_server import MODEL
from tests.factories.plans import SUITES

QUESTIONS = tuple(
    q for suite in SUITES.values() for q in suite.questions if not uses_code(q) and not q.images
)
SERIES = make_series("claude", MODEL, 1024, 0)
ASKED = {f"{q.suite}/{q.id}": q for q in QUESTIONS}


def pairs(count: int, series: Series = SERIES) -> list[Item]:
    """Wrong answers, every fifth a right one."""
    made = []
    for n in range(count):
        question = QUESTIONS[n % len(QUESTIONS)]
        answer = (
            question.reference_answer
            if n % 5 == 0 and n < len(QUESTIONS)
            else f"I believe it is number {n}, more or less."
        )
        made.append(
            pair_item(series, f"{question.suite}/{question.id}", material(question, answer, "stop"))
        )
    return made


MIX = Mix(40, 0.1, 0.05)
CONFIG: ClaudeConfig = replace(
    load_config().judge.claude,
    max_tokens=1024,
    concurrency=4,
    deadline_s=20.0,
    poll_s=0.01,
)


@pytest.fixture
def store(tmp_path: Path) -> VerdictStore:
    return VerdictStore(SERIES, tmp_path / "verdicts")


def run(
    store: VerdictStore, items: list[Item], config: ClaudeConfig = CONFIG, mix: Mix = MIX
) -> RunResult:
    """Judge those of the items that have no usable verdict yet."""
    judge: Judge = (ClaudeBatchesJudge if config.batched else ClaudeJudge)(
        SERIES, config, Budget(config.max_usd), measured(store)
    )

    async def go() -> RunResult:
        try:
            todo = [item for item in items if store.usable(item.shown.pair) is None]
            return await JudgeRun(judge, store).pairs(todo, Known(QUESTIONS), mix)
        finally:
            await judge.close()

    return asyncio.run(go())


def items(count: int) -> list[Item]:
    return pairs(count, SERIES)


BATCHED = replace(CONFIG, api="batches")
