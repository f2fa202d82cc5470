"""What a session of routing found, written where `--output` wants it: as one file, by its ending, or as a folder of all."""

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
    """The outcomes of a sample, or of a session's samples, and what they are called."""

    name: str
    hardware: str
    outcomes: Sequence[ModelOutcome]


def _csv(found: Found) -> str:
    return outcomes_csv(found.outcomes, now_utc("microseconds"))


def _rows(found: Found) -> list[dict[str, object]]:
    return [valid_texts(asdict(o)) for o in found.outcomes]


def _json(found: Found) -> str:
    return json.dumps(_rows(found), indent=1, ensure_ascii=False) + "\n"


def _json_lines(found: Found) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(found))


def _page(found: Found) -> str:
    return summary_page(found.name, found.hardware, routes_of(found.outcomes))


FORMS: dict[str, Callable[[Found], str]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".md": _page,
}


def check_output(path: Path) -> None:
    """Raise BenchError for a file of an ending that nothing is written for. Without an ending it is a folder."""
    if path.suffix and path.suffix not in FORMS and not path.is_dir():
        raise BenchError(
            f"--output: no form '{path.suffix}' (a folder has no ending){suggest(path.suffix, FORMS)}"
        )


def write_output(path: Path, found: Found) -> None:
    """Write the outcomes in the form of the file's ending; into a folder outcomes.csv, routes.csv and summary.md."""
    if path.suffix and not path.is_dir():
        write_atomic(path, FORMS[path.suffix](found))
        return
    write_atomic(path / OUTCOMES, _csv(found))
    write_atomic(path / "routes.csv", routes_csv(routes_of(found.outcomes)))
    write_atomic(path / "summary.md", _page(found))
