"""Rows of the tables with made-up figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Plan
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.settings.speculators import speculations
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup
from tests.factories.engines import engine_mode_spec
from tests.factories.plans import model, planner
from tests.factories.results_trees import review_row

ROW = review_row(
    suite="math",
    question_id="q1",
    tokens_per_second=10.0,
    score_reason="ok",
    scorer="checks",
    score=3,
    passed=True,
    coverage=1.0,
    tier=1,
    status="ok",
    finish_reason="stop",
    prompt_tokens=10,
    completion_tokens=20,
    ttft_s=0.1,
    prefill_tokens_per_s=100.0,
    decode_tokens_per_s=10.0,
    load_s=1.0,
    generation_s=2.0,
    peak_rss_bytes=5,
    environment="e",
    cell_file="c.json",
)


QUESTIONS = 40
LOOKUP = Mode("lookup_n3", lookup_n=3)
COUNTED = {
    "drafted_tokens": 800,
    "accepted_tokens": 300,
    "verify_steps": 100,
    "certificate": "exact",
}


def answers(
    passed: int, speed: float, count: int = QUESTIONS, **changes: object
) -> tuple[ReviewRow, ...]:
    """`count` answers in suite coder, the first `passed` of which pass; speeds differ a little."""
    return tuple(
        replace(
            ROW,
            suite="coder",
            question_id=f"q{n:02}",
            score=3 if n < passed else 0,
            passed=n < passed,
            decode_tokens_per_s=speed * (1 + n % 5 / 100),
            **changes,
        )  # type: ignore[arg-type]
        for n in range(count)
    )


def row(
    key: str,
    passed: int,
    speed: float = 10.0,
    roles: tuple[str, ...] = ("coder",),
    **changes: object,
) -> Setup:
    made = Setup(
        "h",
        "embedded",
        model(key, candidate_roles=roles),
        Mode("baseline"),
        answers(passed, speed),
        QUESTIONS,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def way(base: Setup, mode: Mode, speed: float, **changes: object) -> Setup:
    counted = {**COUNTED, **changes}
    rows = answers(base.passes.passed, speed, 16, **counted)
    made = Setup("h", "embedded", base.model, mode, rows, 16, base=base)
    return replace(made, speculations=speculations(engine_mode_spec(mode)))


def on_workloads(
    c: Setup, speeds: Mapping[str, Sequence[float]], base: Setup | None = None, **changes: object
) -> Setup:
    """The setup with answers in suite `workload`, too: workload -> a speed for each question."""
    asked = [(name, n, speed) for name, found in speeds.items() for n, speed in enumerate(found)]
    rows = tuple(
        replace(
            c.rows[0],
            suite="workload",
            question_id=f"{name}_{n}",
            **{"decode_tokens_per_s": speed, **changes},
        )
        for name, n, speed in asked
    )
    return replace(
        c,
        rows=(*c.rows, *rows),
        base=base,
        workloads={("workload", f"{name}_{n}"): name for name, n, _ in asked},
        apart=frozenset({"workload"}),
        planned=c.planned + len(rows),
        planned_apart=len(rows),
    )


def part(*setups: Setup) -> ProfilePart:
    """The results on one profile, without a plan."""
    plan_of = planner()
    return ProfilePart(Plan(plan_of.hardware, plan_of.engine, (), (), (), {}), setups, {})
