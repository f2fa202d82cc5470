"""How every picture of the pages looks, and its SVG: the same data give the same bytes, wherever they are drawn."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scripts.lib.base.estimates import Estimate

# Okabe and Ito's colours, which people who confuse red and green can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
QUIET, INK, FORBIDDEN = "#8a8a8a", "#222222", "#c00000"
STYLE: dict[str, Any] = {
    "svg.hashsalt": "epyc-inference-bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "legend.frameon": False,
    # A name such as `$x$` is text, no formula.
    "text.parse_math": False,
}
# Where values lie close together, a logarithmic axis still spans this factor: small differences
# look small.
LEAST_SPAN = 8.0


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; width and height in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure) -> str:
    """The figure as SVG text without date, version or random names."""
    out = io.StringIO()
    figure.savefig(
        out,
        format="svg",
        metadata={"Date": None, "Creator": None},
        bbox_inches="tight",
        pad_inches=0.1,
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def reach(value: Estimate, scale: float = 1.0) -> tuple[list[float], list[float]]:
    """How far the interval reaches below and above the value, in the form of matplotlib's `xerr` and `yerr`."""
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    return [max(0.0, value.value - low) * scale], [max(0.0, high - value.value) * scale]


def log_axis(axes: Axes, which: str, values: Iterable[float]) -> tuple[float, float]:
    """Make the `x` or `y` axis logarithmic, with plain numbers at 1, 2 and 5; gives its limits."""
    found = [value for value in values if value > 0]
    low, high = min(found) / 1.4, max(found) * 1.4
    wider = max(1.0, LEAST_SPAN / (high / low)) ** 0.5
    low, high = low / wider, high * wider
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    ticks = [step * 10.0**power for power in range(-6, 7) for step in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    return low, high


def nothing(axes: Axes, words: str) -> None:
    """Say in an empty picture why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, color=QUIET)
