"""Typed reading of a suite's mappings: every mistake goes to the file's list, with its place, and gives the default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.lib.base.errors import shown, suggest
from scripts.lib.base.yaml_fields import is_misspelt
from scripts.lib.base.yaml_file import Source


class Entry:
    """Typed reading of one mapping: a suite's, a question's, a criterion's."""

    def __init__(self, source: Source, path: str, raw: Mapping[str, Any]):
        self.source, self.path, self.raw = source, path, raw

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def problem(self, key: str, message: str) -> None:
        self.source.problems.append(self.source.problem(self._at(key), message))

    def warn(self, key: str, message: str) -> None:
        """What is odd and stops nothing."""
        self.source.warnings.append(self.source.problem(self._at(key), message))

    def no_slips(self, keys: Iterable[str], of: str = "") -> None:
        """No key is one of these (`of` what) misspelt; others may stand there, and are named as not used."""
        for key in self.raw:
            if key not in keys and is_misspelt(key, keys):
                self.problem(key, f"unknown key{f' of {of}' if of else ''}{suggest(key, keys)}")

    def known(self, keys: Iterable[str]) -> None:
        """Every key is one of these."""
        for key in self.raw:
            if key not in keys:
                self.problem(key, f"unknown key{suggest(key, keys)}")

    def text(self, key: str, required: bool = False) -> str:
        value = self.raw.get(key)
        if required and (value is None or not str(value).strip()):
            self.problem(key, "is missing")
            return ""
        if value is None:
            return ""
        if isinstance(value, (dict, list)):
            self.problem(key, f"expected text, found {shown(value)}")
            return ""
        return str(value)

    def listed(self, key: str, what: str) -> list[Any]:
        """A list of anything; empty where there is none."""
        value = self.raw.get(key)
        if value is None or isinstance(value, list):
            return value or []
        self.problem(key, f"expected a list of {what}, found {shown(value)}")
        return []

    def integer(self, key: str, least: int, most: int) -> int | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.problem(
                key, f"expected a whole number from {least} to {most}, found {shown(value)}"
            )
            return None
        return value

    def number(self, key: str, least: float, most: float) -> float | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if (
            not isinstance(value, (int, float))
            or isinstance(value, bool)
            or not least <= value <= most
        ):
            self.problem(key, f"expected a number from {least:g} to {most:g}, found {shown(value)}")
            return None
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.get(key)
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
            self.problem(key, f"expected a list of texts, none of them empty, found {shown(value)}")
            return ()
        return tuple(items)
