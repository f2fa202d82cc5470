"""Pairs: two setups' answers to the same questions, and which the judge finds better.

Two pass rates cannot show a small difference between two quantisations; the answers side by side
can. Each pair is judged in both orders: the first answer wins if both orders say so, and
a disagreement is a tie. Equal answers are a tie without asking.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.estimates import Comparison, paired_difference
from scripts.lib.base.layout import VERDICTS
from scripts.lib.base.output_forms import TERMINAL
from scripts.lib.judging.answers import Asked, stored_answer
from scripts.lib.planning.modes import BASELINE
from scripts.lib.planning.plan import Cell, Plan, Shard
from scripts.lib.prompts.types import Question
from scripts.lib.registry.types import plain_name
from scripts.lib.results.review import QuestionKey, plan_review, question_key
from scripts.lib.scoring.judge_prompt import Material
from scripts.lib.scoring.pair_prompt import FIRST_BETTER, SECOND_BETTER, AnswerPair, answer_pair
from scripts.lib.scoring.series import Item, Role, Series, verdict_digest
from scripts.lib.scoring.verdict_store import VerdictStore, all_series

GIVEN = "given"


@dataclass(frozen=True, slots=True)
class SetupPair:
    """Two setups of one plan. `kind`: how they differ; `first` is the fuller form."""

    kind: str
    plan: Plan
    first: Shard
    second: Shard


def setup_name(shard: Shard) -> str:
    """`KEY/MODE`."""
    return f"{shard.model.key}/{shard.mode.name}"


def _usual(shards: Sequence[Shard]) -> dict[tuple[str, str], Shard]:
    """(model, mode) -> the shard without a variant."""
    return {(s.model.key, s.mode.name): s for s in shards if s.variant is None}


def _size(shard: Shard) -> float:
    facts = shard.weights.facts
    return facts.size_bytes if facts is not None else shard.model.size_gb * 1e9


def _quantisations(shards: Sequence[Shard]) -> Iterator[tuple[Shard, Shard]]:
    """Each quantisation of a model with its largest one."""
    by_name: dict[str, list[Shard]] = {}
    for shard in shards:
        if shard.mode.name == BASELINE:
            by_name.setdefault(plain_name(shard.model.name), []).append(shard)
    for group in by_name.values():
        largest = max(group, key=_size)
        for shard in group:
            if shard.model.quant != largest.model.quant:
                yield largest, shard


def _expert_counts(shards: Sequence[Shard]) -> Iterator[tuple[Shard, Shard]]:
    """Each reduced number of experts with all of them."""
    usual = _usual(shards)
    for shard in shards:
        whole = usual.get((shard.model.key, BASELINE))
        reduced = shard.mode.experts is not None and not shard.mode.full_experts
        if reduced and shard.variant is None and whole is not None:
            yield whole, shard


def _kv_types(shards: Sequence[Shard]) -> Iterator[tuple[Shard, Shard]]:
    """Each variant with other types of the KV cache with the same mode without it."""
    usual = _usual(shards)
    for shard in shards:
        if shard.variant is not None and {"kv_type_k", "kv_type_v"} & set(shard.variant.context):
            without = usual.get((shard.model.key, shard.mode.plain_name))
            if without is not None:
                yield without, shard


# What is compared by default: kind -> the pairs among the shards whose answers are their own.
KINDS: Mapping[str, Callable[[Sequence[Shard]], Iterable[tuple[Shard, Shard]]]] = {
    "quantisation": _quantisations,
    "experts": _expert_counts,
    "KV types": _kv_types,
}


def setup_pairs(plans: Iterable[Plan]) -> tuple[SetupPair, ...]:
    """The pairs of setups to compare: those of `plan.compared`, or by KINDS.

    Speculative modes are left out of KINDS, since they should not change an answer.
    """
    found = list[SetupPair]()
    for plan in plans:
        if plan.compared is None:
            own = [shard for shard in plan.shards if not shard.mode.speculative]
            for kind, pairs_of in KINDS.items():
                found += [SetupPair(kind, plan, *pair) for pair in pairs_of(own)]
            continue
        named = {setup_name(shard): shard for shard in plan.shards}
        for one, other in plan.compared:
            if one in named and other in named:
                found.append(SetupPair(GIVEN, plan, named[one], named[other]))
    return tuple(found)


def check_compared(plans: Sequence[Plan]) -> None:
    """Raise BenchError for a setup of `judge.pairs` that no plan has."""
    known = {setup_name(shard) for plan in plans for shard in plan.shards}
    for plan in plans:
        for name in (name for pair in plan.compared or () for name in pair):
            if name not in known:
                raise BenchError(f"config: judge.pairs: no setup '{name}'{suggest(name, known)}")


def most_compared(pair: SetupPair) -> list[Cell]:
    """The cells of the first setup whose questions the second one has, too."""
    asked = {question_key(cell) for cell in pair.second.cells}
    return [cell for cell in pair.first.cells if question_key(cell) in asked]


# --- what a judge is asked ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Duel:
    """Two setups' answers to one question, repeat by repeat."""

    question: Question
    key: QuestionKey
    first: Material
    second: Material
    reviews: tuple[str, str]

    @property
    def is_equal(self) -> bool:
        """True if the answers are the same, so that no judge is asked."""
        return self.first == self.second

    @property
    def orders(self) -> tuple[AnswerPair, AnswerPair]:
        """The two answers in both orders."""
        return answer_pair(self.first, self.second), answer_pair(self.second, self.first)


def duels(pair: SetupPair) -> Iterator[Duel]:
    """The questions that both setups have answered; damaged cells are skipped."""
    sides = []
    for shard in (pair.first, pair.second):
        review = plan_review(pair.plan, shard)
        found = {question_key(cell): stored_answer(shard, cell, review) for cell in review.cells}
        sides.append(found)
    for key, first in sides[0].items():
        second = sides[1].get(key)
        if first is not None and second is not None:
            reviews = (first.review, second.review)
            yield Duel(first.question, key, first.shown, second.shown, reviews)


def duel_items(series: Series, duel: Duel) -> tuple[Item, Item]:
    """The batch items of both orders."""
    label = duel.question.name_in_full
    one, other = (
        Item(verdict_digest(series, shown.pair), Role.PAIR, label, shown) for shown in duel.orders
    )
    return one, other


def asked_pairs(series: Series, pairs: Iterable[SetupPair]) -> Iterator[Asked]:
    """What the judge is asked: every two different answers, in both orders."""
    for pair in pairs:
        for duel in duels(pair):
            if not duel.is_equal:
                for item in duel_items(series, duel):
                    yield Asked(item, duel.reviews)


# --- results --------------------------------------------------------------------------------------


def decision(forth: int | None, back: int | None) -> int | None:
    """1: the first answer wins, -1: the second, 0: a tie; None without both orders' decisions.

    `forth`: the decision with the first answer shown first, `back`: with it shown second.
    """
    if forth is None or back is None:
        return None
    if (forth, back) == (FIRST_BETTER, SECOND_BETTER):
        return 1
    return -1 if (forth, back) == (SECOND_BETTER, FIRST_BETTER) else 0


@dataclass(frozen=True, slots=True)
class PairResult:
    """How two setups compare by one judge.

    `equal`: how many answers were the same (they are ties, too); `waiting`: those without a
    decision. `comparison`: the share of wins of the first minus that of the second over the
    questions, with the p-value of the sign test. `usd`: the price of the requests on these answers.
    """

    pair: SetupPair
    series: Series
    wins: int
    ties: int
    losses: int
    equal: int
    waiting: int
    usd: float
    comparison: Comparison | None

    @property
    def asked(self) -> int:
        """The answers that the judge has decided."""
        return self.wins + self.ties + self.losses - self.equal

    @property
    def usd_per_decision(self) -> float | None:
        """The price of one decision, without canaries and retests; None without any."""
        return self.usd / self.asked if self.asked else None


def pair_result(store: VerdictStore, pair: SetupPair) -> PairResult:
    """The result of two setups by the stored verdicts of one judge."""
    found: dict[QuestionKey, int] = {}
    equal = waiting = 0
    prices: dict[str, float] = {}
    for duel in duels(pair):
        if duel.is_equal:
            equal += 1
            found[duel.key] = 0
            continue
        verdicts = [store.usable(shown.pair) for shown in duel.orders]
        scores = [verdict.score if verdict is not None else None for verdict in verdicts]
        prices |= {v.digest: v.reply.usd for v in verdicts if v is not None}
        decided = decision(scores[0], scores[1])
        if decided is None:
            waiting += 1
        else:
            found[duel.key] = decided
    counts = Counter(found.values())
    return PairResult(
        pair=pair,
        series=store.series,
        wins=counts[1],
        ties=counts[0],
        losses=counts[-1],
        equal=equal,
        waiting=waiting,
        usd=sum(prices.values()),
        comparison=_comparison(found),
    )


def _comparison(found: Mapping[QuestionKey, int]) -> Comparison | None:
    """The net share of wins over the questions; a question's repeats count as one."""
    first, second = dict[Hashable, list[float]](), dict[Hashable, list[float]]()
    for (suite, question, _), value in found.items():
        for side, values in ((1, first), (-1, second)):
            values.setdefault((suite, question), []).append(float(value == side))
    return paired_difference(first, second)


def pair_results(plans: Sequence[Plan], root: Path = VERDICTS) -> tuple[PairResult, ...]:
    """The results of every judge with verdicts on pairs, for the pairs it has any decision on."""
    series = [one for one in all_series(root) if one.compares]
    pairs = setup_pairs(plans) if series else ()
    results = (pair_result(VerdictStore(one, root), pair) for one in series for pair in pairs)
    return tuple(result for result in results if result.asked)


@dataclass(frozen=True, slots=True)
class PairRow:
    """A row of pairs.csv. Shares from -1 to 1, prices in US dollars."""

    hardware: str
    engine: str
    kind: str
    first: str
    second: str
    series: str
    judge: str
    questions: int
    first_better: int
    ties: int
    second_better: int
    equal_answers: int
    undecided: int
    net_share: float | None
    low: float | None
    high: float | None
    p_value: float | None
    usd: float
    usd_per_decision: float | None


def pair_row(result: PairResult) -> PairRow:
    """A result as a row."""
    compared, pair = result.comparison, result.pair
    estimate = compared.estimate if compared is not None else None
    return PairRow(
        hardware=pair.plan.hardware.name,
        engine=pair.plan.engine.name,
        kind=pair.kind,
        first=setup_name(pair.first),
        second=setup_name(pair.second),
        series=result.series.name,
        judge=result.series.model,
        questions=estimate.clusters if estimate is not None else 0,
        first_better=result.wins,
        ties=result.ties,
        second_better=result.losses,
        equal_answers=result.equal,
        undecided=result.waiting,
        net_share=estimate.value if estimate is not None else None,
        low=estimate.low if estimate is not None else None,
        high=estimate.high if estimate is not None else None,
        p_value=compared.p_value if compared is not None else None,
        usd=result.usd,
        usd_per_decision=result.usd_per_decision,
    )


def pairs_text(results: Iterable[PairResult]) -> str:
    """The results as a table for the terminal."""
    headers = ("first", "second", "first better", "ties", "second better", "equal answers")
    rows = []
    for row in map(pair_row, results):
        interval = (
            "" if row.low is None or row.high is None else f" ({row.low:+.2f}–{row.high:+.2f})"
        )
        net = "" if row.net_share is None else f"{row.net_share:+.2f}{interval}"
        p_value = "" if row.p_value is None else f"{row.p_value:.3f}"
        price = "" if row.usd_per_decision is None else f"${row.usd_per_decision:.4f}"
        counts = (row.first_better, row.ties, row.second_better, row.equal_answers)
        rows.append([row.first, row.second, *counts, net, p_value, price])
    return TERMINAL.table(rows, [*headers, "net share", "p", "per decision"])


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def pairs_csv(results: Iterable[PairResult]) -> str:
    """pairs.csv: one row for each two setups and judge."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in fields(PairRow))
    for result in results:
        writer.writerow(map(_text, asdict(pair_row(result)).values()))
    return out.getvalue()
