"""What a sample's outcomes say per suite and action, as a table, a CSV file and a page; and the route to take.

The frontdoor keeps a suite unless another action is shown to be better: its reward, on the same questions, is greater and
the interval of the paired difference lies above 0. Of several such the one with the greatest mean reward is recommended.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import fmean, median

from tabulate import tabulate

from scripts.lib.foreign_text import csv_text, one_line
from scripts.lib.markdown import DASH, code, number, table
from scripts.lib.rewards import Outcome, by_action
from scripts.lib.routing import FRONTDOOR
from scripts.lib.statistics import Clustered, paired_difference, pass_rate

HEADERS = (
    *(
        "suite",
        "action",
        "entry",
        "n",
        "P(success)",
        "reward",
        "against the frontdoor",
        "elapsed s",
        "no reward",
        "route",
    ),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One action of one entry on one suite, `n` of its `asked` questions with a reward. Intervals of 95 %; times in seconds.

    `difference` is the mean difference of the reward to the frontdoor's, on the `paired` questions that have both.
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
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    paired: int
    elapsed_s_median: float | None
    infrastructure_errors: int
    unscored: int
    recommended: bool = False


def _rewards(outcomes: Iterable[Outcome]) -> dict[Hashable, list[float]]:
    found: dict[Hashable, list[float]] = {}
    for o in outcomes:
        if o.reward is not None:
            found.setdefault(o.question, []).append(o.reward)
    return found


def _route(outcomes: Sequence[Outcome], frontdoor: Clustered) -> Route:
    first, rewards = outcomes[0], _rewards(outcomes)
    successes: dict[Hashable, list[float]] = {}
    for o in outcomes:
        if o.success is not None:
            successes.setdefault(o.question, []).append(float(o.success))
    rate = pass_rate(successes)
    compared = paired_difference(rewards, frontdoor) if first.action != FRONTDOOR else None
    difference = compared.estimate if compared is not None else None
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
        difference=difference.value if difference is not None else None,
        difference_low=difference.low if difference is not None else None,
        difference_high=difference.high if difference is not None else None,
        paired=difference.clusters if difference is not None else 0,
        elapsed_s_median=median(elapsed) if elapsed else None,
        infrastructure_errors=sum(o.infrastructure for o in outcomes),
        unscored=sum(o.success is None and not o.infrastructure for o in outcomes),
    )


def _recommended(routes: Sequence[Route]) -> Route | None:
    """The route to take of a suite's: the frontdoor, where there is one, unless another is shown to be better."""
    better = [r for r in routes if r.difference_low is not None and r.difference_low > 0]
    front = [r for r in routes if r.action == FRONTDOOR and r.reward is not None]
    return max(better or front, key=lambda r: r.reward or 0.0, default=None)


def routes_of(outcomes: Iterable[Outcome]) -> tuple[Route, ...]:
    """Every action of every suite, the recommended one of each suite marked."""
    groups = by_action(outcomes)
    made: dict[str, list[Route]] = {}
    for (suite, _, _), found in groups.items():
        front = [o for (of, action, _), items in groups.items() if of == suite and action == FRONTDOOR for o in items]
        made.setdefault(suite, []).append(_route(found, _rewards(front)))
    best = [_recommended(routes) for routes in made.values()]
    return tuple(replace(r, recommended=r in best) for routes in made.values() for r in routes)


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if low is not None and high is not None else f"{value:.2f}"


def _why(route: Route) -> str:
    if not route.recommended:
        return ""
    return "take" if route.action != FRONTDOOR else "take (no other is shown to be better)"


def _cells(route: Route) -> list[str]:
    lost = [f"{route.infrastructure_errors} errors"] if route.infrastructure_errors else []
    lost += [f"{route.unscored} unscored"] if route.unscored else []
    difference = _interval(route.difference, route.difference_low, route.difference_high)
    return [
        f"{route.n} of {route.asked}",
        _interval(route.p_success, route.p_success_low, route.p_success_high),
        number(route.reward, 2),
        f"{difference}, n = {route.paired}" if route.paired else DASH,
        number(route.elapsed_s_median, 2),
        ", ".join(lost) or DASH,
        _why(route),
    ]


def routes_table(routes: Iterable[Route]) -> str:
    """The routes as a table for the terminal."""
    rows = [[one_line(r.suite), r.action, one_line(r.entry), *_cells(r)] for r in routes]
    return tabulate(rows, HEADERS, tablefmt="simple", disable_numparse=True)


def routes_csv(routes: Iterable[Route]) -> str:
    """The routes as tidy CSV, for pandas."""
    return csv_text([field.name for field in fields(Route)], (asdict(r).values() for r in routes))


PAGE = """\
# Routing sample {sample} on {hardware}

P(success) and differences stand with intervals of 95 %. A correct answer is worth its quality, less 0.15 for each time that it
took the frontdoor's seconds once more; a wrong or late one 0; an infrastructure error or an unscored answer gives no reward.

{table}
"""


def summary_page(sample: str, hardware: str, routes: Iterable[Route]) -> str:
    """The routes as a Markdown page."""
    rows = [[code(r.suite), r.action, code(r.entry), *_cells(r)] for r in routes]
    return PAGE.format(sample=code(sample), hardware=code(hardware), table=table(rows, HEADERS))


def outcome_lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Each outcome as a line for the terminal; foreign text is made one harmless line."""
    words = {True: "right", False: "wrong", None: "no reward"}
    for o in outcomes:
        worth = f"{o.reward:+.2f}" if o.reward is not None else "  –  "
        seconds = f"{o.elapsed_s:.1f} s" if o.elapsed_s is not None else "–"
        yield one_line(
            f"{o.suite}/{o.question} {o.action} {o.entry}: {words[o.success]} {worth} {seconds} {o.why[:120]}"
        )
