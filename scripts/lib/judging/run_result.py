"""What a run of a judge did, and the line that ends it: judged, left over and why, spent, next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.lib.base.errors import Problem
from scripts.lib.scoring.verdict_store import BatchRecord
from scripts.lib.settings.judge_config import KEY_VARIABLES, NO_KEY

_BATCH_NAME = re.compile(r"\bbatch [0-9a-f]{16} ")
# The beginning of a reason to stop -> what helps.
_HELP = {
    NO_KEY: f"set {KEY_VARIABLES[0]} and run the same command again",
    "max_usd": "raise judge.claude.max_usd and run the same command again",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """The distinct answers (or orders of a pair) after a run.

    `scored` have a score, `new` of all got their verdict in this run, and `later` are asked again
    by the next one. `unscored` and `quarantined`: reason -> how many.
    """

    asked: int = 0
    scored: int = 0
    new: int = 0
    later: int = 0
    unscored: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class RunResult:
    """What a run did: replies received, the cost in US dollars, and the batches it closed.

    `usd` includes lost replies that may have to be paid for; `open_usd` is the most that message
    batches without known results can cost. `stopped`: why it stopped early; empty if it did not.
    `reviews`: the files in which an answer's verdict changed. `damaged`: stored records that were
    left out.
    """

    replies: int = 0
    usd: float = 0.0
    open_usd: float = 0.0
    closed: list[BatchRecord] = field(default_factory=list)
    stopped: str = ""
    counts: Counts = Counts()
    reviews: tuple[str, ...] = ()
    damaged: tuple[Problem, ...] = ()


def in_a_word(reason: str) -> str:
    """The kind of a reason: its part before the first colon, without a batch's name."""
    return _BATCH_NAME.sub("a batch ", reason).partition(": ")[0][:80]


def _counted(reasons: Mapping[str, int]) -> str:
    most_first = Counter(reasons).most_common()
    total = f"{sum(reasons.values())}"
    return f"{total} ({'; '.join(f'{n} × {why}' for why, n in most_first)})" if reasons else "0"


def _next_step(result: RunResult) -> str:
    counts = result.counts
    if result.stopped:
        known = (help for start, help in _HELP.items() if result.stopped.startswith(start))
        return next(known, "run the same command again")
    if not counts.asked:
        return "nothing: the judge is asked about no stored answer; see judge.scope in config.yaml"
    if counts.later:
        return f"run the same command again; it asks for {counts.later} once more"
    if counts.quarantined:
        return "python -m scripts.judge series shows the judge; judge run --again asks once more"
    return "nothing"


def summary_line(name: str, result: RunResult, what: str = "answers") -> str:
    """The last line of a run of the judge `name` on `what`."""
    counts = result.counts
    usd = f"${result.usd:.4f}"
    if result.open_usd:
        usd += f", and at most ${result.open_usd:.4f} for message batches that are still open"
    parts = [
        f"judged {counts.new} (in all {counts.scored} of {counts.asked} {what} have a verdict)",
        f"unscored {_counted(counts.unscored)}",
        f"quarantined {_counted(counts.quarantined)}",
        f"spent {usd}",
    ]
    if result.stopped:
        parts.append(f"stopped: {result.stopped}")
    return f"{name}: {', '.join(parts)}; next: {_next_step(result)}"
