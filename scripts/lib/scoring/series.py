"""A judge as a series of verdicts, and the items and replies of its batches.

Verdicts of two series are never mixed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from scripts.lib.base.stored_json import digest
from scripts.lib.scoring.judge_prompt import (
    PAIR_DIGEST_CHARACTERS,
    SCORING_VERSION,
    Material,
    prompt_identity,
)
from scripts.lib.scoring.pair_prompt import (
    PAIR_SCORING_VERSION,
    AnswerPair,
    pair_prompt_identity,
)

# Increase it if the instrument checks accept other batches: what an older version accepted is not
# proved by the new one, so a new series begins.
GATES_VERSION = 2


class Role(StrEnum):
    """The purpose of an item of a batch. The judge cannot see it."""

    PAIR = "pair"
    RETEST = "retest"
    CANARY = "canary"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class Series:
    """One judge as an instrument: everything that can change its verdicts.

    `scorer` is `claude` or `local`, `model` the pinned model id (local: the registry key or file
    name), `identity` the rest: prompt, scoring, token limit, round.
    """

    scorer: str
    model: str
    identity: Mapping[str, Any] = field(hash=False)

    @cached_property
    def name(self) -> str:
        """The folder's name: scorer, model, and the digest of the whole identity."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.model).strip("-")[:60]
        return f"{self.scorer}-{slug}-{digest(self.to_json())}"

    @property
    def compares(self) -> bool:
        """True if the judge compares two answers, instead of scoring one."""
        return bool(self.identity.get("compares"))

    def to_json(self) -> dict[str, Any]:
        """The series as `series.json` holds it."""
        return {"scorer": self.scorer, "model": self.model, **self.identity}


def make_series(
    scorer: str, model: str, max_tokens: int, round_: int, compares: bool = False, **more: Any
) -> Series:
    """The series of a judge with this project's prompt and scoring.

    `compares`: it compares two answers, instead of scoring one.
    """
    settings = {"max_tokens": max_tokens, "round": round_, **more}
    if compares:
        identity = {"prompt": pair_prompt_identity(), "scoring": PAIR_SCORING_VERSION}
        return Series(scorer, model, {**identity, **settings, "compares": True})
    identity = {"prompt": prompt_identity(), "scoring": SCORING_VERSION, "gates": GATES_VERSION}
    return Series(scorer, model, {**identity, **settings})


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply as they are billed.

    `input_tokens` are those that were neither written to nor read from the cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one item. `content` is the text to score; None with the reason in `failure`.

    `transient`: asking again may help (limits, deadlines, outages). `raw` is the body as received,
    `usd` its cost.
    """

    content: str | None
    failure: str = ""
    transient: bool = False
    raw: str = ""
    request_id: str = ""
    model: str = ""
    stop_reason: str = ""
    usage: Usage = Usage()
    usd: float = 0.0
    client: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An answer, or a pair of them, to be judged.

    `kind`: what a canary or a calibration answer tests. `expected`: the score that it deserves; of
    other answers, the score by the checks if they decide everything, else None. `source`: the model
    that gave the answer; the judge does not see it.

    `digest` names the verdict. It depends on the batch for a retest and a canary, so these are
    never answered from the store.
    """

    digest: str
    role: Role
    label: str
    shown: Material | AnswerPair
    kind: str = ""
    expected: int | None = None
    source: str = ""


def verdict_digest(series: Series, pair: str, salt: str = "") -> str:
    """The name of the verdict of that series on that pair."""
    return digest([series.name, pair, salt], PAIR_DIGEST_CHARACTERS)
