"""Setups (hardware, engine, model, mode), made from reviews: quality, speed, speculation of each.

Quality and speed are estimated over questions (base/estimates.py); a speed-up is a median of ratios
that are paired by question. Speeds are those of the questions with a workload, where there are any,
and each workload counts equally.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean

from scripts.lib.base.estimates import (
    Clustered,
    Comparison,
    Estimate,
    median,
    outliers,
    paired_ratio,
    pass_rate,
)
from scripts.lib.base.layout import CELLS
from scripts.lib.base.speed_limits import bandwidth_violation, bytes_per_token, speed_up_violation
from scripts.lib.planning.cell_record import Count, Counts
from scripts.lib.planning.modes import Mode
from scripts.lib.prompts.question_workloads import WORKLOADS
from scripts.lib.prompts.types import depth_of
from scripts.lib.registry_loader import Model
from scripts.lib.results.certificate import Exactness, worst
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.results.symptoms import Symptom
from scripts.lib.settings.speculators import BY_NAME, Speculation
from scripts.lib.settings.variants import Variant
from scripts.lib.weights.kv_cache import KvCache

SUITE_ORDER = (
    *("thinking", "general", "math", "agentic", "coder", "instruction_precision", "long_context"),
    *("vl", "tool_compliance"),
)
SUMMARY_COLUMNS = (
    *("model", *SUITE_ORDER[:8], "total", "pct_str", "avg_tps"),
    *("spec_draft", "spec_best_tps", "spec_k_results", "lookup_best_tps", "lookup_n_results"),
    *("spec_lookup_best_tps", "spec_lookup_results"),
)


@dataclass(frozen=True, slots=True)
class Passes:
    """How many answers passed (score 2 or 3), were scored and asked; the scored weight's share."""

    passed: int
    scored: int
    asked: int
    coverage: float

    @property
    def rate(self) -> float | None:
        """Share of the scored answers that passed."""
        return self.passed / self.scored if self.scored else None


def is_scored(row: ReviewRow) -> bool:
    """True for an answer with a score, and for an error: an error counts as a fail."""
    return row.score is not None or row.status == "error"


def passes(rows: Sequence[ReviewRow]) -> Passes:
    """Count passes. An error counts as scored and not passed; an unscored answer only as asked."""
    passed = sum(row.passed is True for row in rows)
    coverage = fmean(row.coverage for row in rows) if rows else 0.0
    return Passes(passed, sum(map(is_scored, rows)), len(rows), coverage)


def by_question(rows: Iterable[ReviewRow], value: Callable[[ReviewRow], float | None]) -> Clustered:
    """{(suite, question): the values of its repeats}; rows without a value are left out."""
    found: dict[Hashable, list[float]] = {}
    for row in rows:
        of_row = value(row)
        if of_row is not None:
            found.setdefault(question_of(row), []).append(of_row)
    return found


def question_of(row: ReviewRow) -> tuple[str, str]:
    """(suite, question), which a question's repeats have in common."""
    return row.suite, row.question_id


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def outcomes(rows: Iterable[ReviewRow]) -> Clustered:
    """Passed (1) or not (0) by question, of the scored answers."""
    return by_question(rows, lambda row: float(row.passed is True) if is_scored(row) else None)


@dataclass(frozen=True)
class Setup:
    """One model in one mode on one hardware profile by one engine, with its reviewed cells.

    `rows` are those of the suites' questions, `deep` those of questions at a depth, by its tokens.
    `base` is the setup that a speculative mode's answers and speed are compared with. `leave`: why
    the registry lets this recurrent model speculate (empty: it needs no leave); such a mode is
    marked wherever it is shown. `workloads`: question -> what kind of text its answer is, of those
    that have a workload. `apart`: suites whose passes are not part of the pass rate, and
    `planned_apart` the number of their planned cells. `workload`: the one that these rows are of
    (empty: all rows). `unproved`: why the judge that gave the scores is not believed (empty: it is,
    or the checks gave them); such a setup is marked wherever its passes are shown, and not ranked.

    The other fields are for the physics gate and the roofline: size of the weights in bytes,
    experts (all, active), the KV cache with the types of its keys and values, the speculators, and
    the memory's bandwidth in GB/s from the profile and as measured (None: unknown). `variant`: the
    runtime variant that it ran in.
    """

    hardware: str
    engine: str
    model: Model
    mode: Mode
    rows: tuple[ReviewRow, ...]
    planned: int
    base: Setup | None = field(default=None, repr=False, compare=False)
    workloads: Mapping[Hashable, str] = field(default_factory=dict, repr=False, hash=False)
    apart: frozenset[str] = frozenset()
    planned_apart: int = 0
    workload: str = ""
    unproved: str = ""
    weights_bytes: int = 0
    experts: int | None = None
    experts_used: int | None = None
    speculations: tuple[Speculation, ...] = ()
    leave: str = ""
    bandwidth_gb_per_s: float | None = None
    measured_gb_per_s: float | None = None
    warm_up_s: float | None = None
    review_file: str = ""
    variant: Variant | None = None
    kv: KvCache | None = None
    kv_types: tuple[str, str] = ("f16", "f16")
    deep: Mapping[int, tuple[ReviewRow, ...]] = field(default_factory=dict)

    @property
    def all_rows(self) -> tuple[ReviewRow, ...]:
        """The rows at every depth."""
        return (*self.rows, *self.deep_rows)

    @property
    def deep_rows(self) -> tuple[ReviewRow, ...]:
        """The rows at the depths above 0, the least depth first."""
        return tuple(row for _, rows in sorted(self.deep.items()) for row in rows)

    def at_depth(self, tokens: int) -> Setup:
        """The same setup with its answers at one depth, of the questions that were asked at any.

        They have the ids of the suite, so that two depths can be compared by question.
        """
        if tokens:
            rows = [_plain(row) for row in self.deep.get(tokens, ())]
        else:
            asked = {(row.suite, depth_of(row.question_id)[0]) for row in self.deep_rows}
            rows = [row for row in self.rows if (row.suite, row.question_id) in asked]
        base = self.base.at_depth(tokens) if self.base is not None else None
        return replace(
            self, rows=tuple(rows), planned=len(rows), base=base, apart=frozenset(),
            planned_apart=0, deep={},
        )  # fmt: skip

    @property
    def name(self) -> str:
        """`model/mode`."""
        return f"{self.model.key}/{self.mode.name}"

    @property
    def folder(self) -> str:
        """The folder of its cells."""
        return f"{CELLS}/{self.hardware}/{self.name}"

    @cached_property
    def answered(self) -> tuple[ReviewRow, ...]:
        """The rows of cells that neither failed nor ran out of time."""
        return tuple(row for row in self.rows if row.status == "ok")

    @cached_property
    def by_suite(self) -> Mapping[str, tuple[ReviewRow, ...]]:
        """Suite -> its rows, in the order of `suite_place`."""
        names = sorted({row.suite for row in self.rows}, key=suite_place)
        return {name: tuple(row for row in self.rows if row.suite == name) for name in names}

    # --- workloads ---

    def workload_of(self, row: ReviewRow) -> str:
        """The workload of an answer's question; empty without one."""
        return self.workloads.get(question_of(row), "")

    @cached_property
    def by_workload(self) -> Mapping[str, Setup]:
        """Workload -> this setup with its answers alone, in the order of `workload_place`."""
        names = {self.workload_of(row) for row in self.rows} - {""}
        return {name: self._on(name) for name in sorted(names, key=workload_place)}

    def _on(self, workload: str) -> Setup:
        rows = tuple(row for row in self.rows if self.workload_of(row) == workload)
        base = self.base.by_workload.get(workload) if self.base is not None else None
        return replace(
            self, rows=rows, planned=len(rows), base=base, apart=frozenset(), planned_apart=0,
            workload=workload,
        )  # fmt: skip

    @property
    def ended_early(self) -> int:
        """The number of answers that the model ended below their question's `min_tokens`."""
        return sum(Symptom.SHORT in row.symptoms for row in self.answered)

    # --- quality ---

    @cached_property
    def rows_of_quality(self) -> tuple[ReviewRow, ...]:
        """The rows that the pass rate counts: those of all suites that are not `apart`."""
        return tuple(row for row in self.rows if row.suite not in self.apart)

    @property
    def planned_of_quality(self) -> int:
        """The number of planned cells that the pass rate counts."""
        return self.planned - self.planned_apart

    @cached_property
    def passes(self) -> Passes:
        """The passes over all suites that are not `apart`."""
        return passes(self.rows_of_quality)

    @cached_property
    def outcomes(self) -> Clustered:
        """Passed (1) or not (0) by question, over the same suites."""
        return outcomes(self.rows_of_quality)

    @cached_property
    def quality(self) -> Estimate | None:
        """The pass rate over the same suites."""
        return pass_rate(self.outcomes)

    @property
    def unscored_share(self) -> float:
        """The share of planned answers without a score: not measured yet, or not scored."""
        planned = self.planned_of_quality
        return 1 - self.passes.scored / planned if planned else 0.0

    @cached_property
    def certificate(self) -> Exactness:
        """Whether a speculative mode gives its base's answers: the verdict on its worst answer."""
        return worst(row.certificate for row in self.rows)

    @property
    def inherits_quality(self) -> bool:
        """True when the base's quality holds for this mode: its answers are the base's."""
        proved = (Exactness.EXACT, Exactness.NUMERIC_TIE)
        return not self.mode.speculative or self.certificate in proved

    @cached_property
    def breaks(self) -> int:
        """The number of questions that fail in this mode and not in its base."""
        return len(_failed(self.rows) - _failed(self.base.rows if self.base else ()))

    # --- speed ---

    @cached_property
    def timed(self) -> tuple[ReviewRow, ...]:
        """The answers that speeds are taken from: with a workload where any has one, else all."""
        return tuple(row for row in self.answered if self.workload_of(row)) or self.answered

    def _median(self, value: Callable[[ReviewRow], float | None]) -> Estimate | None:
        """The median of a speed or a time. The few questions of one workload have an interval."""
        return median(by_question(self.timed, value), self.workloads, few=bool(self.workload))

    @cached_property
    def decode_speeds(self) -> Clustered:
        """Decode speeds by question, of all questions."""
        return by_question(self.answered, lambda row: row.decode_tokens_per_s)

    @cached_property
    def decode(self) -> Estimate | None:
        """The median decode speed."""
        return self._median(lambda row: row.decode_tokens_per_s)

    @cached_property
    def ttft(self) -> Estimate | None:
        """The median time to the first token."""
        return self._median(lambda row: row.ttft_s)

    @cached_property
    def prefill_speeds(self) -> Clustered:
        """Speeds of prompt evaluation by question."""
        return by_question(self.answered, lambda row: row.prefill_tokens_per_s)

    @cached_property
    def prefill(self) -> Estimate | None:
        """The median speed of prompt evaluation."""
        return self._median(lambda row: row.prefill_tokens_per_s)

    @cached_property
    def speed_up(self) -> Comparison | None:
        """Decode speed over the base's; None without speculation or without shared questions."""
        if not self.mode.speculative or self.base is None:
            return None
        return speed_ratio(self, self.base)

    @property
    def slow_or_fast(self) -> tuple[ReviewRow, ...]:
        """The answers whose decode speed is an outlier."""
        timed = [row for row in self.answered if row.decode_tokens_per_s is not None]
        marks = outliers([row.decode_tokens_per_s or 0.0 for row in timed])
        return tuple(row for row, far in zip(timed, marks, strict=True) if far)

    @property
    def load_s(self) -> float:
        """The longest load."""
        return max((row.load_s for row in self.rows), default=0.0)

    @property
    def peak_rss_bytes(self) -> int:
        """The greatest peak of resident memory."""
        return max((row.peak_rss_bytes for row in self.rows), default=0)

    # --- speculation ---

    @property
    def most_drafted(self) -> int | None:
        """The most tokens that one step can draft: one speculator's draft is verified at a time."""
        return max((one.most_drafted for one in self.speculations), default=None)

    @cached_property
    def drafted(self) -> int:
        """Tokens drafted in all answers."""
        return sum(row.drafted_tokens for row in self.answered)

    @cached_property
    def accepted(self) -> int:
        """Drafted tokens accepted in all answers."""
        return sum(row.accepted_tokens for row in self.answered)

    @cached_property
    def acceptance(self) -> Estimate | None:
        """Accepted over drafted tokens: the median over questions with drafted tokens."""
        return self._median_share(lambda row: _ratio(row.accepted_tokens, row.drafted_tokens))

    @cached_property
    def accepted_length(self) -> Estimate | None:
        """Drafted tokens accepted per verified batch: the median over questions with one."""
        return self._median_share(lambda row: _ratio(row.accepted_tokens, row.verify_steps))

    def _median_share(
        self, value: Callable[[ReviewRow], float | None], rows: Iterable[ReviewRow] | None = None
    ) -> Estimate | None:
        """The median of a share of drafts: none may be accepted, so few have no interval."""
        return median(by_question(self.timed if rows is None else rows, value), self.workloads)

    @cached_property
    def verified(self) -> tuple[ReviewRow, ...]:
        """The answers in which drafts were verified and whose cells say what was accepted where.

        A cell lists nothing where nothing was accepted. So do older cells and other servers, which
        never list anything: their answers without an accepted token are not a fair sample.
        """
        told = [row for row in self.timed if row.verify_steps and _is_told(row)]
        listed = any(row.accepted_by_position for row in told)
        if not listed and any(row.accepted_tokens for row in told):
            return ()
        return tuple(row for row in told if row.accepted_by_position or not row.accepted_tokens)

    @cached_property
    def positions(self) -> tuple[Position, ...]:
        """Each position of a draft up to the last one that was ever accepted (at least the first).

        None where nothing was verified, and where the cells do not say (older ones, other servers).
        """
        if not self.verified:
            return ()
        deepest = max(len(row.accepted_by_position) for row in self.verified)
        return tuple(self._position(place) for place in range(1, max(deepest, 1) + 1))

    def position(self, place: int) -> Position | None:
        """One position of a draft, from 1; None where no draft reaches it, or nothing is known."""
        within = self.most_drafted is None or place <= self.most_drafted
        return self._position(place) if self.verified and within else None

    def _position(self, place: int) -> Position:
        rows = self.verified
        share = self._median_share(lambda row: _accepted_at(row, place) / row.verify_steps, rows)
        accepted = sum(_accepted_at(row, place) for row in rows)
        return Position(self, place, accepted, sum(row.verify_steps for row in rows), share)

    @cached_property
    def counts(self) -> Counts:
        """What each speculator did in all answers, in the order in which they are asked."""
        found: dict[str, Count] = {}
        for row in self.answered:
            for name, count in row.speculators.items():
                found[name] = found.get(name, Count()).plus(count)
        known = {name: found[name] for name in BY_NAME if name in found}
        return known | found

    # --- physics ---

    @property
    def memory_gb_per_s(self) -> float | None:
        """The memory's bandwidth in GB/s: as measured, else the profile's."""
        return self.measured_gb_per_s or self.bandwidth_gb_per_s

    @cached_property
    def bytes_per_token(self) -> float:
        """Bytes of weights and KV cache read for one token, without speculation."""
        cache = 0.0
        if self.kv is not None and self.context_tokens:
            cache = self.kv.bytes_read(self.context_tokens, *self.kv_types)
        used = self.experts_used
        return bytes_per_token(self.weights_bytes, self.experts, used, cache_bytes=cache)

    @cached_property
    def context_tokens(self) -> float:
        """The tokens before one that is decoded: the prompt and half of the answer, on average."""
        found = [
            row.prompt_tokens + row.completion_tokens / 2
            for row in self.answered
            if row.prompt_tokens is not None and row.completion_tokens is not None
        ]
        return fmean(found) if found else 0.0

    @cached_property
    def struck_out(self) -> str:
        """Why this setup's speed is impossible (empty: it is not). It is shown but never ranked."""
        if self.mode.speculative:
            if self.base is not None and self.base.struck_out:
                return f"its base {self.base.mode.name} is struck out"
            ratio = self.speed_up.estimate.value if self.speed_up is not None else None
            length = self.accepted_length.value if self.accepted_length is not None else None
            return speed_up_violation(ratio, self.most_drafted, length)
        if self.decode is None or self.bandwidth_gb_per_s is None:
            return ""
        bandwidth = self.bandwidth_gb_per_s * 1e9
        return bandwidth_violation(self.decode.value, self.bytes_per_token, bandwidth)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the drafts of a setup, from 1.

    `accepted`: in how many of the verified batches the token there was accepted. `share`: the
    median over questions with a verified draft.
    """

    setup: Setup
    place: int
    accepted: int
    verify_steps: int
    share: Estimate | None


def _plain(row: ReviewRow) -> ReviewRow:
    """A row at a depth with the question's id in its suite."""
    return replace(row, question_id=depth_of(row.question_id)[0])


def _is_told(row: ReviewRow) -> bool:
    """False for a cell from before there were positions, or of a server without statistics."""
    return bool(row.accepted_by_position) or any(name in BY_NAME for name in row.speculators)


def _accepted_at(row: ReviewRow, place: int) -> int:
    found = row.accepted_by_position
    return found[place - 1] if place <= len(found) else 0


def _failed(rows: Iterable[ReviewRow]) -> set[tuple[str, str]]:
    return {(row.suite, row.question_id) for row in rows if row.status != "ok"}


def speed_ratio(new: Setup, base: Setup) -> Comparison | None:
    """The decode speed of a setup over another's, on the questions that both answered.

    Where they share questions with a workload, only these count, and each workload equally.
    """
    shared = {k: v for k, v in new.decode_speeds.items() if k in base.decode_speeds}
    of_workloads = {k: v for k, v in shared.items() if k in new.workloads}
    speeds, few = of_workloads or shared, bool(new.workload)
    return paired_ratio(speeds, base.decode_speeds, new.workloads, few)


def workload_place(name: str) -> tuple[int, str]:
    """A sort key: the workloads of suite `workload` in its order, then the others by name."""
    return (WORKLOADS.index(name) if name in WORKLOADS else len(WORKLOADS), name)


def suite_place(name: str) -> tuple[int, str]:
    """A sort key: suites in the predecessor's order, then the others by name."""
    return (SUITE_ORDER.index(name) if name in SUITE_ORDER else len(SUITE_ORDER), name)


def quality_rows(setups: Iterable[Setup]) -> list[Setup]:
    """The rows of the master table: modes that decide what the model answers."""
    return [c for c in setups if not c.mode.speculative]


def ways_of(row: Setup, setups: Iterable[Setup]) -> list[Setup]:
    """The speculative and lookup modes that decode a quality row's answers."""
    return [c for c in setups if c.mode.speculative and c.base is row]
