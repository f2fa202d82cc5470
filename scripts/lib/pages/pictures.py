"""The pictures of RESULTS.md: quality against speed, speculation, roofline, suites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scripts.lib.base.untrusted_text import one_line
from scripts.lib.pages.drawing import (
    COLOURS,
    FORBIDDEN,
    INK,
    QUIET,
    STYLE,
    log_axis,
    new_figure,
    nothing,
    reach,
    svg,
)
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import unrankable
from scripts.lib.tables.setups import Setup, passes

LABELLED = 12


def _name(c: Setup) -> str:
    return one_line(c.name.replace("/", " "))


# --- quality against speed ---


def front(
    points: Iterable[tuple[float, float, Setup]],
) -> list[tuple[float, float, Setup]]:
    """The points that no other one beats in both speed and quality, the fastest first."""
    kept: list[tuple[float, float, Setup]] = []
    for point in sorted(points, key=lambda p: (-p[0], -p[1])):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept


def quality_speed(part: ProfilePart) -> Figure:
    """Pass rate against decode speed in the fastest proved way, with intervals and the Pareto front."""
    figure = new_figure(8.5, 5.2)
    axes = figure.subplots()
    ranked, speeds = [], []
    for row in part.rows:
        way = part.way_of(row)
        if row.quality is None or way.decode is None or row.decode is None or row.struck_out:
            continue
        counts = not unrankable(row)
        colour = COLOURS[0] if counts else QUIET
        y = 100 * row.quality.value
        speeds += [row.decode.value, way.decode.value]
        if way is not row:
            axes.plot(
                [row.decode.value, way.decode.value], [y, y], color=colour, lw=1, ls=":", zorder=2
            )
            axes.plot(row.decode.value, y, "o", ms=5, mfc="white", mec=colour, zorder=3)
        axes.errorbar(
            way.decode.value, y, xerr=reach(way.decode), yerr=reach(row.quality, 100), fmt="o", ms=6, color=colour,
            ecolor=colour, elinewidth=0.8, alpha=0.85, zorder=3,
        )  # fmt: skip
        if counts:
            ranked.append((way.decode.value, y, way))
    if not ranked:
        nothing(axes, "no setup is ranked")
        return figure
    best = front(ranked)
    axes.step(
        [p[0] for p in best], [p[1] for p in best], where="pre", color=COLOURS[1], lw=1.5, zorder=1
    )
    axes.plot(
        [p[0] for p in best],
        [p[1] for p in best],
        "o",
        ms=10,
        mfc="none",
        mec=COLOURS[1],
        mew=1.5,
        zorder=4,
    )
    for x, y, way in best[:LABELLED]:
        axes.annotate(
            _name(way),
            (x, y),
            xytext=(7, 6),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            zorder=4,
        )
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

Line = tuple[str, list[tuple[int, Setup]]]


def _lines(ways: Sequence[Setup], setting: Callable[[Setup], int | None]) -> list[Line]:
    """Sweeps by model, base and drafting, the one with the greatest proved speed-up first."""
    found: dict[str, list[tuple[int, Setup]]] = {}
    for way in ways:
        at = setting(way)
        if at is not None and way.speed_up is not None:
            drafted_by = (
                f", {way.mode.draft}{' + lookup' if way.mode.lookup_n else ''}"
                if way.mode.draft
                else ""
            )
            found.setdefault(f"{way.model.key} {way.mode.quality_row}{drafted_by}", []).append(
                (at, way)
            )

    def best(line: Line) -> float:
        return max(
            (_speed_up(way) for _, way in line[1] if way.inherits_quality and not way.struck_out),
            default=0.0,
        )

    return sorted(
        ((one_line(name), sorted(at, key=lambda p: p[0])) for name, at in found.items()),
        key=lambda x: -best(x),
    )


def _speed_up(way: Setup) -> float:
    return way.speed_up.estimate.value if way.speed_up is not None else 0.0


def _draw_sweep(top: Axes, bottom: Axes, lines: Sequence[Line], letter: str) -> None:
    for place, (name, points) in enumerate(lines):
        told = place < len(COLOURS)
        colour, width, layer = (COLOURS[place], 1.8, 3) if told else (QUIET, 0.6, 2)
        possible = [
            (at, way.speed_up.estimate, way)
            for at, way in points
            if way.speed_up and not way.struck_out
        ]
        x, y = [at for at, _, _ in possible], [ratio.value for _, ratio, _ in possible]
        if not told:
            top.plot(x, y, "o-", ms=2.5, color=colour, lw=width, zorder=layer)
        else:
            top.plot(x, y, color=colour, lw=width, label=name, zorder=layer)
            for at, ratio, way in possible:
                face = colour if way.inherits_quality else "white"
                top.errorbar(
                    at, ratio.value, yerr=reach(ratio), fmt="o", ms=5, color=colour, mfc=face, elinewidth=0.8, zorder=layer
                )  # fmt: skip
        for at, _ in (point for point in points if point[1].struck_out):
            # At the upper edge: where the number itself says, it would squeeze everything else.
            top.plot(
                at,
                0.97,
                "x",
                color=FORBIDDEN,
                ms=7,
                mew=1.8,
                zorder=5,
                transform=top.get_xaxis_transform(),
            )
        accepted = [(at, way.acceptance) for at, way in points if way.acceptance is not None]
        x, y = [at for at, _ in accepted], [100 * share.value for _, share in accepted]
        bottom.plot(x, y, "o-", ms=3.5, color=colour, lw=width, zorder=layer)
        for at, share in accepted if told else ():
            bottom.errorbar(
                at,
                100 * share.value,
                yerr=reach(share, 100),
                color=colour,
                elinewidth=0.8,
                zorder=layer,
            )
    top.axhline(1, color=INK, lw=0.8)
    top.set_xticks(sorted({at for _, points in lines for at, _ in points}))
    top.set(ylabel="speed-up, median of paired ratios", ylim=(0, None))
    top.legend(fontsize=7.5, loc="lower right")
    bottom.set(xlabel=letter, ylabel="accepted, % of drafted (median)", ylim=(0, 103))


def speculation(part: ProfilePart) -> Figure:
    """Speed-up and acceptance against K (draft models) and n (prompt lookup), as far as they were measured."""
    drafts = _lines([c for c in part.setups if c.mode.draft is not None], lambda c: c.mode.k)
    lookups = _lines([c for c in part.setups if c.mode.draft is None], lambda c: c.mode.lookup_n)
    sweeps = [
        (drafts, "K, most tokens drafted a step"),
        (lookups, "n, tokens that prompt lookup matches"),
    ]
    drawn = [(lines, letter) for lines, letter in sweeps if lines]
    figure = new_figure(5.2 * max(1, len(drawn)), 5.6)
    if not drawn:
        nothing(figure.subplots(), "no speculation was measured")
        return figure
    grid = figure.subplots(
        2, len(drawn), sharex="col", squeeze=False, gridspec_kw={"height_ratios": [2, 1]}
    )
    for column, (lines, letter) in enumerate(drawn):
        _draw_sweep(grid[0][column], grid[1][column], lines, letter)
    marks = [
        Line2D([], [], marker="o", ls="", color=INK, label="answers proved the same"),
        Line2D([], [], marker="o", ls="", color=INK, mfc="white", label="lossy or not compared"),
        Line2D([], [], marker="x", ls="", color=FORBIDDEN, label="struck out by physics"),
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=3, fontsize=8)
    return figure


# --- roofline ---


def roofline(part: ProfilePart) -> Figure:
    """Decode speed against bytes read per token, below the memory's bandwidth."""
    figure = new_figure(8.5, 5.2)
    axes = figure.subplots()
    rows = [c for c in part.rows if c.weights_bytes and c.decode is not None]
    if not rows:
        nothing(axes, "the sizes of the weights are not known")
        return figure
    for c in rows:
        assert c.decode is not None
        colour = FORBIDDEN if c.struck_out else COLOURS[0]
        axes.errorbar(
            c.bytes_per_token / 1e9, c.decode.value, yerr=reach(c.decode), fmt="x" if c.struck_out else "o", ms=6,
            color=colour, elinewidth=0.8, zorder=3,
        )  # fmt: skip
    # Neighbours' labels stand above and below by turns.
    for place, c in enumerate(sorted(rows[:LABELLED], key=lambda c: c.bytes_per_token)):
        at = (c.bytes_per_token / 1e9, c.decode.value if c.decode is not None else 0)
        axes.annotate(
            _name(c),
            at,
            xytext=(7, (5, -11)[place % 2]),
            textcoords="offset points",
            fontsize=8,
            zorder=4,
        )
    x = np.array(log_axis(axes, "x", [c.bytes_per_token / 1e9 for c in rows]))
    y = log_axis(axes, "y", [c.decode.value for c in rows if c.decode is not None])
    limit = rows[0].memory_gb_per_s
    steps = (10.0**power * step for power in range(0, 5) for step in (1, 2, 5))
    for used in (used for used in steps if limit is None or used < limit):
        axes.plot(x, used / x, color="#dddddd", lw=0.8, zorder=1)
        if y[0] < used / x[0] < y[1]:
            axes.annotate(
                f"{used:g} GB/s",
                (x[0], used / x[0]),
                (3, 2),
                textcoords="offset points",
                fontsize=7,
                color=QUIET,
            )
    if limit is not None:
        how = "measured" if rows[0].measured_gb_per_s else "the profile's"
        axes.plot(x, limit / x, color=COLOURS[1], lw=1.8, label=f"memory, {how}: {limit:g} GB/s")
        axes.legend(fontsize=8, loc="upper right")
    axes.set(
        xlabel="GB of weights read per token (logarithmic)",
        ylabel="decode tokens/s (logarithmic)",
    )
    return figure


# --- suites ---


def suites(part: ProfilePart) -> Figure:
    """Pass rate by setup and suite."""
    rows, names = part.rows, part.suites
    figure = new_figure(2.8 + 0.9 * max(1, len(names)), 1.4 + 0.28 * max(1, len(rows)))
    axes = figure.subplots()
    if not rows or not names:
        nothing(axes, "no answer is there")
        return figure
    counts = [[passes(row.by_suite.get(name, ())) for name in names] for row in rows]
    rates = np.array(
        [[np.nan if found.rate is None else 100 * found.rate for found in line] for line in counts]
    )
    # Ten steps: a smooth scale would be an embedded bitmap, whose bytes depend on the compression
    # library.
    colours = mpl.colormaps["YlGnBu"].resampled(10).with_extremes(bad="#eeeeee")
    shown = axes.pcolormesh(rates, cmap=colours, vmin=0, vmax=100, edgecolors="white", linewidth=1)
    for (line, column), rate in np.ndenumerate(rates):
        found = counts[line][column]
        words = (
            f"{found.passed}/{found.scored}"
            if found.scored
            else ("unscored" if found.asked else "")
        )
        axes.text(
            column + 0.5,
            line + 0.5,
            words,
            ha="center",
            va="center",
            fontsize=7.5,
            color="white" if rate > 60 else INK,
        )
    axes.set_xticks(
        np.arange(len(names)) + 0.5,
        [one_line(name).replace("_", "\n") for name in names],
        fontsize=8,
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_name(row) for row in rows], fontsize=8)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(
        shown,
        ax=axes,
        label="pass rate, %",
        aspect=12,
        shrink=min(1.0, 6 / (1.4 + 0.28 * len(rows))),
    )
    return figure


# The names are layout.PICTURE_NAMES: Snakemake has to know the files without loading a drawing
# library.
PICTURES: Mapping[str, Callable[[ProfilePart], Figure]] = MappingProxyType(
    {
        "quality-speed": quality_speed,
        "speculation": speculation,
        "roofline": roofline,
        "suites": suites,
    }
)


def draw(name: str, part: ProfilePart) -> str:
    """One of the PICTURES as SVG text."""
    with style.context(["default", STYLE]):
        return svg(PICTURES[name](part))
