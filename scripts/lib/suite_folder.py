"""The files of a folder of suites, at a glance."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.lib.errors import InputErrors
from scripts.lib.yaml_source import read_file

_SUITE_NAME = re.compile(r"^suite:[ \t]*['\"]?([\w.-]+)", re.MULTILINE)


def suite_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if path.stem != "MANIFEST")


def name_at_a_glance(file: Path) -> str:
    """A suite's name, however damaged its file is."""
    try:
        named = _SUITE_NAME.search(read_file(file).decode("utf-8", "replace"))
    except InputErrors:
        named = None
    return named[1] if named else file.stem
