"""An open batch: answers, canaries and retests in one shuffled list, in a file for restarts."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import Damaged, digest, now_utc, read_sealed, read_stored, sealed
from scripts.lib.judging.canaries import (
    LEAST_CHECKED,
    canary_count,
    checked_canaries,
    make_canaries,
)
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.judge_prompt import Material
from scripts.lib.scoring.pair_prompt import AnswerPair
from scripts.lib.scoring.series import Item, Role, Series, verdict_digest
from scripts.lib.settings.judge_config import JudgeConfig


@dataclass(frozen=True, slots=True)
class Mix:
    """What a batch consists of: the number of answers, and the shares of canaries and retests."""

    pairs: int
    canary_share: float
    retest_share: float


def mix_of(config: JudgeConfig) -> Mix:
    """The mix of a configuration."""
    return Mix(config.batch_answers, config.canary_share, config.retest_share)


@dataclass(frozen=True, slots=True)
class Batch:
    """An open batch."""

    name: str
    opened_utc: str
    items: tuple[Item, ...]


# With fewer retests, a judge that answers anew each time could not be told from a steady one.
LEAST_RETESTS = 8


def retest_count(pairs: int, share: float) -> int:
    """The number of answers that are asked twice beside this number of answers."""
    return max(LEAST_RETESTS, round(share * pairs))


def _retest(series: Series, batch: str, item: Item) -> Item:
    name = verdict_digest(series, item.shown.pair, f"{batch}/retest")
    return Item(name, Role.RETEST, item.label, item.shown)


class MakeCanaries(Protocol):
    """Makes the canaries of a batch of answers, or of pairs, that has these other items."""

    def __call__(
        self,
        series: Series,
        batch: str,
        items: Sequence[Item],
        known: Known,
        share: float,
        first: bool,
    ) -> Iterable[Item]:
        """The canaries. `share`: that of the whole batch; `first`: see `make_batch`."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What a batch takes its known answers from.

    `questions`: for canaries; those of all suites, since those of a batch's answers may be few.
    `judged`: judged answers, for retests. `checked`: stored answers whose score the checks know.
    """

    questions: Sequence[Question]
    judged: Sequence[Item] = ()
    checked: Sequence[Item] = ()


def answer_canaries(
    series: Series, batch: str, items: Sequence[Item], known: Known, share: float, first: bool
) -> Iterator[Item]:
    """The canaries of a batch of answers, and the checked answers that it lacks."""
    own = [item for item in items if item.role is Role.PAIR]
    asked = {item.shown.pair for item in own}
    missing = LEAST_CHECKED - sum(item.expected is not None for item in own)
    others = [item for item in known.checked if item.shown.pair not in asked]
    count = canary_count(first, len(items), share)
    yield from make_canaries(series, batch, known.questions, count)
    yield from checked_canaries(series, batch, others, max(0, missing))


def make_batch(
    series: Series,
    pairs: Sequence[Item],
    known: Known,
    mix: Mix,
    first: bool = True,
    canaries: MakeCanaries = answer_canaries,
) -> Batch:
    """A new batch of `pairs`, with canaries, retests and checked answers.

    `first`: the series has no batch yet, so this one has to prove the judge by itself. `canaries`
    makes those of `pairs` of this kind.
    """
    opened = now_utc()
    name = digest([series.name, sorted(item.digest for item in pairs), time.time_ns()], 16)
    chance = random.Random(f"batch {name}")
    pool = [*pairs, *known.judged]
    wanted = min(len(pool), retest_count(len(pairs), mix.retest_share))
    items = [*pairs, *(_retest(series, name, item) for item in chance.sample(pool, wanted))]
    items += canaries(series, name, items, known, mix.canary_share, first)
    chance.shuffle(items)
    return Batch(name, opened, tuple(items))


def calibration_batch(
    series: Series, answers: Sequence[tuple[Question, Material, int, str]]
) -> Batch:
    """A batch that consists of (question, answer, known score, kind) alone."""
    opened = now_utc()
    pairs = [shown.pair for _, shown, _, _ in answers]
    name = digest([series.name, "calibration", pairs, time.time_ns()], 16)
    items = []
    for question, shown, score, kind in answers:
        verdict = verdict_digest(series, shown.pair, f"{name}/calibration")
        items.append(Item(verdict, Role.CALIBRATION, question.name_in_full, shown, kind, score))
    random.Random(f"batch {name}").shuffle(items)
    return Batch(name, opened, tuple(items))


class BatchFile:
    """The file of an open batch; also the journal of a judge whose requests outlive the process."""

    def __init__(self, path: Path):
        self._path = path

    def _load(self) -> dict[str, Any]:
        return read_sealed(read_stored(self._path), str(self._path))

    def _save(self, raw: Mapping[str, Any]) -> None:
        write_atomic(self._path, json.dumps(sealed(raw), ensure_ascii=False) + "\n")

    def exists(self) -> bool:
        """True if the batch was stored."""
        return self._path.is_file()

    def create(self, batch: Batch) -> None:
        """Store a batch, with an empty journal."""
        self._save({**asdict(batch), "journal": {}})

    def load(self) -> Batch:
        """The batch. Raises Damaged if the file's content is not what was written."""
        raw = self._load()
        try:
            items = tuple(_item(item) for item in raw["items"])
            return Batch(raw["name"], raw["opened_utc"], items)
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(str(self._path), f"not an open batch ({error})") from error

    def read(self) -> dict[str, Any]:
        """The journal."""
        return dict(self._load()["journal"])

    def write(self, value: Mapping[str, Any]) -> None:
        """Replace the journal."""
        self._save(self._load() | {"journal": dict(value)})


def _item(raw: dict[str, Any]) -> Item:
    shown = raw.pop("shown")
    criteria = tuple((text, weight) for text, weight in shown.pop("criteria"))
    kind = AnswerPair if "second" in shown else Material
    return Item(**raw | {"role": Role(raw["role"])}, shown=kind(criteria=criteria, **shown))
