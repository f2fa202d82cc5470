"""Writes a session's outcomes to `--output`: one file in the form of its suffix, or a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import now_utc
from scripts.lib.base.untrusted_text import valid_texts
from scripts.lib.routing.report import routes_csv, routes_of, summary_page
from scripts.lib.routing.rewards import ModelOutcome
from scripts.lib.routing.session import OUTCOMES, outcomes_csv


@dataclass(frozen=True)
class Found:
    """The outcomes of a sample, or of all samples of a session."""

    name: str
    hardware: str
    outcomes: Sequence[ModelOutcome]

    def to_csv(self) -> str:
        """One line per outcome, with the time of writing."""
        return outcomes_csv(self.outcomes, now_utc("microseconds"))

    def to_json(self) -> str:
        """A list of the outcomes."""
        return json.dumps(self._rows(), indent=1, ensure_ascii=False) + "\n"

    def to_json_lines(self) -> str:
        """One line per outcome."""
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows())

    def to_markdown(self) -> str:
        """The routes as a page."""
        return summary_page(self.name, self.hardware, routes_of(self.outcomes))

    def _rows(self) -> list[dict[str, object]]:
        return [valid_texts(asdict(outcome)) for outcome in self.outcomes]


FORMS: dict[str, Callable[[Found], str]] = {
    ".csv": Found.to_csv,
    ".json": Found.to_json,
    ".jsonl": Found.to_json_lines,
    ".md": Found.to_markdown,
}


def check_output(path: Path) -> None:
    """Raise BenchError for a suffix with no known form. A path without a suffix is a folder."""
    if path.suffix and path.suffix not in FORMS and not path.is_dir():
        raise BenchError(
            f"--output: unknown file type '{path.suffix}' (a folder has no suffix)"
            f"{suggest(path.suffix, FORMS)}"
        )


def write_output(path: Path, found: Found) -> None:
    """Write one file in the form of its suffix; in a folder: outcomes, routes and a page."""
    if path.suffix and not path.is_dir():
        write_atomic(path, FORMS[path.suffix](found))
        return
    write_atomic(path / OUTCOMES, found.to_csv())
    write_atomic(path / "routes.csv", routes_csv(routes_of(found.outcomes)))
    write_atomic(path / "summary.md", found.to_markdown())
