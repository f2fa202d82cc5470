"""RESULTS.md on runtime variants: each against the usual settings, and sweeps over threads."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.lib.base.markdown import DASH, code, points, share, table
from scripts.lib.pages.sections.quality import ratio, speed
from scripts.lib.pages.sections.speed import efficiency, memory_read
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.variants import KNEE_SHARE, Sweep, SweepPoint, VariantEffect

KNEE_PERCENT = f"{100 * KNEE_SHARE:.0f} %"


def variants_table(part: ProfilePart) -> str:
    """Each setup in a variant, compared with the same one without it."""
    headers = ("model", "mode", "variant", "what differs", "decode t/s", "decode", "prefill")
    rows = map(_variant_row, part.variant_effects)
    return table(rows, (*headers, "difference in passes"))


def _variant_row(effect: VariantEffect) -> list[str]:
    c = effect.setup
    assert c.variant is not None
    quality = effect.quality
    return [
        code(c.model.key),
        code(c.mode.plain_name),
        code(c.mode.variant),
        code(c.variant.shown_changes),
        speed(c),
        ratio(effect.decode),
        ratio(effect.prefill),
        DASH if quality is None else points(quality.estimate),
    ]


def sweep_table(part: ProfilePart) -> str:
    """The decode speed at each number of a sweep, and the bandwidth that it uses."""
    headers = ("model", "mode", "setting", "value", "decode t/s", "GB/s", "share of bandwidth", "")
    return table((row for sweep in part.sweeps for row in _sweep_rows(sweep)), headers)


def _sweep_rows(sweep: Sweep) -> Iterator[list[str]]:
    for point in sweep.points:
        c = point.setup
        if c.decode is not None:
            yield [
                code(c.model.key),
                code(c.mode.plain_name),
                sweep.setting,
                str(point.value),
                speed(c),
                memory_read(c, c.decode),
                share(efficiency(c, c.decode)),
                _mark(sweep, point),
            ]


def _mark(sweep: Sweep, point: SweepPoint) -> str:
    marks = ("the profile's" if point.is_default else "", "knee" if point is sweep.knee else "")
    return ", ".join(filter(None, marks))
