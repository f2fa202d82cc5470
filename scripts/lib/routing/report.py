"""A sample's outcomes per suite and action, as a table, CSV or a page; and the recommended route.

The default route of a suite is its frontdoor, or, if that has no reward, the fastest other action.
Another action is recommended only if it is significantly better on the same questions: the interval
of the paired difference of the rewards lies above 0, and the p-value is at most 5 % after Holm's
adjustment for all comparisons with the default. If there are several such actions, the one with the
greatest mean reward is recommended.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import fmean, median

from scripts.lib.base.estimates import (
    LEVEL,
    Clustered,
    Comparison,
    holm,
    paired_difference,
    pass_rate,
)
from scripts.lib.base.markdown import DASH, code, number, p_value
from scripts.lib.base.output_forms import MARKDOWN, TERMINAL, Form
from scripts.lib.base.untrusted_text import csv_text, one_line
from scripts.lib.routing.entries import FRONTDOOR, MODE
from scripts.lib.routing.rewards import ModelOutcome, by_action

HEADERS = (
    *("suite", "action", "entry", "n", "P(success)", "reward", "against the default"),
    *("elapsed s", "no reward", "route"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One action of one entry on one suite. Intervals of 95 %, times in seconds.

    `n` of the `asked` questions have a reward. `difference`: the mean difference from the reward of
    the `default` route, on the `paired` questions that have both; its p-value is adjusted for all
    comparisons with the default. `why`: the reason for the recommendation, or why there is none.
    """

    suite: str
    action: str
    entry: str
    asked: int
    n: int
    p_success: float | None
    p_success_low: float | None
    p_success_high: float | None
    reward: float | None
    elapsed_s_median: float | None
    infrastructure_errors: int
    unscored: int
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    paired: int = 0
    default: bool = False
    recommended: bool = False
    why: str = ""
    mode: str = MODE

    @property
    def shown_entry(self) -> str:
        """The entry, with the mode if that is not `baseline`."""
        return entry_and_mode(self.entry, self.mode)


def entry_and_mode(entry: str, mode: str) -> str:
    """An entry as it is shown, with the mode if that is not `baseline`."""
    return entry if mode == MODE else f"{entry} {mode}"


def _rewards(outcomes: Iterable[ModelOutcome]) -> dict[Hashable, list[float]]:
    found: dict[Hashable, list[float]] = {}
    for o in outcomes:
        if o.reward is not None:
            found.setdefault(o.question, []).append(o.reward)
    return found


def _divided(rewards: Clustered, by: float) -> Clustered:
    return {question: [value / by for value in values] for question, values in rewards.items()}


def _compared(new: Clustered, base: Clustered) -> Comparison | None:
    """The paired difference of rewards; None without a shared question.

    The statistics need differences from -1 to 1, but rewards have no lower limit. Larger
    differences are therefore first divided by the next whole number.
    """
    shared = new.keys() & base.keys()
    largest = max((abs(fmean(new[q]) - fmean(base[q])) for q in shared), default=0.0)
    unit = 1 if largest <= 1 else math.floor(largest) + 1
    found = paired_difference(_divided(new, unit), _divided(base, unit))
    return Comparison(found.estimate.scaled(unit), found.p_value) if found is not None else None


def _route(outcomes: Sequence[ModelOutcome], rewards: Clustered) -> Route:
    """One action by itself, not yet compared with the default."""
    first = outcomes[0]
    successes: dict[Hashable, list[float]] = {}
    for o in outcomes:
        if o.success is not None:
            successes.setdefault(o.question, []).append(float(o.success))
    rate = pass_rate(successes)
    elapsed = [o.elapsed_s for o in outcomes if o.elapsed_s is not None]
    return Route(
        suite=first.suite,
        action=first.action,
        entry=first.entry,
        asked=len({o.question for o in outcomes}),
        n=len(rewards),
        p_success=rate.value if rate is not None else None,
        p_success_low=rate.low if rate is not None else None,
        p_success_high=rate.high if rate is not None else None,
        reward=fmean(fmean(values) for values in rewards.values()) if rewards else None,
        elapsed_s_median=median(elapsed) if elapsed else None,
        infrastructure_errors=sum(o.infrastructure for o in outcomes),
        unscored=sum(o.success is None and not o.infrastructure for o in outcomes),
        mode=first.mode,
    )


def _default(routes: Sequence[Route]) -> Route | None:
    """The default route of a suite; None if nothing has a reward.

    If the frontdoor has several modes, it is mode `baseline`, else the fastest one.
    """
    measured = [r for r in routes if r.reward is not None]
    front = [r for r in measured if r.action == FRONTDOOR]
    plain = [r for r in front if r.mode == MODE]
    candidates = plain or front or measured
    return min(candidates, key=lambda r: r.elapsed_s_median or math.inf, default=None)


def _against(default: Route, routes: Sequence[Route], rewards: Sequence[Clustered]) -> list[Route]:
    """The routes of a suite compared with the default; `rewards` are in the same order."""
    place = routes.index(default)
    compared = {i: _compared(own, rewards[place]) for i, own in enumerate(rewards) if i != place}
    known = {i: found for i, found in compared.items() if found is not None}
    adjusted = holm([found.p_value for found in known.values()])
    made = list(routes)
    made[place] = replace(default, default=True)
    for (i, found), adjusted_p in zip(known.items(), adjusted, strict=True):
        made[i] = replace(
            routes[i],
            difference=found.estimate.value,
            difference_low=found.estimate.low,
            difference_high=found.estimate.high,
            p_value=adjusted_p,
            paired=found.estimate.clusters,
        )
    return made


def _is_better(route: Route) -> bool:
    above = route.difference_low is not None and route.difference_low > 0
    return above and route.p_value is not None and route.p_value <= 1 - LEVEL


def _choice(routes: Sequence[Route]) -> tuple[int, str]:
    """(index, why) of the recommended route of a suite; the index is -1 if there is none."""
    better = [place for place, r in enumerate(routes) if _is_better(r)]
    if better:
        return max(better, key=lambda place: routes[place].reward or 0.0), "take"
    place = next((place for place, r in enumerate(routes) if r.default), -1)
    if place < 0:
        return place, "none: no action has a reward"
    if routes[place].action == FRONTDOOR:
        return place, "take (no other is significantly better)"
    if sum(r.reward is not None for r in routes) == 1:
        return place, "take (nothing else has a reward)"
    if not any(r.paired for r in routes):
        return -1, "none: the frontdoor has no reward, and the others share no question"
    why = "the frontdoor has no reward; the fastest of the others, none is significantly better"
    return place, f"take ({why})"


def _routes_of_suite(groups: Sequence[Sequence[ModelOutcome]]) -> list[Route]:
    """The routes of one suite. If none is recommended, the first one has the reason."""
    rewards = [_rewards(found) for found in groups]
    routes = [_route(found, own) for found, own in zip(groups, rewards, strict=True)]
    default = _default(routes)
    if default is not None:
        routes = _against(default, routes, rewards)
    taken, why = _choice(routes)
    routes[max(taken, 0)] = replace(routes[max(taken, 0)], recommended=taken >= 0, why=why)
    return routes


def routes_of(outcomes: Iterable[ModelOutcome]) -> tuple[Route, ...]:
    """All actions of all suites; in each suite one is marked as recommended."""
    suites: dict[str, list[list[ModelOutcome]]] = {}
    for (suite, *_), found in by_action(outcomes).items():
        suites.setdefault(suite, []).append(found)
    return tuple(route for groups in suites.values() for route in _routes_of_suite(groups))


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return DASH
    span = f" ({low:.2f} to {high:.2f})" if low is not None and high is not None else ""
    return f"{value:.2f}{span}"


def _cells(route: Route) -> list[str]:
    lost = [f"{route.infrastructure_errors} errors"] if route.infrastructure_errors else []
    lost += [f"{route.unscored} unscored"] if route.unscored else []
    difference = DASH
    if route.p_value is not None:
        difference = _interval(route.difference, route.difference_low, route.difference_high)
        difference += f", n = {route.paired}, {p_value(route.p_value)}"
    return [
        f"{route.n} of {route.asked}",
        _interval(route.p_success, route.p_success_low, route.p_success_high),
        number(route.reward, 2),
        difference,
        number(route.elapsed_s_median, 2),
        ", ".join(lost) or DASH,
        route.why,
    ]


def routes_table(routes: Iterable[Route], form: Form = TERMINAL) -> str:
    """The routes as a table."""
    rows = [[form.name(r.suite), r.action, form.name(r.shown_entry), *_cells(r)] for r in routes]
    return form.table(rows, HEADERS)


def routes_csv(routes: Iterable[Route]) -> str:
    """The routes as tidy CSV, for pandas."""
    return csv_text([field.name for field in fields(Route)], (asdict(r).values() for r in routes))


PAGE = """\
# Routing sample {sample} on {hardware}

P(success) and differences are shown with 95 % intervals; p-values are adjusted by Holm's method
within a suite. The default of a suite is its frontdoor, or, if that has no reward, the fastest
other action. Another action is recommended only if it is significantly better. The reward of a
correct answer is its quality, minus 0.15 for each further multiple of the frontdoor's time. A wrong
or late answer has reward 0. An infrastructure error or an unscored answer has no reward.

{table}
"""


def summary_page(sample: str, hardware: str, routes: Iterable[Route]) -> str:
    """The routes as a Markdown page."""
    table = routes_table(routes, MARKDOWN)
    return PAGE.format(sample=code(sample), hardware=code(hardware), table=table)


def outcome_lines(outcomes: Iterable[ModelOutcome]) -> Iterator[str]:
    """Each outcome as one line for the terminal."""
    words = {True: "right", False: "wrong", None: "no reward"}
    for o in outcomes:
        worth = f"{o.reward:+.2f}" if o.reward is not None else f"  {DASH}  "
        seconds = f"{o.elapsed_s:.1f} s" if o.elapsed_s is not None else DASH
        asked = f"{o.suite}/{o.question} {o.action} {entry_and_mode(o.entry, o.mode)}"
        yield one_line(f"{asked}: {words[o.success]} {worth} {seconds} {o.why[:120]}")
