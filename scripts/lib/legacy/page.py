"""What LEGACY.md shows of an imported history. It is never pooled with what this project measured.

Pure functions; the template is `docs/templates/LEGACY.md.j2`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scripts.lib.base.estimates import median, pass_rate
from scripts.lib.base.layout import LEGACY
from scripts.lib.base.markdown import DASH, TO_ROOT, code, link, number, percent, table, text
from scripts.lib.legacy.rows import LegacyRow, Way
from scripts.lib.legacy.store import SOURCES
from scripts.lib.legacy.tables import Imported
from scripts.lib.machine.profiles import Hardware
from scripts.lib.tables.setups import SUITE_ORDER


@dataclass(frozen=True)
class LegacyPage:
    """One imported history and the profile of the machine that it ran on."""

    hardware: Hardware
    imported: Imported

    @property
    def folder(self) -> str:
        """The history's folder as the page links to it."""
        return f"{TO_ROOT}/{LEGACY}/{self.hardware.name}"

    @cached_property
    def suites(self) -> list[str]:
        """The suites with scores: the known ones in their order, then the others."""
        found = {suite for row in self.imported.rows for suite in row.passes}
        return [*(s for s in SUITE_ORDER if s in found), *sorted(found - set(SUITE_ORDER))]

    def master_table(self) -> str:
        """One line per model and quality mode."""
        headers = (
            *("weights", "entry", "mode", *self.suites, "all suites", "answers"),
            *("t/s", "fastest way", "against base"),
        )
        return table(map(self._row, self.imported.rows), headers)

    def _row(self, row: LegacyRow) -> list[str]:
        best = row.fastest
        return [
            code(row.model),
            code(row.entry.key) if row.entry is not None else DASH,
            code(row.quality_row),
            *row.shown_passes(self.suites, DASH),
            self._total(row),
            str(len(row.base.answers)) if row.base is not None else DASH,
            self._base_speed(row),
            code(best.run.config) if best is not None else DASH,
            self._ratio(best),
        ]

    def _total(self, row: LegacyRow) -> str:
        """Passes of scored answers, with the interval: `48/61 (79 %, 67 %–88 %)†`.

        ‡ marks scores of another run than the base.
        """
        if row.review is None or not row.review.scores:
            return "unscored"
        passed, scored = row.total(self.suites)
        rate = pass_rate({key: [float(score.passed)] for key, score in row.review.scores.items()})
        assert rate is not None
        interval = f"{percent(rate.low)}–{percent(rate.high)}"
        marks = "†" if row.review.rescored else ""
        marks += "‡" if row.base is None or row.review.run != row.base.source else ""
        return f"{passed}/{scored} ({percent(rate.value)}, {interval}){marks}"

    @staticmethod
    def _base_speed(row: LegacyRow) -> str:
        if row.base is None:
            return DASH
        found = median(
            {(a.suite, a.question): [a.tokens_per_s] for a in row.base.answers if a.tokens_per_s}
        )
        shown = number(found.value if found is not None else row.base.tokens_per_s)
        if found is not None and found.low is not None:
            shown += f" ({number(found.low)}–{number(found.high)})"
        return f"~~{shown}~~" if row.struck else shown

    @staticmethod
    def _ratio(way: Way | None) -> str:
        return f"{way.ratio:.2f}x" if way is not None and way.ratio is not None else DASH

    def ways_table(self) -> str:
        """Every speed-only mode, the struck-out ones crossed through; empty without any."""
        rows = [
            [
                code(row.label),
                code(way.run.config),
                *self._figures(way),
                code(way.run.run_id),
                link("file", f"{LEGACY}/{self.hardware.name}/{SOURCES}/{way.run.source}"),
            ]
            for row in self.imported.rows
            for way in row.ways
        ]
        return table(rows, ["row", "mode", "t/s", "against base", "run", "file"])

    def _figures(self, way: Way) -> list[str]:
        shown = [number(way.run.tokens_per_s), self._ratio(way)]
        return [f"~~{figure}~~" if way.struck and figure != DASH else figure for figure in shown]

    def struck(self) -> Iterator[tuple[str, str, str]]:
        """(row, mode, reason) of every speed that physics or the answers' own logs contradict."""
        for row in self.imported.rows:
            if row.struck and row.base is not None:
                yield row.label, row.base.config, row.struck
            yield from ((row.label, way.run.config, way.struck) for way in row.ways if way.struck)

    def unplaced_table(self) -> str:
        """How many files and places were not placed, by reason, each with its first; or empty."""
        found: dict[str, list[str]] = {}
        for item in self.imported.unplaced:
            place = f"{item.file}: {item.place}" if item.place else item.file
            found.setdefault(item.reason.partition(":")[0], []).append(place)
        by_times = sorted(found.items(), key=lambda pair: -len(pair[1]))
        rows = [[text(reason), str(len(places)), code(places[0])] for reason, places in by_times]
        return table(rows, ["reason", "times", "first"])
