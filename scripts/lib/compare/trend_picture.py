"""Trends as a picture: one panel per setup with its values over the runs and its change points."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes

from scripts.lib.base.untrusted_text import one_line
from scripts.lib.compare.gates import Gate
from scripts.lib.compare.trend_report import by_key
from scripts.lib.compare.trends import CHANGES, Mark, Point
from scripts.lib.pages.drawing import COLOURS, FORBIDDEN, STYLE, new_figure, reach, svg

WIDTH, PANEL_HEIGHT = 7.0, 1.9


def picture(points: Sequence[Point], gate: Gate) -> str:
    """The trends as SVG; equal points give equal bytes."""
    groups = by_key(points)
    with style.context(["default", STYLE]):
        figure = new_figure(WIDTH, PANEL_HEIGHT * len(groups))
        for place, (key, found) in enumerate(groups.items(), 1):
            panel = figure.add_subplot(len(groups), 1, place)
            panel.set_title(one_line(key), loc="left", fontsize="medium")
            panel.set_ylabel(gate.metric)
            _draw(panel, found)
        return svg(figure)


def _draw(panel: Axes, found: Sequence[Point]) -> None:
    places = list(range(len(found)))
    reaches = [reach(point.value) for point in found]
    limits = [[low[0] for low, _ in reaches], [high[0] for _, high in reaches]]
    panel.errorbar(
        places,
        [p.value.value for p in found],
        yerr=limits,
        marker="o",
        markersize=3,
        capsize=2,
        color=COLOURS[0],
    )
    for place, point in zip(places, found, strict=True):
        if point.mark in CHANGES:
            panel.axvline(
                place,
                color=FORBIDDEN if point.mark is Mark.REGRESSION else COLOURS[2],
                linestyle="--",
            )
    panel.set_xticks(places, [one_line(point.run_id) for point in found], rotation=20, ha="right")
    panel.set_ylim(bottom=0)
