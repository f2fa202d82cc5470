"""Typed reading of untrusted YAML mappings: every mistake goes to one list, with its place, and gives the default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from rapidfuzz.distance import DamerauLevenshtein

from scripts.lib.base.errors import Problem, shown, suggest
from scripts.lib.base.yaml_file import Carried, Source
from scripts.lib.base.yaml_sections import Key, Section


def is_misspelt(key: str, known: Iterable[str]) -> bool:
    """True when a slip or two (one in words of up to five letters) makes it a known key; a longer word of the same stem is
    no slip."""
    return any(DamerauLevenshtein.distance(key, name) <= min(2, len(key) // 3) for name in known)


class Fields:
    """Typed reading of one mapping; every mistake goes to one list and gives the default.

    `faults`: the list, where it is not the file's own (an entry that leaves itself out). A misspelt
    key is always the file's. Keys that nothing acts on go to the file's `carried`; older names of
    keys are read as the keys that they stand for.
    """

    def __init__(
        self,
        file: Source,
        raw: Any,
        path: str,
        section: Section | None,
        faults: list[Problem] | None = None,
    ):
        self.file, self.path, self.section = file, path, section
        self.faults = file.problems if faults is None else faults
        self.raw: dict[str, Any] = dict(raw) if isinstance(raw, dict) else {}
        # Key -> the older name that says it here.
        self._said_as: dict[str, str] = {}
        if section is not None:
            self._look_at_keys(section)
        # An empty list or text says as little as nothing.
        if raw not in (None, [], "") and not isinstance(raw, dict):
            self._mistake("", f"expected a mapping, found {shown(raw)}")

    def _look_at_keys(self, section: Section) -> None:
        for name, value in tuple(self.raw.items()):
            key = section.key(name)
            if key is None:
                self._unknown(name, section)
            elif key.carried:
                self.carry(name)
            elif key.same_as and value is not None:
                self._take_as(name, value, key.same_as)

    def _unknown(self, name: str, section: Section) -> None:
        if section.values:
            return
        if section.closed or is_misspelt(name, section.acted_on):
            message = f"unknown key{suggest(name, section.acted_on)}"
            self.file.problems.append(self.file.problem(self.at(name), message))
        else:
            self.carry(name)

    def carry(self, name: str) -> None:
        """A key that nothing acts on."""
        path, place = self.at(name), self.section.place if self.section is not None else self.path
        self.file.carried.append(Carried(place, name, path, self.file.line(path), self.raw[name]))

    def _take_as(self, name: str, value: Any, key: str) -> None:
        """An older name counts where the key itself is not said."""
        if self.raw.get(key) is None:
            self.raw[key], self._said_as[key] = value, name
        elif self.raw[key] != value:
            self.warn(name, f"stands beside {self._said_as.get(key, key)}, which is used")

    def _row(self, key: str) -> Key | None:
        return self.section.key(key) if self.section is not None else None

    def at(self, key: str) -> str:
        return ".".join(part for part in (self.path, self._said_as.get(key, key)) if part)

    def problem(self, key: str, message: str) -> None:
        self.faults.append(self.file.problem(self.at(key), message))

    def warn(self, key: str, message: str) -> None:
        self.file.warnings.append(self.file.problem(self.at(key), message))

    def _is_lenient(self, key: str) -> bool:
        row = self._row(key)
        section = self.section is not None and self.section.lenient
        return section or key in self._said_as or (row is not None and row.lenient)

    def _mistake(self, key: str, message: str) -> None:
        """A value of another kind."""
        if self._is_lenient(key):
            self.warn(key, f"{message}: it counts as not said")
        else:
            self.problem(key, message)

    def _typed(self, key: str, fits: bool, expected: str) -> Any:
        value = self.raw.get(key)
        if value is None or fits:
            return value
        self._mistake(key, f"expected {expected}, found {shown(value)}")
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
        value, row = self.raw.get(key), self._row(key)
        if row is not None and row.unsaid is not None and value == row.unsaid:
            return None
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        found: int | None = self._typed(key, fits, f"a whole number of at least {least}")
        return found

    def number(self, key: str, least: float = 0.0) -> float | None:
        value = self.raw.get(key)
        fits = (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and least <= value < float("inf")
        )
        found = self._typed(key, fits, f"a number of at least {least:g}")
        return None if found is None else float(found)

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, isinstance(self.raw.get(key), bool), "true or false"))

    def optional_flag(self, key: str) -> bool | None:
        """As `flag`; None where it is not said."""
        value: bool | None = self._typed(key, isinstance(self.raw.get(key), bool), "true or false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.get(key)
        if isinstance(value, str):
            return (value,)
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(self._typed(key, fits, "a list of texts") or ())

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._typed(key, isinstance(self.raw.get(key), dict), "a mapping")
        return MappingProxyType(value or {})

    def counts(self) -> dict[str, int]:
        """Every key of the mapping with its whole number, of those that have one."""
        return {name: count for name in self.raw if (count := self.integer(name)) is not None}

    def numbers(self) -> dict[str, float]:
        """Every key of the mapping with its number, of those that have one."""
        return {name: number for name in self.raw if (number := self.number(name)) is not None}

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        value, row = self.text(key, default), self._row(key)
        value = dict(row.synonyms).get(value, value) if row is not None else value
        if value not in known:
            self._mistake(key, f"unknown value '{value}'{suggest(value, known)}")
            return default
        return value

    def choices(self, key: str, known: tuple[str, ...]) -> frozenset[str]:
        values = self.texts(key)
        for value in values:
            if value not in known:
                self.problem(key, f"unknown value '{value}'{suggest(value, known)}")
        return frozenset(values)

    def part(self, key: str, section: Section | None) -> Fields:
        return Fields(self.file, self.raw.get(key), self.at(key), section, self.faults)
