"""The judge's part of the run configuration. config.yaml explains each setting."""

from __future__ import annotations

import os
from dataclasses import dataclass

from scripts.lib.base.errors import shown
from scripts.lib.base.yaml_fields import Fields, closed_part
from scripts.lib.base.yaml_sections import keys

CHECKS, CLAUDE, LOCAL = "checks", "claude", "local"
KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
NO_KEY = f"no {KEY_VARIABLES[0]} in the environment"


def has_key() -> bool:
    """True if the environment has a key for the SDK. Nothing else here reads that key."""
    return any(os.environ.get(name) for name in KEY_VARIABLES)


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens; Message Batches cost `batch_factor` times as much."""

    input: float
    output: float
    cache_write: float
    cache_read: float
    batch_factor: float


@dataclass(frozen=True, slots=True)
class ClaudeConfig:
    """How Claude is asked: at most `concurrency` requests at once, times in seconds.

    `api` is `messages` or `batches`.
    """

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
        """True if Claude is asked by the Message Batches API."""
        return self.api == "batches"


@dataclass(frozen=True, slots=True)
class LocalJudgeConfig:
    """A local judge: a registry key, a GGUF file, or a running llama-server's address (`url`)."""

    model: str
    url: str | None
    context_tokens: int
    max_tokens: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """The scorers and their settings. The first scorer gives the numbers on the pages."""

    scorers: tuple[str, ...]
    round: int
    batch_answers: int
    canary_share: float
    retest_share: float
    use_failed_batches: bool
    claude: ClaudeConfig
    local: LocalJudgeConfig


_PRICES = keys("input", "output", "cache_write", "cache_read", "batch_factor", required=True)
_CLAUDE = (
    *keys("model", "api", "max_tokens", "concurrency", "deadline_s", "poll_s", required=True),
    *keys("max_usd", "usd_per_million_tokens", required=True),
)
_LOCAL = (
    *keys("model", "context_tokens", "max_tokens", "deadline_s", required=True),
    *keys("url", nullable=True),
)
_JUDGE = (
    *keys("scorers", "round", "batch_answers", "canary_share", "retest_share", required=True),
    *keys("use_failed_batches", "claude", "local", required=True),
)


def _prices(part: Fields) -> Prices:
    return Prices(
        input=part.number("input") or 0.0,
        output=part.number("output") or 0.0,
        cache_write=part.number("cache_write") or 0.0,
        cache_read=part.number("cache_read") or 0.0,
        batch_factor=part.number("batch_factor", 0, 1, above=True) or 0.0,
    )


def _claude(part: Fields) -> ClaudeConfig:
    model = part.text("model")
    # The model behind such a name changes, so its verdicts could not be compared.
    if model.endswith("latest"):
        part.problem("model", f"expected a pinned model id, found {shown(model)}")
    return ClaudeConfig(
        model=model,
        api=part.choice("api", ("messages", "batches"), "messages"),
        max_tokens=part.integer("max_tokens", 256) or 0,
        concurrency=part.integer("concurrency", 1, 256) or 0,
        deadline_s=part.number("deadline_s", above=True) or 0.0,
        poll_s=part.number("poll_s", above=True) or 0.0,
        max_usd=part.number("max_usd") or 0.0,
        usd_per_million_tokens=_prices(closed_part(part, "usd_per_million_tokens", _PRICES)),
    )


def _local(part: Fields) -> LocalJudgeConfig:
    url = part.text("url") or None
    if url is not None and not url.startswith(("http://", "https://")):
        part.problem("url", f"expected an address that begins with http://, found {shown(url)}")
    return LocalJudgeConfig(
        model=part.text("model"),
        url=url,
        context_tokens=part.integer("context_tokens", 1024) or 0,
        max_tokens=part.integer("max_tokens", 256) or 0,
        deadline_s=part.number("deadline_s", above=True) or 0.0,
    )


def parse_judge(top: Fields) -> JudgeConfig:
    """The judge's settings. A default for a missing or wrong value is never used."""
    part = closed_part(top, "judge", _JUDGE)
    return JudgeConfig(
        scorers=part.choices("scorers", (CHECKS, CLAUDE, LOCAL), once=True, single=False),
        round=part.integer("round", 0) or 0,
        batch_answers=part.integer("batch_answers", 1, 10_000) or 0,
        canary_share=part.number("canary_share", 0.02, 0.5) or 0.0,
        retest_share=part.number("retest_share", 0, 1) or 0.0,
        use_failed_batches=part.flag("use_failed_batches"),
        claude=_claude(closed_part(part, "claude", _CLAUDE)),
        local=_local(closed_part(part, "local", _LOCAL)),
    )
