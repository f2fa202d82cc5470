"""RESULTS.md on quality: what each role should run, the master table, the suites, the price of fewer experts."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.lib.base.estimates import Comparison, pass_rate
from scripts.lib.base.markdown import (
    DASH,
    code,
    estimate,
    gibibytes,
    link,
    p_value,
    points,
    rate,
    table,
    text,
)
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import ARCHITECT, MARGIN, RankedSetup, RoleRanking, unrankable
from scripts.lib.tables.setups import Setup, outcomes, passes

NAMED_TIES = 3
MARGIN_POINTS = f"{100 * MARGIN:.0f} points"


def setup_name(c: Setup) -> str:
    return f"{code(c.model.key)} {code(c.mode.name)}"


def speed(c: Setup) -> str:
    """Decode speed, struck out where physics forbids it."""
    shown = estimate(c.decode)
    return f"~~{shown}~~" if c.struck_out else shown


def ratio(comparison: Comparison | None) -> str:
    """`1.61x (1.50–1.70, n=16)`"""
    return DASH if comparison is None else estimate(comparison.estimate, 2, unit="x", with_n=True)


# --- what to run ---


def recommendations(part: ProfilePart) -> str:
    """One line per role: the best setup, its reason, and what is as good and faster."""
    headers = ("role", "run", "passes on its suites", "decode t/s", "why", "as good, and faster")
    return table((_recommendation(ranking) for ranking in part.rankings), headers)


def _recommendation(ranking: RoleRanking) -> list[str]:
    if not ranking.candidates:
        row, reason = ranking.unranked[0]
        others = f" (and {len(ranking.unranked) - 1} more)" if len(ranking.unranked) > 1 else ""
        why = f"nothing is ranked: {setup_name(row)}{others}: {text(reason)}"
        return [code(ranking.role), DASH, DASH, DASH, why, DASH]
    best, faster = ranking.candidates[0], ranking.fastest_tied
    if best.quality.value == 0:
        why = f"none of {len(ranking.candidates)} passes any question"
        return [code(ranking.role), DASH, _quality(best), DASH, why, DASH]
    run = setup_name(best.way)
    why = "; ".join((_why_best(ranking), _why_this_way(best, ranking.role)))
    other = (
        f"{setup_name(faster[0].way)}: {ratio(faster[1])} its speed" if faster is not None else DASH
    )
    return [code(ranking.role), run, _quality(best), speed(best.way), why, other]


def _quality(candidate: RankedSetup) -> str:
    return f"{rate(candidate.quality)}, n={candidate.quality.clusters}"


def _why_best(ranking: RoleRanking) -> str:
    count, tied = len(ranking.candidates), ranking.tied
    if count == 1:
        return "the only candidate that is ranked"
    apart = sum(candidate.versus_best is None for candidate in ranking.candidates[1:])
    told = [f"highest of {count}"]
    if tied:
        named = ", ".join(f"{setup_name(c.row)} ({_against(c)})" for c in tied[:NAMED_TIES])
        more = f" and {len(tied) - NAMED_TIES} more" if len(tied) > NAMED_TIES else ""
        told.append(f"but it cannot be told from {named}{more}")
    elif apart < count - 1:
        others = f"{count - 1 - apart}" if apart else "each"
        told.append(f"and above {others} of the others beyond chance")
    if apart:
        told.append(f"not comparable with {apart} (no shared question)")
    return ", ".join(told)


def _against(candidate: RankedSetup) -> str:
    versus = candidate.versus_best
    return DASH if versus is None else f"{points(versus.estimate)}, {p_value(versus.p_value)}"


def _why_this_way(best: RankedSetup, role: str) -> str:
    if best.way is best.row:
        return "no proved way of decoding it is faster"
    if role == ARCHITECT:
        return f"all experts and speculation, quality before speed; {ratio(best.way.speed_up)} its base's speed"
    return f"the same answers at {ratio(best.way.speed_up)} the speed"


def candidates_table(ranking: RoleRanking) -> str:
    """Every candidate of a role from best to worst, then those that are not ranked."""
    rows = [
        [
            str(place),
            setup_name(c.row),
            _quality(c),
            points(c.versus_best.estimate) if c.versus_best is not None else DASH,
            p_value(c.versus_best.p_value) if c.versus_best is not None else DASH,
            code(c.way.mode.name),
            speed(c.way),
        ]
        for place, c in enumerate(ranking.candidates, start=1)
    ]
    rows += [
        [
            DASH,
            setup_name(row),
            rate(row.quality),
            f"not ranked: {text(why)}",
            DASH,
            DASH,
            speed(row),
        ]
        for row, why in ranking.unranked
    ]
    headers = (
        "",
        "setup",
        "passes",
        "against the best",
        "p (Holm)",
        "fastest way",
        "decode t/s",
    )
    return table(rows, headers)


# --- models ---


def master_table(part: ProfilePart) -> str:
    """One line per mode that decides what the model answers, by role; the fastest proved way stands beside it."""
    headers = [
        *("roles", "model", "quant", "mode", "passes", "n", "decode t/s", "TTFT s", "prefill t/s"),
        *("fastest way", "its t/s", "speed-up", "peak RSS GiB", "note"),
    ]
    return table((_master_row(part, row) for row in part.rows), headers)


def _master_row(part: ProfilePart, row: Setup) -> list[str]:
    way = part.way_of(row)
    has_way = way is not row
    return [
        ", ".join(map(text, row.model.candidate_roles)) or DASH,
        code(row.model.key),
        text(row.model.quant),
        link(code(row.mode.name), row.folder),
        passed(row),
        link(str(len(row.answered)), row.review_file)
        if row.review_file
        else str(len(row.answered)),
        speed(row),
        estimate(row.ttft, 2),
        estimate(row.prefill, 0),
        code(way.mode.name) if has_way else DASH,
        speed(way) if has_way else DASH,
        ratio(way.speed_up) if has_way else DASH,
        gibibytes(row.peak_rss_bytes),
        "; ".join(_notes(row)) or DASH,
    ]


def passed(row: Setup) -> str:
    """`5/24: 21 % (8–40)`"""
    found = row.passes
    return f"{found.passed}/{found.scored}: {rate(row.quality)}" if found.scored else "unscored"


def _notes(row: Setup) -> Iterator[str]:
    found = row.passes
    failed = sum(answer.status != "ok" for answer in row.rows)
    if failed:
        yield f"{failed} failed"
    if found.coverage < 1:
        yield f"{100 * found.coverage:.0f} % of the criteria scored"
    why = unrankable(row)
    if why:
        yield f"not ranked: {text(why)}"


def suites_table(part: ProfilePart) -> str:
    """Passes by suite, each with its interval in percent and a link to its cells."""
    headers = ["model", "mode", *map(text, part.suites)]
    rows = (
        [code(c.model.key), code(c.mode.name), *(_suite(c, s) for s in part.suites)]
        for c in part.rows
    )
    return table(rows, headers)


def _suite(c: Setup, suite: str) -> str:
    answers = c.by_suite.get(suite, ())
    if not answers:
        return DASH
    found, quality = passes(answers), pass_rate(outcomes(answers))
    shown = f"{found.passed}/{found.scored}" if quality is not None else "unscored"
    interval = (
        f" ({100 * (quality.low or 0):.0f}–{100 * (quality.high or 0):.0f})"
        if quality is not None
        else ""
    )
    return link(shown, f"{c.folder}/{suite}") + interval


def reductions_table(part: ProfilePart) -> str:
    """What a reduced number of experts costs, against all experts of the same model."""
    rows = [
        [
            code(r.row.model.key),
            link(code(r.row.mode.name), r.row.folder),
            str(r.difference.estimate.clusters),
            passed(r.full),
            passed(r.row),
            points(r.difference.estimate),
            r.verdict.value,
            ratio(r.speed),
        ]
        for r in part.reductions
    ]
    headers = (
        "model",
        "experts",
        "n",
        "all experts",
        "reduced",
        "difference",
        "verdict",
        "speed ratio",
    )
    return table(rows, headers)
