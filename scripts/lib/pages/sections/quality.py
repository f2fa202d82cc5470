"""RESULTS.md on quality: what each role should run, all models, the suites, fewer experts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
from scripts.lib.tables.gains import Gains, gains
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import ARCHITECT, MARGIN, RankedSetup, RoleRanking, unrankable
from scripts.lib.tables.setups import Setup, outcomes, passes

NAMED_TIES = 3
NAMED_WAYS = 3
# Of passes by a judge without a passed calibration.
UNPROVED_MARK = "‡"
# Of a mode in which a recurrent model speculates because the registry allows it.
LEAVE_MARK = "†"
MARGIN_POINTS = f"{100 * MARGIN:.0f} points"


def leave_mark(c: Setup) -> str:
    """`†` for a recurrent model that speculates because the registry allows it."""
    return LEAVE_MARK if c.leave else ""


def unproved_mark(c: Setup) -> str:
    """`‡` if the scores are from a judge that is not proved."""
    return UNPROVED_MARK if c.unproved else ""


def unproved_note(part: ProfilePart) -> str:
    """The warning above a part whose scores are from a judge that is not proved; else empty."""
    reasons = dict.fromkeys(c.unproved for c in part.setups if c.unproved)
    if not reasons:
        return ""
    why = "; ".join(map(text, reasons))
    return f"{UNPROVED_MARK} **These passes are not proved, and no setup is ranked**: {why}."


def mode_name(c: Setup) -> str:
    """The mode as Markdown, with a mark if it needs the registry's permission."""
    return f"{code(c.mode.name)}{leave_mark(c)}"


def setup_name(c: Setup) -> str:
    """Model and mode, as Markdown."""
    return f"{code(c.model.key)} {mode_name(c)}"


def leaves_of(part: ProfilePart) -> str:
    """The footnote to the marks of a part."""
    return leave_note((c.model.key, c.leave) for c in part.setups)


def leave_note(found: Iterable[tuple[str, str]]) -> str:
    """The footnote to the mark, from (model, the registry's reason); empty without a reason."""
    leaves = dict.fromkeys(pair for pair in found if pair[1])
    if not leaves:
        return ""
    reasons = "; ".join(f"{code(model)}: {text(reason)}" for model, reason in leaves)
    return f"{LEAVE_MARK} Recurrent: speculates only because the registry allows it. {reasons}"


def speed(c: Setup) -> str:
    """Decode speed, struck out if it is physically impossible."""
    shown = estimate(c.decode)
    return f"~~{shown}~~" if c.struck_out else shown


def workload_name(name: str) -> str:
    """`code editing`, as Markdown."""
    return text(name.replace("_", " "))


def ratio(comparison: Comparison | None) -> str:
    """For example `1.61x (1.50–1.70, n=16)`."""
    return DASH if comparison is None else estimate(comparison.estimate, 2, unit="x", with_n=True)


# --- what to run ---


def recommendations(part: ProfilePart) -> str:
    """One line per role: the best setup and why, and a faster one that is not clearly worse."""
    headers = ["role", "run", "passes on its suites", "decode t/s", "why"]
    headers.append("faster, not significantly worse")
    rows = [_recommendation(ranking) for ranking in part.rankings]
    if part.workloads:
        headers.append("speed by workload")
        for line, ranking in zip(rows, part.rankings, strict=True):
            line.append(_by_workload(part, ranking))
    return table(rows, headers)


def _recommendation(ranking: RoleRanking) -> list[str]:
    if not ranking.candidates:
        row, reason = ranking.unranked[0]
        others = f" (and {len(ranking.unranked) - 1} more)" if len(ranking.unranked) > 1 else ""
        why = f"no setup is ranked: {setup_name(row)}{others}: {text(reason)}"
        return [code(ranking.role), DASH, DASH, DASH, why, DASH]
    best, faster = ranking.candidates[0], ranking.fastest_tied
    if best.quality.value == 0:
        why = f"none of {len(ranking.candidates)} candidates passes a question"
        return [code(ranking.role), DASH, _quality(best), DASH, why, DASH]
    why = f"{_why_best(ranking)}; {_why_this_way(best, ranking.role)}"
    other = DASH
    if faster is not None:
        other = f"{setup_name(faster[0].way)}: {ratio(faster[1])} the speed"
    return [code(ranking.role), setup_name(best.way), _quality(best), speed(best.way), why, other]


def _quality(candidate: RankedSetup) -> str:
    return f"{rate(candidate.quality)}, n={candidate.quality.clusters}"


def _why_best(ranking: RoleRanking) -> str:
    count, tied = len(ranking.candidates), ranking.tied
    if count == 1:
        return "the only candidate that is ranked"
    apart = sum(candidate.versus_best is None for candidate in ranking.candidates[1:])
    reasons = [f"highest of {count}"]
    if tied:
        named = ", ".join(f"{setup_name(c.row)} ({_against(c)})" for c in tied[:NAMED_TIES])
        more = f" and {len(tied) - NAMED_TIES} more" if len(tied) > NAMED_TIES else ""
        reasons.append(f"but not significantly above {named}{more}")
    elif apart < count - 1:
        others = f"{count - 1 - apart}" if apart else "all"
        reasons.append(f"significantly above {others} of the others")
    if apart:
        reasons.append(f"not comparable with {apart} (no shared question)")
    return ", ".join(reasons)


def _against(candidate: RankedSetup) -> str:
    versus = candidate.versus_best
    return DASH if versus is None else f"{points(versus.estimate)}, {p_value(versus.p_value)}"


def _why_this_way(best: RankedSetup, role: str) -> str:
    if best.way is best.row:
        over = " over all workloads" if best.row.by_workload else ""
        return f"no proved mode is faster{over}"
    if role == ARCHITECT:
        up = ratio(best.way.speed_up)
        return f"all experts and speculation, quality before speed; {up} its base's speed"
    return f"the same answers at {ratio(best.way.speed_up)} the speed"


def _by_workload(part: ProfilePart, ranking: RoleRanking) -> str:
    """Where the recommended mode, and the fastest ones by workload, win and lose."""
    if not ranking.candidates or not ranking.candidates[0].row.by_workload:
        return DASH
    best = ranking.candidates[0]
    found = list(part.fastest_by_workload(best.row))
    if best.way is not best.row:
        others = [one for one in found if one.way is not best.way]
        found = [gains(best.way), *others]
    if not found:
        return "no proved mode is faster on any workload"
    more = len(found) - NAMED_WAYS
    words = [_gains(one) for one in found[:NAMED_WAYS]]
    return " ".join([*words, f"And {more} more." if more > 0 else ""]).rstrip()


def _gains(found: Gains) -> str:
    """`lookup_n3`: 1.90x on code editing (1.62–2.21, n=4); no gain shown on prose."""
    parts = [_on_workloads(found.wins)] if found.wins else []
    if found.losses:
        parts.append(f"slower: {_on_workloads(found.losses)}")
    if found.undecided:
        named = ", ".join(workload_name(on.workload) for on in found.undecided)
        parts.append(f"no gain shown on {named}")
    return f"{mode_name(found.way)}: {'; '.join(parts) or 'not compared on any workload'}."


def _on_workloads(setups: Iterable[Setup]) -> str:
    shown = []
    for on in setups:
        up, _, rest = ratio(on.speed_up).partition(" ")
        shown.append(f"{up} on {workload_name(on.workload)} {rest}")
    return ", ".join(shown)


def candidates_table(ranking: RoleRanking) -> str:
    """Every candidate of a role from best to worst, then those that are not ranked."""
    rows = [
        [
            str(place),
            setup_name(c.row),
            _quality(c),
            points(c.versus_best.estimate) if c.versus_best is not None else DASH,
            p_value(c.versus_best.p_value) if c.versus_best is not None else DASH,
            mode_name(c.way),
            speed(c.way),
        ]
        for place, c in enumerate(ranking.candidates, start=1)
    ]
    rows += [
        [DASH, setup_name(row), rate(row.quality), _not_ranked(why), DASH, DASH, speed(row)]
        for row, why in ranking.unranked
    ]
    headers = (
        "",
        "setup",
        "passes",
        "difference from the best",
        "p (Holm)",
        "fastest way",
        "decode t/s",
    )
    return table(rows, headers)


def _not_ranked(why: str) -> str:
    return f"not ranked: {text(why)}"


# --- models ---


def master_table(part: ProfilePart) -> str:
    """One line per mode that decides the answers, by role, with its fastest proved way."""
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
        answered(row),
        speed(row),
        estimate(row.ttft, 2),
        estimate(row.prefill, 0),
        mode_name(way) if has_way else DASH,
        speed(way) if has_way else DASH,
        ratio(way.speed_up) if has_way else DASH,
        gibibytes(row.peak_rss_bytes),
        "; ".join(_notes(row)) or DASH,
    ]


def answered(c: Setup) -> str:
    """The number of answers, with a link to their scores."""
    count = str(len(c.answered))
    return link(count, c.review_file) if c.review_file else count


def passed(row: Setup) -> str:
    """For example `5/24: 21 % (8–40)`."""
    found = row.passes
    if not found.scored:
        return "unscored"
    return f"{found.passed}/{found.scored}: {rate(row.quality)}{unproved_mark(row)}"


def _notes(row: Setup) -> Iterator[str]:
    found = row.passes
    failed = sum(answer.status != "ok" for answer in row.rows)
    if failed:
        yield f"{failed} failed"
    if found.coverage < 1:
        yield f"{100 * found.coverage:.0f} % of the criteria scored"
    why = unrankable(row)
    if why:
        yield _not_ranked(why)


def suites_table(part: ProfilePart) -> str:
    """Passes by suite, each with its interval in percent and a link to its cells."""
    headers = ["model", "mode", *map(text, part.suites)]
    rows = []
    for c in part.rows:
        of_suites = [_suite(c, suite) for suite in part.suites]
        rows.append([code(c.model.key), code(c.mode.name), *of_suites])
    return table(rows, headers)


def _suite(c: Setup, suite: str) -> str:
    answers = c.by_suite.get(suite, ())
    if not answers:
        return DASH
    found, quality, cells = passes(answers), pass_rate(outcomes(answers)), f"{c.folder}/{suite}"
    if quality is None:
        return link("unscored", cells)
    low, high = 100 * (quality.low or 0), 100 * (quality.high or 0)
    counts = link(f"{found.passed}/{found.scored}", cells)
    return f"{counts} ({low:.0f}–{high:.0f}){unproved_mark(c)}"


def reductions_table(part: ProfilePart) -> str:
    """Each reduced number of experts, compared with all experts of the same model."""
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
    headers = ("model", "experts", "n", "all experts", "reduced", "difference")
    return table(rows, (*headers, "verdict", "speed ratio"))
