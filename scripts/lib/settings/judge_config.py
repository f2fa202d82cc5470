"""The judge's part of the run configuration as frozen values; the schema says what is allowed, config.yaml what it means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHECKS, CLAUDE, LOCAL = "checks", "claude", "local"
KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
NO_KEY = f"no {KEY_VARIABLES[0]} in the environment"


def has_key() -> bool:
    """True when the environment holds what the SDK signs requests with; nothing else of ours ever looks at it."""
    return any(os.environ.get(name) for name in KEY_VARIABLES)


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens; `batch_factor` is what Message Batches cost of that."""

    input: float
    output: float
    cache_write: float
    cache_read: float
    batch_factor: float


@dataclass(frozen=True, slots=True)
class ClaudeConfig:
    """How Claude is asked: `api` is `messages` or `batches`; `concurrency` requests in flight; times in seconds."""

    model: str
    api: str
    max_tokens: int
    concurrency: int
    deadline_s: float
    poll_s: float
    max_usd: float
    usd_per_million_tokens: Prices

    @property
    def batched(self) -> bool:
        return self.api == "batches"


@dataclass(frozen=True, slots=True)
class LocalJudgeConfig:
    """A model of ours as judge: a registry key or a GGUF file, or a running llama-server's address (`url`)."""

    model: str
    url: str | None
    context_tokens: int
    max_tokens: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """Who scores, in order: the first scorer gives the numbers, the others stand beside them."""

    scorers: tuple[str, ...]
    round: int
    batch_answers: int
    canary_share: float
    retest_share: float
    use_failed_batches: bool
    claude: ClaudeConfig
    local: LocalJudgeConfig


def parse_judge(raw: Mapping[str, Any]) -> JudgeConfig:
    """The judge's settings out of a configuration that fits the schema."""
    claude = dict(raw["claude"])
    prices = Prices(**claude.pop("usd_per_million_tokens"))
    return JudgeConfig(
        scorers=tuple(raw["scorers"]),
        round=raw["round"],
        batch_answers=raw["batch_answers"],
        canary_share=raw["canary_share"],
        retest_share=raw["retest_share"],
        use_failed_batches=raw["use_failed_batches"],
        claude=ClaudeConfig(**claude, usd_per_million_tokens=prices),
        local=LocalJudgeConfig(**raw["local"]),
    )
