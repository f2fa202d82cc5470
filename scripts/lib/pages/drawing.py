"""The style of the pictures, and their SVG: equal data give equal bytes on every machine."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scripts.lib.base.estimates import Estimate

# Okabe and Ito's colours, which colour-blind people can tell apart.
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
    # A name such as `$x$` is text and not a formula.
    "text.parse_math": False,
}
# A logarithmic axis spans at least this factor, so that small differences look small.
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
    """The interval's length below and above the value, as matplotlib's `xerr` and `yerr`."""
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    return [max(0.0, value.value - low) * scale], [max(0.0, high - value.value) * scale]


def round_values() -> list[float]:
    """1, 2 and 5 times each power of ten that an axis may show."""
    return [step * 10.0**power for power in range(-6, 7) for step in (1, 2, 5)]


def log_axis(axes: Axes, which: str, values: Iterable[float]) -> tuple[float, float]:
    """Make the `x` or `y` axis logarithmic, with numbers at 1, 2 and 5. Returns its limits."""
    found = [value for value in values if value > 0]
    low, high = min(found) / 1.4, max(found) * 1.4
    wider = max(1.0, LEAST_SPAN / (high / low)) ** 0.5
    low, high = low / wider, high * wider
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator([tick for tick in round_values() if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    return low, high


def empty_figure(figure: Figure, why: str) -> Figure:
    """The figure with nothing but the reason why it is empty."""
    axes = figure.gca()
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color=QUIET)
    return figure


def label(
    axes: Axes, words: str, at: tuple[float, float], offset: tuple[int, int], **style: Any
) -> None:
    """Write words beside a point; the offset is in points."""
    axes.annotate(words, at, offset, textcoords="offset points", **style)
