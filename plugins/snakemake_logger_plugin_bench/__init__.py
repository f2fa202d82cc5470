"""Snakemake's logger plugin `bench`: a run's display, which the Snakefile attaches.

Snakemake finds plugins by the names of packages on Python's path. So this package is apart from
`scripts`, and imports nothing of it: one environment can serve several checkouts.

Until a display is attached, and if it fails, the messages are Snakemake's own. With --verbose,
--printshellcmds, --debug-dag or --quiet, this plugin does nothing at all.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Protocol

from snakemake_interface_logger_plugins.base import LogHandlerBase


class Display(Protocol):
    """Shows Snakemake's log records."""

    def take(
        self, record: logging.LogRecord, formatted: Callable[[logging.LogRecord], str]
    ) -> None:
        """Show a record, or not. `formatted` gives Snakemake's own text of it."""

    def close(self) -> None:
        """Called when Snakemake ends."""


class LogHandler(LogHandlerBase):
    """Passes records on to the attached display. Snakemake calls `emit` in one thread."""

    def __post_init__(self) -> None:
        from snakemake.logging import ColorizingTextHandler

        settings = self.common_settings
        self._display: Display | None = None
        self._own = ColorizingTextHandler(
            nocolor=settings.nocolor, stream=sys.stdout if settings.stdout else sys.stderr
        )

    @property
    def is_on(self) -> bool:
        """False if the command line asks for Snakemake's own output."""
        asked = self.common_settings
        return not (asked.verbose or asked.printshellcmds or asked.debug_dag or asked.quiet)

    def attach(self, display: Display) -> None:
        """Show all records from now on with this display."""
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if not self.is_on:
            return
        if self._display is not None:
            try:
                self._display.take(record, self.format)
                return
            except Exception:
                # A fault of the display must neither stop a run nor hide its messages.
                self._display = None
                self.handleError(record)
        self._own.setFormatter(self.formatter)
        self._own.emit(record)

    def close(self) -> None:
        """Let the display print its last words."""
        if self._display is not None:
            try:
                self._display.close()
            except Exception as error:
                print(f"the display failed: {error!r}", file=sys.stderr)
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """True if it replaces Snakemake's own output."""
        return self.is_on

    @property
    def writes_to_file(self) -> bool:
        """It never does."""
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's filter is used."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Snakemake's formatter is used."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """It does not."""
        return False
