"""A real llama-server as judge: its replies fit the schema, and a poor model fails the checks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.engines.server_flags import probe
from scripts.lib.engines.server_process import ServerProcess
from scripts.lib.engines.server_start import start_server
from scripts.lib.judging.batch import Known, Mix
from scripts.lib.judging.claude import ClaudeJudge
from scripts.lib.judging.cost import Budget
from scripts.lib.judging.local import LocalJudge, bounded_schema, read_completion, request_body
from scripts.lib.judging.run import JudgeRun, RunResult
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.modes import Mode
from scripts.lib.scoring.judge_prompt import SCHEMA, Malformed, score_reply
from scripts.lib.scoring.series import make_series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.run_config import load_config
from tests.factories.engines import HARDWARE
from tests.factories.judging import CONFIG, QUESTIONS, pairs

pytestmark = pytest.mark.slow

WEIGHTS = Path("models/SmolLM2-135M-Instruct.Q8_0.gguf")
SERIES = make_series("local", "smollm2_135m_q8_0", 1024, 0, weights="test")
# A small model may go on forever, so replies are cut early.
LOCAL = replace(load_config().judge.local, max_tokens=150)
SMALL = Mix(6, 0.1, 0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    assert WEIGHTS.is_file(), f"{WEIGHTS} is not here: make weights"
    context = {
        "length_tokens": 8192,
        "batch_tokens": 2048,
        "micro_batch_tokens": 512,
        "flash_attention": False,
        "kv_type_k": "f16",
        "kv_type_v": "f16",
    }
    settings = LoadSettings(WEIGHTS.resolve(), None, Mode("baseline"), {}, context, HARDWARE)
    log = tmp_path_factory.mktemp("judge") / "server.log"
    with start_server(probe(server_binary()), settings, log, 60.0) as made:
        yield made


def url(server: ServerProcess) -> str:
    return server.client.url


def run(judge: LocalJudge | ClaudeJudge, store: VerdictStore, count: int) -> RunResult:
    return asyncio.run(
        JudgeRun(judge, store).pairs(pairs(count, judge.series), Known(QUESTIONS), SMALL)
    )


def test_a_poor_judges_batch_is_quarantined(server: ServerProcess, tmp_path: Path) -> None:
    store = VerdictStore(SERIES, tmp_path / "verdicts")
    result = run(LocalJudge(SERIES, LOCAL, url(server), server.client.headers), store, 2)
    (record,) = result.closed
    assert record.status == "quarantined" and record.findings
    assert all(store.usable(item.shown.pair) is None for item in pairs(2, SERIES))
    kept = [
        json.loads(file.read_text())
        for file in (store.folder / "quarantine" / record.batch).iterdir()
    ]
    assert len(kept) == len(record.items)
    # Wrong as they are, the replies that were not cut fit the schema.
    for verdict in kept:
        item = next(i for i in record.items if i.digest == verdict["digest"])
        assert verdict["reply"]["content"] is None or "not JSON" not in item.unscored


def test_the_schema_is_enforced_for_the_number_of_criteria(server: ServerProcess) -> None:
    item = pairs(1, SERIES)[0]

    async def ask() -> str:
        import httpx2

        async with httpx2.AsyncClient(
            base_url=url(server), headers=server.client.headers, timeout=60
        ) as client:
            return (await client.post("/v1/chat/completions", json=request_body(item, 1024))).text

    reply = read_completion(asyncio.run(ask()))
    assert reply.content is not None, reply.failure
    raw = json.loads(reply.content)
    assert len(raw["criteria"]) == len(item.shown.criteria) and set(raw) == {
        "criteria",
        "attempt",
        "summary",
    }
    assert bounded_schema(SCHEMA, 3)["properties"]["criteria"]["maxItems"] == 3


def test_llama_servers_messages_through_the_anthropic_sdk(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has /v1/messages, but without a schema: each answer gets a verdict or stays unscored."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url(server))
    monkeypatch.setenv("ANTHROPIC_API_KEY", server.client.key)
    model = str(WEIGHTS.resolve())
    series = make_series("claude", model, 60, 0)
    store = VerdictStore(series, tmp_path / "verdicts")
    config = replace(CONFIG, model=model, max_tokens=60, concurrency=1, deadline_s=120.0)
    (record,) = run(ClaudeJudge(series, config, Budget(5.0)), store, 2).closed
    assert record.status == "quarantined"
    assert all(
        item.answered and (item.score is not None) != bool(item.unscored) for item in record.items
    )
    stored = list((store.folder / "quarantine" / record.batch).iterdir())
    assert len(stored) == len(record.items)


def test_a_missing_server_stops_the_judge(tmp_path: Path) -> None:
    store = VerdictStore(SERIES, tmp_path / "verdicts")
    result = run(LocalJudge(SERIES, LOCAL, "http://127.0.0.1:9"), store, 3)
    assert result.stopped.startswith("the local judge at http://127.0.0.1:9") and not result.closed


def test_a_prompt_beyond_the_context_is_unscored(server: ServerProcess, tmp_path: Path) -> None:
    item = pairs(1, SERIES)[0]
    long = replace(item, shown=replace(item.shown, reference="word " * 30000))
    kept = []

    async def keep(item: object, reply: object) -> None:
        kept.append(reply)

    asyncio.run(
        LocalJudge(SERIES, LOCAL, url(server), server.client.headers).ask([long], None, keep)
    )  # type: ignore[arg-type]
    assert kept[0].content is None and not kept[0].transient and "status 400" in kept[0].failure


def test_a_body_that_is_not_a_completion_is_a_transient_failure() -> None:
    for body in ("", "{}", '{"choices": []}', "<html>"):
        assert read_completion(body).transient
    with pytest.raises(Malformed):
        score_reply(pairs(1)[0].shown, "plain words")
