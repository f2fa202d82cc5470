"""What a sample's outcomes say per suite and action, as a table, a CSV file and a page; and the route to take.

A suite's default route is its frontdoor; where that has no reward, the fastest of the others. It
stays unless another action is shown to be better: its reward, on the same questions, is greater,
the interval of the paired difference lies above 0, and the p-value, adjusted by Holm's method for
all that are compared with the default, is at most 5 %. Of several such the one with the greatest
mean reward is recommended.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import fmean, median

from tabulate import tabulate

from scripts.lib.base.estimates import (
    LEVEL,
    Clustered,
    Comparison,
    Estimate,
    holm,
    paired_difference,
    pass_rate,
)
from scripts.lib.base.markdown import DASH, code, number, p_value, table
from scripts.lib.base.untrusted_text import csv_text, one_line
from scripts.lib.routing.entries import FRONTDOOR, MODE
from scripts.lib.routing.rewards import ModelOutcome, by_action

HEADERS = (
    *(
        "suite",
        "action",
        "entry",
        "n",
        "P(success)",
        "reward",
        "against the default",
        "elapsed s",
        "no reward",
        "route",
    ),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One action of one entry on one suite, `n` of its `asked` questions with a reward. Intervals of 95 %; times in seconds.

    `difference` is the mean difference of the reward to that of the `default` route, on the
    `paired` questions that have both; its p-value is adjusted for all that are compared with it.
    `why` it is recommended, or why nothing is.
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
        """The entry as a table shows it, with the mode where it is not `baseline`."""
        return self.entry if self.mode == MODE else f"{self.entry} {self.mode}"


def _rewards(outcomes: Iterable[ModelOutcome]) -> dict[Hashable, list[float]]:
    found: dict[Hashable, list[float]] = {}
    for o in outcomes:
        if o.reward is not None:
            found.setdefault(o.question, []).append(o.reward)
    return found


def _divided(rewards: Clustered, by: float) -> Clustered:
    return {question: [value / by for value in values] for question, values in rewards.items()}


def _compared(new: Clustered, base: Clustered) -> Comparison | None:
    """The paired difference of rewards. They have no floor, so their differences may lie beyond -1 and 1.

    They are measured in a unit that holds them all, the next whole number: within -1 and 1 that is
    1, as for qualities.
    """
    seen = [
        abs(fmean(values) - fmean(base[question]))
        for question, values in new.items()
        if question in base
    ]
    largest = max(seen, default=0.0)
    unit = 1 if largest <= 1 else math.floor(largest) + 1
    found = paired_difference(_divided(new, unit), _divided(base, unit))
    return Comparison(found.estimate.scaled(unit), found.p_value) if found is not None else None


def _route(outcomes: Sequence[ModelOutcome], rewards: Clustered) -> Route:
    """One action by itself, compared with nothing yet."""
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
    """The route that a suite keeps unless another is shown to be better; None where nothing has a reward.

    Of several modes of the frontdoor that is `baseline`, else the fastest.
    """
    measured = [r for r in routes if r.reward is not None]
    front = [r for r in measured if r.action == FRONTDOOR]
    plain = [r for r in front if r.mode == MODE]
    return min(
        plain or front or measured, key=lambda r: r.elapsed_s_median or math.inf, default=None
    )


def _against(default: Route, routes: Sequence[Route], rewards: Sequence[Clustered]) -> list[Route]:
    """The routes of a suite, each with its rewards at the same place, compared with its default."""
    base = rewards[routes.index(default)]
    made = [
        _compared(own, base) if r is not default else None
        for r, own in zip(routes, rewards, strict=True)
    ]
    adjusted = iter(holm([found.p_value for found in made if found is not None]))
    return [
        _with_difference(route, found.estimate, next(adjusted))
        if found is not None
        else replace(route, default=route is default)
        for route, found in zip(routes, made, strict=True)
    ]


def _with_difference(route: Route, found: Estimate, p_value: float) -> Route:
    return replace(
        route,
        difference=found.value,
        difference_low=found.low,
        difference_high=found.high,
        p_value=p_value,
        paired=found.clusters,
    )


def _is_better(route: Route) -> bool:
    above = route.difference_low is not None and route.difference_low > 0
    return above and route.p_value is not None and route.p_value <= 1 - LEVEL


def _choice(routes: Sequence[Route]) -> tuple[int, str]:
    """(place, why) of the route to take of a suite's compared ones. The place is -1 where none can be told."""
    better = [place for place, r in enumerate(routes) if _is_better(r)]
    if better:
        return max(better, key=lambda place: routes[place].reward or 0.0), "take"
    place = next((place for place, r in enumerate(routes) if r.default), -1)
    if place < 0:
        return place, "none can be told: no action has a reward"
    if routes[place].action == FRONTDOOR:
        return place, "take (no other is shown to be better)"
    if sum(r.reward is not None for r in routes) == 1:
        return place, "take (nothing else has a reward)"
    if not any(r.paired for r in routes):
        return -1, "none can be told: the frontdoor has no reward, and the others share no question"
    return (
        place,
        "take (the frontdoor has no reward; of the others the fastest, none is shown to be better)",
    )


def _routes_of_suite(groups: Sequence[Sequence[ModelOutcome]]) -> list[Route]:
    """The routes of one suite. Where none can be told, the first one says why."""
    rewards = [_rewards(found) for found in groups]
    routes = [_route(found, own) for found, own in zip(groups, rewards, strict=True)]
    default = _default(routes)
    if default is not None:
        routes = _against(default, routes, rewards)
    taken, why = _choice(routes)
    routes[max(taken, 0)] = replace(routes[max(taken, 0)], recommended=taken >= 0, why=why)
    return routes


def routes_of(outcomes: Iterable[ModelOutcome]) -> tuple[Route, ...]:
    """Every action of every suite, the recommended one of each suite marked. A suite has one frontdoor here."""
    suites: dict[str, list[list[ModelOutcome]]] = {}
    for (suite, *_), found in by_action(outcomes).items():
        suites.setdefault(suite, []).append(found)
    return tuple(route for groups in suites.values() for route in _routes_of_suite(groups))


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return DASH
    return (
        f"{value:.2f} ({low:.2f} to {high:.2f})"
        if low is not None and high is not None
        else f"{value:.2f}"
    )


def _cells(route: Route) -> list[str]:
    lost = [f"{route.infrastructure_errors} errors"] if route.infrastructure_errors else []
    lost += [f"{route.unscored} unscored"] if route.unscored else []
    difference = _interval(route.difference, route.difference_low, route.difference_high)
    return [
        f"{route.n} of {route.asked}",
        _interval(route.p_success, route.p_success_low, route.p_success_high),
        number(route.reward, 2),
        f"{difference}, n = {route.paired}, {p_value(route.p_value)}"
        if route.p_value is not None
        else DASH,
        number(route.elapsed_s_median, 2),
        ", ".join(lost) or DASH,
        route.why,
    ]


def routes_table(routes: Iterable[Route]) -> str:
    """The routes as a table for the terminal."""
    rows = [[one_line(r.suite), r.action, one_line(r.shown_entry), *_cells(r)] for r in routes]
    return tabulate(rows, HEADERS, tablefmt="simple", disable_numparse=True)


def routes_csv(routes: Iterable[Route]) -> str:
    """The routes as tidy CSV, for pandas."""
    return csv_text([field.name for field in fields(Route)], (asdict(r).values() for r in routes))


PAGE = """\
# Routing sample {sample} on {hardware}

P(success) and differences stand with intervals of 95 %; p-values are adjusted by Holm's method within a suite. A suite's
default is its frontdoor, or where that has no reward the fastest of the others; it stays unless another is shown to be better.
A correct answer is worth its quality, less 0.15 for each time that it took the frontdoor's seconds once more; a wrong or late
one 0; an infrastructure error or an unscored answer gives no reward.

{table}
"""


def summary_page(sample: str, hardware: str, routes: Iterable[Route]) -> str:
    """The routes as a Markdown page."""
    rows = [[code(r.suite), r.action, code(r.shown_entry), *_cells(r)] for r in routes]
    return PAGE.format(sample=code(sample), hardware=code(hardware), table=table(rows, HEADERS))


def outcome_lines(outcomes: Iterable[ModelOutcome]) -> Iterator[str]:
    """Each outcome as a line for the terminal; foreign text is made one harmless line."""
    words = {True: "right", False: "wrong", None: "no reward"}
    for o in outcomes:
        worth = f"{o.reward:+.2f}" if o.reward is not None else "  –  "
        seconds = f"{o.elapsed_s:.1f} s" if o.elapsed_s is not None else "–"
        entry = o.entry if o.mode == MODE else f"{o.entry} {o.mode}"
        yield one_line(
            f"{o.suite}/{o.question} {o.action} {entry}: {words[o.success]} {worth} {seconds} {o.why[:120]}"
        )
