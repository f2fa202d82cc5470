"""The pictures of RESULTS.md: quality against speed, workloads, speculation, roofline, …."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from scripts.lib.base.estimates import Estimate
from scripts.lib.base.untrusted_text import one_line
from scripts.lib.pages.drawing import (
    COLOURS,
    FORBIDDEN,
    INK,
    QUIET,
    STYLE,
    empty_figure,
    label,
    log_axis,
    new_figure,
    reach,
    round_values,
    svg,
)
from scripts.lib.pages.sections.quality import leave_mark
from scripts.lib.settings.speculators import NGRAMS
from scripts.lib.tables.depths import AtDepth, by_setup
from scripts.lib.tables.fidelity import Fidelity
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import unrankable
from scripts.lib.tables.setups import Setup, passes

LABELLED = 12
# The workloads' picture shows so many models, and modes of each; the tables have all.
SHOWN_MODELS, SHOWN_WAYS = 8, 12
# Speed-ups named beside the colours; the outer ones are the ends of the scale.
RATIOS = (0.4, 0.6, 0.8, 1.0, 1.25, 1.7, 2.5)


def _name(c: Setup) -> str:
    return one_line(c.name.replace("/", " ")) + leave_mark(c)


# --- quality against speed ---


def front(points: Iterable[tuple[float, float, Setup]]) -> list[tuple[float, float, Setup]]:
    """The Pareto front: points that no other one beats in both speed and quality, fastest first."""
    kept: list[tuple[float, float, Setup]] = []
    for point in sorted(points, key=lambda p: (-p[0], -p[1])):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept


def quality_speed(part: ProfilePart) -> Figure:
    """Pass rate against decode speed in the fastest proved way, with intervals and Pareto front."""
    figure = new_figure(8.5, 5.2)
    axes = figure.subplots()
    ranked, speeds = [], []
    for row in part.rows:
        way = part.way_of(row)
        if row.quality is None or way.decode is None or row.decode is None or row.struck_out:
            continue
        is_ranked = not unrankable(row)
        colour = COLOURS[0] if is_ranked else QUIET
        x, own_x, y = way.decode.value, row.decode.value, 100 * row.quality.value
        speeds += [own_x, x]
        if way is not row:
            axes.plot([own_x, x], [y, y], color=colour, lw=1, ls=":", zorder=2)
            axes.plot(own_x, y, "o", ms=5, mfc="white", mec=colour, zorder=3)
        axes.errorbar(
            x, y, xerr=reach(way.decode), yerr=reach(row.quality, 100), fmt="o", ms=6, color=colour,
            ecolor=colour, elinewidth=0.8, alpha=0.85, zorder=3,
        )  # fmt: skip
        if is_ranked:
            ranked.append((x, y, way))
    if not ranked:
        return empty_figure(figure, "no setup is ranked")
    best = front(ranked)
    xs, ys, _ = zip(*best, strict=True)
    axes.step(xs, ys, where="pre", color=COLOURS[1], lw=1.5, zorder=1)
    axes.plot(xs, ys, "o", ms=10, mfc="none", mec=COLOURS[1], mew=1.5, zorder=4)
    for x, y, way in best[:LABELLED]:
        label(axes, _name(way), (x, y), (7, 6), fontsize=8, color=INK, zorder=4)
    log_axis(axes, "x", speeds)
    axes.set(
        xlabel="decode tokens/s, fastest proved way (logarithmic)",
        ylabel="pass rate, %",
        ylim=(-3, 103),
    )
    axes.plot([], [], "o", color=COLOURS[0], label="ranked, with 95 % intervals")
    axes.plot([], [], "o", color=QUIET, label="not ranked")
    axes.plot([], [], "o", mfc="white", mec=COLOURS[0], label="without speculation")
    axes.plot([], [], color=COLOURS[1], marker="o", ms=9, mfc="none", label="Pareto front")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return figure


# --- speculation ---

# A setting of K or n (of n-gram speculators: the place in NGRAMS), and the setup with it.
Point = tuple[int, Setup]
Line = tuple[str, list[Point]]


def _lines(ways: Sequence[Setup], setting: Callable[[Setup], int | None]) -> list[Line]:
    """One line per model, base and drafting; the one with the greatest proved speed-up first."""
    found: dict[str, list[Point]] = {}
    for way in ways:
        at = setting(way)
        if at is None or way.speed_up is None:
            continue
        name = f"{way.model.key} {way.mode.quality_row}"
        if way.mode.drafter:
            name += f", {way.mode.drafting}"
        name += leave_mark(way)
        found.setdefault(name, []).append((at, way))
    lines = [
        (one_line(name), sorted(points, key=lambda point: point[0]))
        for name, points in found.items()
    ]
    return sorted(lines, key=_best_speed_up, reverse=True)


def _best_speed_up(line: Line) -> float:
    proved = [way for _, way in line[1] if way.inherits_quality and not way.struck_out]
    return max((way.speed_up.estimate.value for way in proved if way.speed_up), default=0.0)


def _draw_speed_ups(axes: Axes, name: str, points: Sequence[Point], colour: str, line: str) -> None:
    """One line; with intervals and a place in the legend unless its colour is QUIET."""
    possible = [
        (at, way.speed_up.estimate, way)
        for at, way in points
        if way.speed_up and not way.struck_out
    ]
    x, y = [at for at, _, _ in possible], [ratio.value for _, ratio, _ in possible]
    if colour == QUIET:
        axes.plot(x, y, marker="o", ls=line, ms=2.5, color=colour, lw=0.6, zorder=2)
    else:
        # Without a line, the legend needs a mark.
        look: dict[str, Any] = {"ls": line, "marker": "" if line else "o", "ms": 4, "lw": 1.8}
        axes.plot(x, y, color=colour, label=name, zorder=3, **look)
        for at, ratio, way in possible:
            face = colour if way.inherits_quality else "white"
            axes.errorbar(
                at, ratio.value, yerr=reach(ratio), fmt="o", ms=5, color=colour, mfc=face,
                elinewidth=0.8, zorder=3,
            )  # fmt: skip
    # An impossible speed-up is marked at the upper edge: at its own height it would compress
    # everything else.
    edge = axes.get_xaxis_transform()
    for at, way in points:
        if way.struck_out:
            axes.plot(at, 0.97, "x", color=FORBIDDEN, ms=7, mew=1.8, zorder=5, transform=edge)


def _draw_acceptance(axes: Axes, points: Sequence[Point], colour: str, line: str) -> None:
    """One line; with intervals unless its colour is QUIET."""
    accepted = [(at, way.acceptance) for at, way in points if way.acceptance is not None]
    x, y = [at for at, _ in accepted], [100 * share.value for _, share in accepted]
    width, layer = (0.6, 2) if colour == QUIET else (1.8, 3)
    axes.plot(x, y, marker="o", ls=line, ms=3.5, color=colour, lw=width, zorder=layer)
    if colour != QUIET:
        for at, share in accepted:
            axes.errorbar(
                at, 100 * share.value, yerr=reach(share, 100), color=colour,
                elinewidth=0.8, zorder=layer,
            )  # fmt: skip


def _draw_sweep(top: Axes, bottom: Axes, lines: Sequence[Line], sweep: Sweep) -> None:
    """Speed-ups above, acceptance below; lines beyond the colours are drawn thin and grey."""
    for place, (name, points) in enumerate(lines):
        colour = COLOURS[place] if place < len(COLOURS) else QUIET
        _draw_speed_ups(top, name, points, colour, sweep.line)
        _draw_acceptance(bottom, points, colour, sweep.line)
    top.axhline(1, color=INK, lw=0.8)
    ticks = sorted({at for _, points in lines for at, _ in points})
    top.set_xticks(ticks, [sweep.tick(at) for at in ticks])
    top.set(ylabel="speed-up, median of paired ratios", ylim=(0, None))
    top.legend(fontsize=7.5, loc="lower right")
    bottom.set(xlabel=sweep.words, ylabel="accepted, % of drafted (median)", ylim=(0, 103))


@dataclass(frozen=True, slots=True)
class Sweep:
    """A setting that is varied: its setups, each one's value, and the value's name at the axis.

    `line`: the style of the line between points; empty if the values have no order.
    """

    words: str
    has: Callable[[Setup], bool]
    setting: Callable[[Setup], int | None]
    tick: Callable[[int], str] = str
    line: str = "-"


SWEEPS = (
    Sweep("K, most tokens drafted per step", lambda c: bool(c.mode.drafter), lambda c: c.mode.k),
    Sweep(
        "n, tokens that prompt lookup matches",
        lambda c: not c.mode.drafter,
        lambda c: c.mode.lookup_n,
    ),
    Sweep(
        "n-gram speculator",
        lambda c: c.mode.drafting in NGRAMS,
        lambda c: NGRAMS.index(c.mode.ngram),
        lambda place: NGRAMS[place].removeprefix("ngram_"),
        line="",
    ),
)


def speculation(part: ProfilePart) -> Figure:
    """Speed-up and acceptance by K (drafts and heads), by n (prompt lookup), and by n-gram type."""
    found = [
        (sweep, _lines(list(filter(sweep.has, part.setups)), sweep.setting)) for sweep in SWEEPS
    ]
    drawn = [(sweep, lines) for sweep, lines in found if lines]
    figure = new_figure(5.2 * max(1, len(drawn)), 5.6)
    if not drawn:
        return empty_figure(figure, "no speculation was measured")
    grid = figure.subplots(
        2, len(drawn), sharex="col", squeeze=False, gridspec_kw={"height_ratios": [2, 1]}
    )
    for column, (sweep, lines) in enumerate(drawn):
        _draw_sweep(grid[0][column], grid[1][column], lines, sweep)
    marks = [
        Line2D([], [], marker="o", ls="", color=INK, label="answers proved the same"),
        Line2D([], [], marker="o", ls="", color=INK, mfc="white", label="not proved the same"),
        Line2D([], [], marker="x", ls="", color=FORBIDDEN, label="struck out by physics"),
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=3, fontsize=8)
    return figure


# --- acceptance ---


def acceptance(part: ProfilePart) -> Figure:
    """The share of verified batches that accepted the draft's first, second, … token, by setup.

    The setups with the longest accepted drafts have colours; the others are thin and grey.
    """
    figure = new_figure(8.5, 5.2)
    ways = [c for c in part.setups if c.positions]
    if not ways:
        return empty_figure(figure, "no acceptance by position was recorded")
    axes = figure.subplots()
    ways.sort(key=lambda c: -(c.accepted_length.value if c.accepted_length else 0.0))
    for place, c in enumerate(ways):
        shares = [(p.place, p.share.scaled(100)) for p in c.positions if p.share is not None]
        colour = COLOURS[place] if place < len(COLOURS) else QUIET
        _draw_line(axes, shares, colour, _name(c))
    deepest = max(p.place for c in ways for p in c.positions)
    ticks = [2**power for power in range(deepest.bit_length() + 1)]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(
        xlabel="position in the draft (logarithmic)",
        ylabel="accepted, % of verified batches (median over questions)",
        ylim=(0, 103),
        xlim=(0.9, 1.12 * max(deepest, 2)),
    )
    axes.legend(fontsize=8, loc="upper right")
    return figure


def _draw_line(axes: Axes, points: Sequence[tuple[int, Estimate]], colour: str, name: str) -> None:
    """One line; with intervals and a place in the legend unless its colour is QUIET."""
    x, y = [at for at, _ in points], [value.value for _, value in points]
    if colour == QUIET:
        axes.plot(x, y, "o-", ms=2.5, color=colour, lw=0.6, zorder=2)
        return
    axes.plot(x, y, "o-", ms=5, color=colour, lw=1.8, label=name, zorder=3)
    for at, value in points:
        axes.errorbar(
            at, value.value, yerr=reach(value), color=colour, elinewidth=0.8, zorder=3,
        )  # fmt: skip


# --- roofline ---


def roofline(part: ProfilePart) -> Figure:
    """Decode speed against bytes read per token, below the memory's bandwidth."""
    figure = new_figure(8.5, 5.2)
    rows = [(c, c.decode) for c in part.rows if c.weights_bytes and c.decode is not None]
    if not rows:
        return empty_figure(figure, "the sizes of the weights are not known")
    axes = figure.subplots()
    for c, decode in rows:
        colour, mark = (FORBIDDEN, "x") if c.struck_out else (COLOURS[0], "o")
        axes.errorbar(
            c.bytes_per_token / 1e9, decode.value, yerr=reach(decode), fmt=mark, ms=6,
            color=colour, elinewidth=0.8, zorder=3,
        )  # fmt: skip
    # Labels are alternately above and below, so that those of neighbours do not overlap.
    offsets = itertools.cycle(((7, 5), (7, -11)))
    for c, decode in sorted(rows[:LABELLED], key=lambda pair: pair[0].bytes_per_token):
        at = (c.bytes_per_token / 1e9, decode.value)
        label(axes, _name(c), at, next(offsets), fontsize=8, zorder=4)
    x = np.array(log_axis(axes, "x", [c.bytes_per_token / 1e9 for c, _ in rows]))
    y = log_axis(axes, "y", [decode.value for _, decode in rows])
    limit = rows[0][0].memory_gb_per_s
    for used in round_values():
        if used < 1 or (limit is not None and used >= limit):
            continue
        axes.plot(x, used / x, color="#dddddd", lw=0.8, zorder=1)
        if y[0] < used / x[0] < y[1]:
            at = (x[0], used / x[0])
            label(axes, f"{used:g} GB/s", at, (3, 2), fontsize=7, color=QUIET)
    if limit is not None:
        how = "measured" if rows[0][0].measured_gb_per_s else "from the profile"
        axes.plot(x, limit / x, color=COLOURS[1], lw=1.8, label=f"memory, {how}: {limit:g} GB/s")
        axes.legend(fontsize=8, loc="upper right")
    axes.set(
        xlabel="GB of weights and KV cache read per token (logarithmic)",
        ylabel="decode tokens/s (logarithmic)",
    )
    return figure


# --- depth ---

# What is drawn against the depth, and the factor of its unit.
CURVES: tuple[tuple[str, Callable[[AtDepth], Estimate | None], float], ...] = (
    ("decode tokens/s", lambda at: at.setup.decode, 1.0),
    ("prefill tokens/s", lambda at: at.setup.prefill, 1.0),
    ("time to the first token, s", lambda at: at.setup.ttft, 1.0),
    ("peak resident memory, GiB", lambda at: at.peak_rss_bytes, 2.0**-30),
)


def depth(part: ProfilePart) -> Figure:
    """Speeds, TTFT and memory against the tokens before a question, by setup.

    Dotted: the decode speed at depth 0, slowed down as the bytes read per token grow.
    """
    figure = new_figure(9.5, 6.6)
    lines = by_setup(part.depths)
    if not lines:
        return empty_figure(figure, "no question was asked at a depth")
    panels = list(figure.subplots(2, 2, sharex=True).flat)
    for axes, (words, value, factor) in zip(panels, CURVES, strict=True):
        for place, (setup, depths) in enumerate(lines):
            colour = COLOURS[place] if place < len(COLOURS) else QUIET
            points = [(at.depth_tokens, value(at)) for at in depths]
            known = [(x, y.scaled(factor)) for x, y in points if y is not None]
            _draw_line(axes, known, colour, _name(setup))
        axes.set(ylabel=words, ylim=(0, None))
    for place, (_, depths) in enumerate(lines[: len(COLOURS)]):
        predicted = [(at.depth_tokens, at.predicted.value) for at in depths if at.predicted]
        x, y = [at for at, _ in predicted], [speed for _, speed in predicted]
        panels[0].plot(x, y, ":", color=COLOURS[place], lw=1.4, zorder=2)
    for axes in panels[2:]:
        axes.set_xlabel("depth, tokens of text before the question")
    marks, names = panels[0].get_legend_handles_labels()
    marks.append(Line2D([], [], ls=":", color=INK))
    names.append("by the bytes read per token")
    figure.legend(marks, names, loc="outside upper center", ncols=3, fontsize=8)
    return figure


# --- workloads ---


def workloads(part: ProfilePart) -> Figure:
    """Speed-ups by mode and workload, a panel for each model; the greatest ones come first."""
    by_model: dict[str, list[Setup]] = {}
    for c in part.setups:
        if c.mode.speculative and any(on.speed_up for on in c.by_workload.values()):
            by_model.setdefault(c.model.key, []).append(c)
    ways = [sorted(found, key=_best_of, reverse=True) for found in by_model.values()]
    ways = sorted(ways, key=lambda found: _best_of(found[0]), reverse=True)[:SHOWN_MODELS]
    ways = [found[:SHOWN_WAYS] for found in ways]
    names = part.workloads
    heights = [len(found) + 1.0 for found in ways]
    figure = new_figure(3.2 + 1.0 * (len(names) + 1), 1.2 + 0.4 * max(2.0, sum(heights)))
    if not ways:
        return empty_figure(figure, "no speed-up on a workload was measured")
    panels = figure.subplots(len(ways), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, found in zip(panels[:, 0], ways, strict=True):
        shown = _draw_workloads(axes, found, names)
        axes.set_title(one_line(found[0].model.key), loc="left", fontsize=9)
    columns = ["all", *(name.replace("_", "\n") for name in names)]
    panels[0, 0].set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=8)
    bar = figure.colorbar(shown, ax=panels[:, 0].tolist(), aspect=12, shrink=0.8)
    bar.set_ticks([np.log2(ratio) for ratio in RATIOS], labels=[f"{ratio:g}x" for ratio in RATIOS])
    bar.set_label("speed-up, median of paired ratios")
    return figure


def _best_of(c: Setup) -> float:
    """The greatest possible speed-up on a workload."""
    found = [on for on in c.by_workload.values() if not on.struck_out]
    return max((on.speed_up.estimate.value for on in found if on.speed_up), default=0.0)


def _draw_workloads(axes: Axes, ways: Sequence[Setup], names: Sequence[str]) -> QuadMesh:
    """One model: a line for each mode, a field for all workloads and for each."""
    ratios = np.full((len(ways), len(names) + 1), np.nan)
    for line, way in enumerate(ways):
        for column, on in enumerate((way, *map(way.by_workload.get, names))):
            if on is None or on.speed_up is None:
                continue
            words, colour = _speed_up_words(on.speed_up.estimate), INK
            if on.struck_out:
                words, colour = "impossible", FORBIDDEN
            else:
                ratios[line, column] = np.log2(on.speed_up.estimate.value)
                # The scale is dark at both ends.
                colour = "white" if abs(ratios[line, column]) > 0.75 else INK
            axes.text(
                column + 0.5, line + 0.5, words, ha="center", va="center", fontsize=7, color=colour,
            )  # fmt: skip
    # Steps and no smooth scale, as for the suites. The middle one is around 1.
    colours = mpl.colormaps["RdBu"].resampled(11).with_extremes(bad="#eeeeee")
    limit = np.log2(RATIOS[-1])
    shown = axes.pcolormesh(
        ratios, cmap=colours, vmin=-limit, vmax=limit, edgecolors="white", linewidth=1
    )
    labels = [one_line(way.mode.name) + leave_mark(way) for way in ways]
    proved = [way.inherits_quality for way in ways]
    axes.set_yticks(np.arange(len(ways)) + 0.5, labels, fontsize=8)
    for tick, is_proved in zip(axes.get_yticklabels(), proved, strict=True):
        tick.set_color(INK if is_proved else QUIET)
    _as_fields(axes)
    axes.set_xticks([])
    return shown


def _speed_up_words(up: Estimate) -> str:
    """`1.90x` above its interval."""
    if up.low is None or up.high is None:
        return f"{up.value:.2f}x\n(n={up.clusters})"
    return f"{up.value:.2f}x\n({up.low:.2f}–{up.high:.2f})"


def _as_fields(axes: Axes) -> None:
    """Without ticks, grid and frame, the first line on top."""
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)


# --- suites ---


def suites(part: ProfilePart) -> Figure:
    """Pass rate by setup and suite."""
    rows, names = part.rows, part.suites
    height = 1.4 + 0.28 * max(1, len(rows))
    figure = new_figure(2.8 + 0.9 * max(1, len(names)), height)
    if not rows or not names:
        return empty_figure(figure, "no answers were scored")
    axes = figure.subplots()
    rates = np.full((len(rows), len(names)), np.nan)
    for line, row in enumerate(rows):
        for column, name in enumerate(names):
            found = passes(row.by_suite.get(name, ()))
            if found.rate is not None:
                rates[line, column] = 100 * found.rate
            words = f"{found.passed}/{found.scored}" if found.scored else ""
            if found.asked and not found.scored:
                words = "unscored"
            colour = "white" if rates[line, column] > 60 else INK
            axes.text(
                column + 0.5, line + 0.5, words, ha="center", va="center", fontsize=7.5,
                color=colour,
            )  # fmt: skip
    # Ten steps: a smooth scale would be embedded as a bitmap, and its bytes would depend on the
    # compression library.
    colours = mpl.colormaps["YlGnBu"].resampled(10).with_extremes(bad="#eeeeee")
    shown = axes.pcolormesh(rates, cmap=colours, vmin=0, vmax=100, edgecolors="white", linewidth=1)
    suite_names = [one_line(name).replace("_", "\n") for name in names]
    axes.set_xticks(np.arange(len(names)) + 0.5, suite_names, fontsize=8)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_name(row) for row in rows], fontsize=8)
    _as_fields(axes)
    figure.colorbar(shown, ax=axes, label="pass rate, %", aspect=12, shrink=min(1.0, 6 / height))
    return figure


# --- fidelity ---


def fidelity(part: ProfilePart) -> Figure:
    """KL against the size of the weights, and against decode speed, each with its Pareto front."""
    figure = new_figure(9.5, 4.6)
    found = [(one, one.kl) for one in part.fidelities if one.kl is not None and one.kl.value > 0]
    if not found:
        return empty_figure(figure, "no divergence was measured")
    left, right = figure.subplots(1, 2, sharey=True)
    sizes = [(one, kl, one.weights_bytes / 1e9, None) for one, kl in found if one.weights_bytes]
    speeds = [
        (one, kl, decode.value, decode)
        for one, kl in found
        if one.setup is not None and not one.setup.struck_out
        and (decode := one.setup.decode) is not None
    ]  # fmt: skip
    _draw_divergences(left, sizes, better=-1)
    _draw_divergences(right, speeds, better=1)
    left.set(xlabel="GB of weights (logarithmic)", ylabel="KL, nats per token (logarithmic)")
    right.set(xlabel="decode tokens/s without speculation (logarithmic)")
    for axes, points in ((left, sizes), (right, speeds)):
        if points:
            log_axis(axes, "x", [x for _, _, x, _ in points])
    log_axis(left, "y", [kl.value for _, kl in found])
    return figure


def _draw_divergences(
    axes: Axes, points: Sequence[tuple[Fidelity, Estimate, float, Estimate | None]], better: int
) -> None:
    """The configurations, and a line through those that no other beats. `better`: of the x axis."""
    for _, kl, x, speed in points:
        xerr = reach(speed) if speed is not None else None
        axes.errorbar(
            x, kl.value, xerr=xerr, yerr=reach(kl), fmt="o", ms=6, color=COLOURS[0],
            elinewidth=0.8, zorder=3,
        )  # fmt: skip
    best, least = [], float("inf")
    for one, kl, x, _ in sorted(points, key=lambda p: (-better * p[2], p[1].value)):
        if kl.value < least:
            best.append((x, kl.value, one))
            least = kl.value
    if best:
        xs, ys = [x for x, _, _ in best], [y for _, y, _ in best]
        axes.step(xs, ys, where="post", color=COLOURS[1], lw=1.5, zorder=1)
        axes.plot(xs, ys, "o", ms=10, mfc="none", mec=COLOURS[1], mew=1.5, zorder=4)
    for x, y, one in best[:LABELLED]:
        name = one_line(one.name.replace("/", " "))
        label(axes, name, (x, y), (7, 6), fontsize=8, color=INK, zorder=4)


# layout.PICTURE_NAMES has the same names, so that Snakemake knows the files without loading
# matplotlib.
PICTURES: Mapping[str, Callable[[ProfilePart], Figure]] = MappingProxyType(
    {
        "quality-speed": quality_speed,
        "workloads": workloads,
        "speculation": speculation,
        "acceptance": acceptance,
        "roofline": roofline,
        "depth": depth,
        "fidelity": fidelity,
        "suites": suites,
    }
)


def draw(name: str, part: ProfilePart) -> str:
    """One of the PICTURES as SVG text."""
    with style.context(["default", STYLE]):
        return svg(PICTURES[name](part))
