"""The judge's part of the run configuration. config.yaml explains each setting."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.base.errors import shown
from scripts.lib.base.yaml_fields import Fields, closed_part
from scripts.lib.base.yaml_sections import keys

CHECKS, CLAUDE, LOCAL = "checks", "claude", "local"
KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
NO_KEY = f"no {KEY_VARIABLES[0]} in the environment"


# What a judge is asked: the answers that the checks do not score fully, all answers, or pairs.
UNCHECKED, ALL, PAIRS = "unchecked", "all", "pairs"
EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING = ("disabled", "adaptive")
# The API's least thinking budget in tokens.
LEAST_THINKING_TOKENS = 1024


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

    `api` is `messages` or `batches`. `effort` is one of `EFFORTS`, `thinking` one of `THINKING` or
    a budget in tokens; None: the model's default. Thinking tokens are part of `max_tokens`.
    """

    model: str
    api: str
    max_tokens: int
    concurrency: int
    deadline_s: float
    poll_s: float
    max_usd: float
    usd_per_million_tokens: Prices
    effort: str | None
    thinking: str | int | None

    @property
    def options(self) -> Mapping[str, Any]:
        """The settings that can change a verdict and are not the model's default."""
        named = {"effort": self.effort, "thinking": self.thinking}
        return {name: value for name, value in named.items() if value is not None}

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
    """The scorers and their settings. The first scorer gives the numbers on the pages.

    `scope` is `unchecked`, `all` or `pairs`. `pairs`: the setups to compare, each as KEY/MODE;
    None: the default ones.
    """

    scorers: tuple[str, ...]
    scope: str
    pairs: tuple[tuple[str, str], ...] | None
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
    *keys("effort", "thinking", nullable=True),
)
_LOCAL = (
    *keys("model", "context_tokens", "max_tokens", "deadline_s", required=True),
    *keys("url", nullable=True),
)
_JUDGE = (
    *keys("scorers", "round", "batch_answers", "canary_share", "retest_share", required=True),
    *keys("scope", "use_failed_batches", "claude", "local", required=True),
    *keys("pairs", nullable=True),
)


def _prices(part: Fields) -> Prices:
    return Prices(
        input=part.number("input") or 0.0,
        output=part.number("output") or 0.0,
        cache_write=part.number("cache_write") or 0.0,
        cache_read=part.number("cache_read") or 0.0,
        batch_factor=part.number("batch_factor", 0, 1, above=True) or 0.0,
    )


def _effort(part: Fields) -> str | None:
    return part.choice("effort", EFFORTS, "") or None


def _thinking(part: Fields) -> str | int | None:
    value, most = part.raw.get("thinking"), part.raw.get("max_tokens")
    if value is None or value in THINKING:
        return value
    if type(value) is int and type(most) is int and LEAST_THINKING_TOKENS <= value < most:
        return value
    expected = (
        f"{', '.join(THINKING)}, or a number from {LEAST_THINKING_TOKENS} to below max_tokens"
    )
    part.problem("thinking", f"expected {expected}, found {shown(value)}")
    return None


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
        effort=_effort(part),
        thinking=_thinking(part),
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


def _pairs(part: Fields) -> tuple[tuple[str, str], ...] | None:
    """The setups to compare; None where the defaults apply."""
    raw = part.raw.get("pairs")
    if raw is None:
        return None
    found = []
    for index, pair in enumerate(raw if isinstance(raw, list) else [raw]):
        names = pair if isinstance(pair, list) else []
        if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
            expected = "expected two setups such as [KEY, KEY/MODE]"
            part.problem(f"pairs[{index}]", f"{expected}, found {shown(pair)}")
            continue
        one, other = (name if "/" in name else f"{name}/baseline" for name in names)
        if one == other:
            part.problem(f"pairs[{index}]", f"expected two different setups, found {one} twice")
        found.append((one, other))
    return tuple(found)


def parse_judge(top: Fields) -> JudgeConfig:
    """The judge's settings. A default for a missing or wrong value is never used."""
    part = closed_part(top, "judge", _JUDGE)
    return JudgeConfig(
        scorers=part.choices("scorers", (CHECKS, CLAUDE, LOCAL), once=True, single=False),
        scope=part.choice("scope", (UNCHECKED, ALL, PAIRS), UNCHECKED),
        pairs=_pairs(part),
        round=part.integer("round", 0) or 0,
        batch_answers=part.integer("batch_answers", 1, 10_000) or 0,
        canary_share=part.number("canary_share", 0.02, 0.5) or 0.0,
        retest_share=part.number("retest_share", 0, 1) or 0.0,
        use_failed_batches=part.flag("use_failed_batches"),
        claude=_claude(closed_part(part, "claude", _CLAUDE)),
        local=_local(closed_part(part, "local", _LOCAL)),
    )
