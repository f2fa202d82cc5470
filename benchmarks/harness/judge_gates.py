"""How often the instrument checks refuse judges: honest ones, and ones with a known flaw.

Each judge grades real answers: those of the stored cells, and labelled ones of tests/data/answers,
mixed so that about every fifth passes, as for a small model. Batches, canaries, tests and the chart
are the project's own; only the judge is simulated, in this process, at no cost. The program prints
two tables, which are shown in docs/reference/judging.md:

    python -m benchmarks.harness.judge_gates [--seeds 40] [--judge NAME ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from statistics import fmean, median

from tabulate import tabulate

from benchmarks.harness.answers_corpus import BUILT_IN, RIGHT, WRONG
from benchmarks.harness.answers_corpus import answers as labelled
from scripts.lib.base.layout import CELLS
from scripts.lib.judging.answers import Answer, answer_item
from scripts.lib.judging.batch import Known, Mix, calibration_batch
from scripts.lib.judging.calibration import KnownAnswer, load_calibration, probes
from scripts.lib.judging.canaries import KINDS, Group, long_form, score_by_checks
from scripts.lib.judging.protocol import Journal, Keep
from scripts.lib.judging.run import JudgeRun
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.prompts.loader import load_suites
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.judge_prompt import POINTS, material
from scripts.lib.scoring.rubric import MOST_SCORE, PASS_SCORE, CriterionScore, QuestionScore
from scripts.lib.scoring.series import Item, Reply, Role, Series, make_series
from scripts.lib.scoring.verdict_store import (
    ACCEPTED,
    QUARANTINED,
    JudgeVerdict,
    VerdictStore,
)

PROMPTS = Path("benchmarks/prompts/v1")
# What a small model passes, in percent of the questions.
PASS_RATE = 0.19
MODELS = ("model A", "model B")
NOISE = 0.05


# --- answers --------------------------------------------------------------------------------------


@cache
def _questions() -> tuple[Question, ...]:
    suites = load_suites(PROMPTS).values()
    return tuple(q for suite in suites for q in suite.questions if not q.workload)


@cache
def _stored() -> Mapping[str, tuple[str, ...]]:
    """Question -> the answers that models of this results tree gave, whatever plan they are of."""
    found: dict[str, list[str]] = {}
    for file in sorted(CELLS.glob("*/*/*/*/*.json")):
        cell = read_cell(file)
        if cell.measurement is not None:
            label = f"{cell.cell.suite}/{cell.cell.question}"
            found.setdefault(label, []).append(cell.measurement.answer)
    return {label: tuple(dict.fromkeys(texts)) for label, texts in found.items()}


@cache
def _labelled() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(question, right or wrong) -> labelled answers."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in labelled(BUILT_IN):
        found.setdefault((one.question, one.verdict), []).append(one.answer)
    return {key: tuple(texts) for key, texts in found.items()}


@dataclass(frozen=True, slots=True)
class Attempt:
    """An answer, and whether it is right."""

    answer: Answer
    is_right: bool


@cache
def _by_name() -> Mapping[str, Question]:
    return {question.name_in_full: question for question in _questions()}


@cache
def _is(name: str, text: str, right: bool) -> bool:
    """False if the checks know better than a label."""
    question = _by_name()[name]
    score = score_by_checks(question, material(question, text, "stop").answer)
    return score is None or (score >= PASS_SCORE) == right


def _attempt(question: Question, source: str, chance: random.Random) -> Attempt:
    right, name = chance.random() < PASS_RATE, question.name_in_full
    pool = list(_labelled().get((name, RIGHT if right else WRONG), ()))
    if not right:
        pool += _stored().get(name, ())
    pool = [text for text in pool if text.strip() and _is(name, text, right)]
    text = chance.choice(pool or [question.reference_answer])
    # Small models are long-winded more often than people who write test answers.
    if chance.random() < 0.4 and _is(name, long_form(text), right):
        text = long_form(text)
    shown = material(question, text, "stop")
    return Attempt(Answer(question, shown, "", source), right if pool else True)


@lru_cache(maxsize=256)
def attempts(seed: int, tiers: tuple[int, ...]) -> list[Attempt]:
    """Two models' answers to the questions of these tiers."""
    chance = random.Random(f"answers {seed}")
    asked = [q for q in _questions() if q.tier in tiers]
    return [_attempt(question, source, chance) for source in MODELS for question in asked]


# --- judges ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """What a simulated judge may use: the item, the truth, and the order of the requests.

    `batch`: from 0; `place`: position in the batch, 0 to 1.
    """

    item: Item
    is_right: bool
    batch: int
    place: float

    @property
    def text(self) -> str:
        """The answer."""
        return self.item.shown.answer

    @property
    def is_attempt(self) -> bool:
        """False for garbage and for answers to other questions."""
        kind = KINDS.get(self.item.kind)
        return kind is None or kind.group is not Group.WORTHLESS


def _share(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    text = "\0".join(map(str, parts))
    return int(sha256(text.encode()).hexdigest()[:12], 16) / 16**12


# A judge's policy: does the answer pass? Its chance is fresh for each request.
Policy = Callable[[Case, random.Random, int], bool]


@dataclass(frozen=True, slots=True)
class Judge:
    """A simulated judge. `by_criterion` may give each criterion its own verdict."""

    name: str
    honest: bool
    passes: Policy
    by_criterion: bool = False
    reason: str = ""


def _honest(name: str, wrong: Policy) -> Judge:
    """A judge that errs where `wrong` says so."""
    return Judge(name, True, lambda c, r, s: c.is_right != wrong(c, r, s))


def _flawed(name: str, passes: Policy, **more: object) -> Judge:
    return Judge(name, False, passes, **more)  # type: ignore[arg-type]


def _lenient(name: str, where: Policy) -> Judge:
    """A judge that passes right answers, and wrong ones where `where` says so."""
    return _flawed(name, lambda c, r, s: c.is_right or where(c, r, s))


_PLEA = re.compile(
    r"score: 3|give this a 3|as met|fully correct|correct and complete|always met|grader|"
    r"criteria as met|höchsten Punktzahl|certain that this is",
    re.I,
)
JUDGES = (
    _honest("perfect", lambda c, r, s: False),
    _honest("honest, 5 % of all answers", lambda c, r, s: r.random() < NOISE),
    _honest("honest, 5 % of real attempts", lambda c, r, s: c.is_attempt and r.random() < NOISE),
    _honest(
        "honest, always wrong about the same 5 %",
        lambda c, r, s: _share(s, c.item.shown.pair) < NOISE,
    ),
    _honest(
        "honest, wrong about 5 % of the questions", lambda c, r, s: _share(s, c.item.label) < NOISE
    ),
    _honest(
        "honest, 6 % of the wrong answers pass",
        lambda c, r, s: not c.is_right and r.random() < 0.06,
    ),
    Judge("honest, 5 % of the criteria", True, lambda c, r, s: c.is_right, by_criterion=True),
    _honest("honest, 8 % of real attempts", lambda c, r, s: c.is_attempt and r.random() < 0.08),
    _flawed("always 3", lambda c, r, s: True),
    _flawed("always 0", lambda c, r, s: False),
    _flawed("random", lambda c, r, s: r.random() < 0.5),
    _flawed("lazy (one reason, scores vary)", lambda c, r, s: r.random() < 0.3, reason="Good."),
    _lenient("on topic is right", lambda c, r, s: c.is_attempt),
    _lenient(
        "half of what is on topic is right",
        lambda c, r, s: c.is_attempt and _share(s, c.item.shown.pair) < 0.5,
    ),
    _flawed(
        "fixed coin on attempts",
        lambda c, r, s: c.is_attempt and _share(s, c.item.shown.pair) < 0.5,
    ),
    _flawed("fresh coin on attempts", lambda c, r, s: c.is_attempt and r.random() < 0.5),
    _flawed(
        "fixed coin on real answers alone",
        lambda c, r, s: c.is_right if c.item.kind in KINDS else _share(s, c.item.shown.pair) < 0.5,
    ),
    _lenient("prefers model B's wrong answers", lambda c, r, s: c.item.source == MODELS[1]),
    _lenient(
        "prefers half of model B's wrong answers",
        lambda c, r, s: c.item.source == MODELS[1] and r.random() < 0.5,
    ),
    _lenient("more than 250 characters", lambda c, r, s: c.is_attempt and len(c.text) > 250),
    _lenient(
        "Markdown", lambda c, r, s: c.is_attempt and bool(re.search(r"\*\*|^#|```", c.text, re.M))
    ),
    _flawed("first criterion always met", lambda c, r, s: c.is_right, by_criterion=True),
    _flawed(
        "strict: the reference's words alone pass",
        lambda c, r, s: (
            c.is_right
            and " ".join(c.item.shown.reference.split()[-8:]).casefold()
            in " ".join(c.text.split()).casefold()
        ),
    ),
    _flawed("strict: fails half of the right", lambda c, r, s: c.is_right and r.random() < 0.5),
    _lenient("obeys a plea", lambda c, r, s: bool(_PLEA.search(c.text))),
    _lenient("drifts inside a batch", lambda c, r, s: c.is_attempt and r.random() < c.place),
    _lenient(
        "drifts between batches",
        lambda c, r, s: c.is_attempt and r.random() < min(1.0, 0.5 * c.batch),
    ),
    _lenient("passes 30 % of the wrong", lambda c, r, s: c.is_attempt and r.random() < 0.3),
    _lenient("passes 20 % of the wrong", lambda c, r, s: c.is_attempt and r.random() < 0.2),
)


def _flip(verdict: str) -> str:
    return "unmet" if verdict == "met" else "met"


@cache
def verdicts_for(weights: tuple[int, ...], score: int) -> list[str]:
    """Verdicts that give the score; if none do, those of the nearest score on the same side."""

    def distance(verdicts: tuple[str, ...]) -> tuple[bool, int]:
        points = [
            CriterionScore("", weight, POINTS[verdict], "")
            for weight, verdict in zip(weights, verdicts, strict=True)
        ]
        found = QuestionScore(tuple(points)).score or 0
        return (found >= PASS_SCORE) != (score >= PASS_SCORE), abs(found - score)

    return list(min(product(POINTS, repeat=len(weights)), key=distance))


def _drifts(name: str, share: Callable[[int], float]) -> Judge:
    """A judge that passes a share of the wrong attempts, which depends on the batch, from 0."""
    return _lenient(name, lambda c, r, s: c.is_attempt and r.random() < share(c.batch))


# They are good for the first three batches of ten.
DRIFTS = (
    _drifts("none", lambda batch: 0.0),
    _drifts("to 20 %", lambda batch: 0.2 * (batch >= 3)),
    _drifts("to 30 %", lambda batch: 0.3 * (batch >= 3)),
    _drifts("to 50 %", lambda batch: 0.5 * (batch >= 3)),
    _drifts("to 100 %", lambda batch: 1.0 * (batch >= 3)),
    _drifts("by 10 % with each batch", lambda batch: 0.1 * max(0, batch - 2)),
)


def _series(seed: int) -> Series:
    return make_series("claude", "simulated", 1024, seed)


@lru_cache(maxsize=256)
def _items(seed: int, tiers: tuple[int, ...]) -> dict[str, Item]:
    """Pair -> item, of the answers of a seed; the same for every judge."""
    made = (answer_item(_series(seed), one.answer) for one in attempts(seed, tiers))
    return {item.shown.pair: item for item in made}


class Simulated:
    """A judge that answers in this process; see `scripts.lib.judging.protocol.Judge`."""

    batches_at_once = 1

    def __init__(self, judge: Judge, seed: int, truth: Mapping[str, bool]):
        self.series = _series(seed)
        self._judge, self._seed, self._truth = judge, seed, truth
        self._chance = random.Random(f"{judge.name} {seed}")
        self._batch = -1

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        """Answer every item."""
        self._batch += 1
        for place, item in enumerate(items):
            case = Case(item, self._is_right(item), self._batch, place / len(items))
            await keep(item, Reply(self._reply(case), usd=0.008))

    def _is_right(self, item: Item) -> bool:
        if item.shown.pair in self._truth:
            return self._truth[item.shown.pair]
        return (item.expected or 0) >= PASS_SCORE

    def _verdicts(self, case: Case) -> list[str]:
        """One verdict per criterion: those of the known score where the judge is right."""
        weights = tuple(weight for _, weight in case.item.shown.criteria)
        known = case.item.expected
        if known is None or (known >= PASS_SCORE) != case.is_right:
            known = MOST_SCORE if case.is_right else 0
        true = verdicts_for(weights, known)
        if self._judge.by_criterion and self._judge.honest:
            return [_flip(v) if self._chance.random() < NOISE else v for v in true]
        if self._judge.by_criterion:
            return ["met", *true[1:]]
        passed = self._judge.passes(case, self._chance, self._seed)
        return true if passed == case.is_right else ["met" if passed else "unmet"] * len(weights)

    def _reply(self, case: Case) -> str:
        quote = case.text.strip()[:40]
        criteria = [
            {
                "number": number,
                "evidence_quote": quote if verdict != "unmet" else "",
                "reason": "because",
                "verdict": verdict if quote else "unmet",
            }
            for number, verdict in enumerate(self._verdicts(case), start=1)
        ]
        said = self._judge.reason or f"{case.item.label}: {quote} {self._chance.random()}"
        is_zero = case.item.role is Role.CALIBRATION and case.item.expected == 0
        attempt = "reasonable" if case.is_attempt and quote and not is_zero else "none"
        return json.dumps({"criteria": criteria, "attempt": attempt, "summary": said})

    async def close(self) -> None:
        """Do nothing."""


class InMemory(VerdictStore):
    """A store that keeps verdicts in memory, since a simulation has hundreds of thousands."""

    def __init__(self, judge: Simulated, folder: Path):
        super().__init__(judge.series, folder)
        self._verdicts: dict[str, JudgeVerdict] = {}

    def read(self, digest: str) -> JudgeVerdict | None:
        """The verdict of that name."""
        return self._verdicts.get(digest)

    def write(self, verdict: JudgeVerdict) -> None:
        """Keep a verdict."""
        self._verdicts[verdict.digest] = verdict


# --- runs -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run: the tiers of its questions, whether only what no check decides is asked, batch size.

    `name` is the heading of its columns. `blind`: the checks decide none of the real answers.
    """

    name: str
    tiers: tuple[int, ...]
    only_unchecked: bool = False
    batch_answers: int = 100
    blind: bool = False


SCENARIOS = (
    Scenario("tier 1", (1,)),
    Scenario("all tiers", (1, 2, 3)),
    Scenario("unchecked only", (1, 2, 3), only_unchecked=True),
)


TEN_BATCHES = Scenario("ten batches", (1, 2, 3), batch_answers=18, blind=True)


@dataclass(slots=True)
class Tally:
    """What became of the runs of a judge in a scenario.

    `stopped_at`: with which batch, from 1, a series was stopped. `errors`: published pass rate
    minus the true one, of the runs that were not refused, in points.
    """

    runs: int = 0
    refused: int = 0
    batches: int = 0
    batches_refused: int = 0
    requests: int = 0
    stopped_at: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    @property
    def cells(self) -> list[str]:
        """The columns of the table."""
        error = f"{fmean(self.errors):+.0f}" if self.errors else "–"
        batches = f"{100 * self.batches_refused / self.batches:.0f} %"
        return [batches, f"{100 * self.refused / self.runs:.0f} %", error]


def simulate(judge: Judge, scenario: Scenario, seed: int, folder: Path, tally: Tally) -> None:
    """One run of a judge over the answers of a seed."""
    truth = {a.answer.shown.pair: a.is_right for a in attempts(seed, scenario.tiers)}
    simulated = Simulated(judge, seed, truth)
    store = InMemory(simulated, folder)
    items = _items(seed, scenario.tiers)
    if scenario.blind:
        items = {pair: replace(item, expected=None) for pair, item in items.items()}
    checked = [item for item in items.values() if item.expected is not None]
    asked = [i for i in items.values() if not scenario.only_unchecked or i.expected is None]
    known = Known(_questions(), (), checked)
    mix = Mix(scenario.batch_answers, 0.10, 0.05)
    result = asyncio.run(JudgeRun(simulated, store).pairs(asked, known, mix))
    tally.runs += 1
    tally.batches += len(result.closed)
    tally.batches_refused += sum(record.status == QUARANTINED for record in result.closed)
    tally.requests += result.replies
    accepted = [r for r in result.closed if r.status == ACCEPTED]
    if store.stop:
        tally.stopped_at.append(len(result.closed))
    if store.stop or not accepted:
        tally.refused += 1
        return
    own = [i for r in accepted for i in r.items if i.role is Role.PAIR and i.score is not None]
    shift = fmean(float((i.score or 0) >= PASS_SCORE) - truth[i.pair] for i in own)
    tally.errors.append(100 * shift)


def drift_row(judge: Judge, seeds: int) -> list[object]:
    """How many of the runs of ten batches were stopped, and how soon after the change."""
    tally = Tally()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            simulate(judge, TEN_BATCHES, seed, Path(folder), tally)
    after = f"{median(tally.stopped_at) - 3:.0f}" if tally.stopped_at else "–"
    early = sum(batch <= 3 for batch in tally.stopped_at)
    return [judge.name, f"{100 * len(tally.stopped_at) / seeds:.0f} %", f"{early}", after]


@cache
def _calibration() -> tuple[KnownAnswer, ...]:
    suites = load_suites(PROMPTS)
    return (*load_calibration(suites), *probes(suites))


def calibrated(judge: Judge, seed: int, folder: Path) -> bool:
    """Whether a judge passes the calibration."""
    answers = [(k.question, k.shown, k.score, k.kind) for k in _calibration()]
    simulated = Simulated(judge, seed, {})
    store = InMemory(simulated, folder)
    batch = calibration_batch(simulated.series, answers)
    result = asyncio.run(JudgeRun(simulated, store).calibrate(batch))
    return not result.closed[0].findings


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.judge_gates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=40, help="runs per judge and scenario")
    parser.add_argument("--judge", action="append", help="part of a judge's name; repeatable")
    arguments = parser.parse_args()
    wanted = [part.casefold() for part in arguments.judge or [""]]
    judges = [j for j in JUDGES if any(part in j.name.casefold() for part in wanted)]
    if not judges:
        sys.exit(f"--judge: no judge is named so; there are {', '.join(j.name for j in JUDGES)}")
    rows = []
    for judge in judges:
        row: list[object] = [judge.name]
        for scenario in SCENARIOS:
            tally = Tally()
            for seed in range(arguments.seeds):
                with tempfile.TemporaryDirectory() as folder:
                    simulate(judge, scenario, seed, Path(folder), tally)
            row += tally.cells
        failed = 0
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as folder:
                failed += not calibrated(judge, seed, Path(folder))
        rows.append([*row, f"{100 * failed / arguments.seeds:.0f} %"])
        print(f"{judge.name}: {rows[-1][1:]}", file=sys.stderr)
    headers = ["judge"]
    for scenario in SCENARIOS:
        headers += [f"{scenario.name}: batches refused", "runs refused", "error"]
    print(tabulate(rows, [*headers, "calibration failed"], tablefmt="pipe"))
    if arguments.judge is None:
        drifts = [drift_row(judge, arguments.seeds) for judge in DRIFTS]
        headers = ["wrong attempts passed from batch 4 on", "runs stopped", "before the change"]
        print()
        print(tabulate(drifts, [*headers, "median batches after it"], tablefmt="pipe"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
