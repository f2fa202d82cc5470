"""Typed reading of untrusted YAML mappings: every mistake goes to one list, with its place, and gives the default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from rapidfuzz.distance import DamerauLevenshtein

from scripts.lib.errors import shown, suggest
from scripts.lib.registry_keys import Section, Unknown
from scripts.lib.yaml_source import Source


def is_misspelt(key: str, known: Iterable[str]) -> bool:
    """True when a slip or two (none in the shortest words) makes it a known key; a longer word of the same stem is no slip."""
    return any(DamerauLevenshtein.distance(key, name) <= min(2, len(key) // 3) for name in known)


class Fields:
    """Typed reading of one mapping; every mistake goes to the shared list and gives the default."""

    def __init__(self, file: Source, raw: Any, path: str, section: Section | None):
        self.file, self.path, self.raw = file, path, raw
        if raw is None:
            self.raw = {}
        elif not isinstance(raw, dict):
            self.problem("", f"expected a mapping, found {shown(raw)}")
            self.raw = {}
        if section is not None:
            for key in self.raw:
                if key not in section.names:
                    self._unknown(str(key), section)

    def _unknown(self, key: str, section: Section) -> None:
        if section.unknown is Unknown.PASS:
            return
        if section.unknown is Unknown.ERROR or is_misspelt(key, section.names):
            self.problem(key, f"unknown key{suggest(key, section.names)}")
        else:
            self.warn(key, "unknown key: carried through, not used here")

    def at(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def problem(self, key: str, message: str) -> None:
        self.file.problems.append(self.file.problem(self.at(key), message))

    def warn(self, key: str, message: str) -> None:
        self.file.warnings.append(self.file.problem(self.at(key), message))

    def _typed(self, key: str, fits: bool, expected: str) -> Any:
        value = self.raw.get(key)
        if value is None or fits:
            return value
        self.problem(key, f"expected {expected}, found {shown(value)}")
        return None

    def text(self, key: str, default: str = "") -> str:
        value = self._typed(key, isinstance(self.raw.get(key), str), "text")
        return default if value is None else str(value)

    def required(self, key: str, empty: bool = False) -> str:
        if key not in self.raw or (self.raw[key] in (None, "") and not empty):
            self.problem(key, "is missing")
            return ""
        return self.text(key)

    def loose_text(self, key: str) -> str:
        """Text where a number, a date or a list is as good."""
        value = self.raw.get(key)
        return "" if value is None else str(value)

    def integer(self, key: str, least: int = 1) -> int | None:
        value = self.raw.get(key)
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        found: int | None = self._typed(key, fits, f"a whole number of at least {least}")
        return found

    def number(self, key: str, least: float = 0.0) -> float | None:
        value = self.raw.get(key)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < float("inf")
        found = self._typed(key, fits, f"a number of at least {least:g}")
        return None if found is None else float(found)

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, isinstance(self.raw.get(key), bool), "true or false"))

    def optional_flag(self, key: str) -> bool | None:
        """As `flag`; None where it is not said."""
        return self.flag(key) if self.raw.get(key) is not None else None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.get(key)
        if isinstance(value, str):
            return (value,)
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(self._typed(key, fits, "a list of texts") or ())

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._typed(key, isinstance(self.raw.get(key), dict), "a mapping")
        return MappingProxyType(value or {})

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in known:
            self.problem(key, f"unknown value '{value}'{suggest(value, known)}")
            return default
        return value

    def choices(self, key: str, known: tuple[str, ...]) -> frozenset[str]:
        values = self.texts(key)
        for value in values:
            if value not in known:
                self.problem(key, f"unknown value '{value}'{suggest(value, known)}")
        return frozenset(values)

    def part(self, key: str, section: Section | None) -> Fields:
        return Fields(self.file, self.raw.get(key), self.at(key), section)
