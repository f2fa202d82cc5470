"""Typed reading of untrusted YAML mappings.

Every input file is read with `Fields`. Each mistake is added to one list, with its place, and the
default is used instead; so all mistakes are reported at once. An unknown key that looks like a
misspelt one is an error. Any other unknown key is carried through and named in a notice; in a
closed section it is an error, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeGuard

from rapidfuzz.distance import DamerauLevenshtein

from scripts.lib.base.errors import Problem, in_short, shown, suggest
from scripts.lib.base.yaml_file import Carried, Source
from scripts.lib.base.yaml_sections import Key, Section

_LARGEST = sys.float_info.max


def is_misspelt(key: str, known: Iterable[str]) -> bool:
    """True if `key` is one or two typing errors away from a known key (one in short keys)."""
    return any(DamerauLevenshtein.distance(key, name) <= min(2, len(key) // 3) for name in known)


def is_number(value: Any) -> TypeGuard[float]:
    """True for a whole or decimal number; YAML's true and false are not numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _limits(least: float, most: float, above: bool = False) -> str:
    if above:
        return f"above {least:g}" + (f", at most {most:g}" if most != _LARGEST else "")
    return f"of at least {least:g}" if most == _LARGEST else f"from {least:g} to {most:.10g}"


class Fields:
    """Typed reading of one mapping; a mistake is noted, and the default is used instead.

    `section` describes the keys; None for a mapping whose keys are names. Mistakes go to `faults`;
    the default is the file's list. (The registry uses a list per entry, so that only the faulty
    entry is left out.) A misspelt key always goes to the file's list. Keys that nothing acts on go
    to the file's `carried`. An older name of a key is read as that key.
    """

    def __init__(
        self,
        file: Source,
        raw: Any,
        path: str = "",
        section: Section | None = None,
        faults: list[Problem] | None = None,
    ):
        self.file, self.path, self.section = file, path, section
        self.faults = file.problems if faults is None else faults
        # Our own YAML reader gives keys as text; the keys of a Snakemake profile may be anything.
        pairs = raw.items() if isinstance(raw, dict) else ()
        self.raw: dict[str, Any] = {str(key): value for key, value in pairs}
        # Key -> the older name that gives its value here.
        self._given_as: dict[str, str] = {}
        if section is not None and isinstance(raw, dict):
            self._look_at_keys(section)
        # An empty list or text counts as no value.
        if raw not in (None, [], "") and not isinstance(raw, dict):
            self._mistake("", f"expected a mapping, found {shown(raw)}")

    def _look_at_keys(self, section: Section) -> None:
        for name, value in tuple(self.raw.items()):
            key = section.key(name)
            if key is None:
                self._unknown(name, section)
            elif key.carried:
                self.carry(name, known=True)
            elif key.same_as and value is not None:
                self._take_as(name, value, key.same_as)
        if section.closed:
            for key in section.keys:
                value = self.raw.get(key.name)
                is_absent = value is None and (key.required or key.name not in self.raw)
                if (key.required or key.nullable) and (is_absent or value in ("", [])):
                    self.problem(key.name, "is missing" if is_absent else "is empty")

    def _unknown(self, name: str, section: Section) -> None:
        if section.values:
            return
        if section.closed or is_misspelt(name, section.acted_on):
            message = f"unknown key{suggest(name, section.acted_on)}"
            self.file.problems.append(self.file.problem(self.at(name), message))
        else:
            self.carry(name)

    def carry(self, name: str, known: bool = False) -> None:
        """Note a key that nothing acts on; `known`: the format describes it."""
        path, place = self.at(name), self.section.place if self.section is not None else self.path
        self.file.carried.append(
            Carried(place, name, path, self.file.line(path), self.raw[name], known)
        )

    def _take_as(self, name: str, value: Any, key: str) -> None:
        """Read an older name as its key, unless the key itself has a value."""
        if self.raw.get(key) is None:
            self.raw[key], self._given_as[key] = value, name
        elif self.raw[key] != value:
            self.warn(name, f"is ignored: {self._given_as.get(key, key)} is given too")

    def _row(self, key: str) -> Key | None:
        return self.section.key(key) if self.section is not None else None

    def at(self, key: str) -> str:
        """The path of a key in the file: `roles.frontdoor.tier`."""
        return ".".join(part for part in (self.path, self._given_as.get(key, key)) if part)

    def problem(self, key: str, message: str) -> None:
        """Note a mistake at a key; the empty key is the mapping itself."""
        self.faults.append(self.file.problem(self.at(key), message))

    def warn(self, key: str, message: str) -> None:
        """Note something odd that leaves the mapping usable."""
        self.file.warnings.append(self.file.problem(self.at(key), message))

    def _is_lenient(self, key: str) -> bool:
        row = self._row(key)
        section = self.section is not None and self.section.lenient
        return section or key in self._given_as or (row is not None and row.lenient)

    def _mistake(self, key: str, message: str) -> None:
        """Note a value of the wrong kind: a problem, or a warning if the key is lenient."""
        if self._is_lenient(key):
            self.warn(key, f"{message}: it is ignored")
        else:
            self.problem(key, message)

    def _typed(self, key: str, fits: bool, expected: str) -> Any:
        value = self.raw.get(key)
        if value is None or fits:
            return value
        self._mistake(key, f"expected {expected}, found {shown(value)}")
        return None

    def text(self, key: str, default: str = "") -> str:
        """The text of a key; the default if it has no value or is not text."""
        value = self._typed(key, isinstance(self.raw.get(key), str), "text")
        return default if value is None else str(value)

    def required(self, key: str, empty: bool = False) -> str:
        """The text of a key that must be there. It may be empty only if `empty` is true."""
        if key not in self.raw or (self.raw[key] in (None, "") and not empty):
            self.problem(key, "is missing")
            return ""
        return self.text(key)

    def needs(self, *names: str) -> None:
        """Note every one of these keys that is absent."""
        for name in names:
            if name not in self.raw:
                self.problem(name, "is missing")

    def loose_text(self, key: str) -> str:
        """The value of a key as text, whatever its kind."""
        value = self.raw.get(key)
        return "" if value is None else str(value)

    def scalar(self, key: str, required: bool = False) -> str:
        """The value of a key as text; it may be a number, a date or a truth value, too."""
        value = self._typed(key, not isinstance(self.raw.get(key), (dict, list)), "text")
        if required and not str(self.raw.get(key) or "").strip():
            self.problem(key, "is missing")
        return "" if value is None else str(value)

    def integer(self, key: str, least: int = 1, most: float = _LARGEST) -> int | None:
        """A whole number within limits; None if there is none."""
        value, row = self.raw.get(key), self._row(key)
        if row is not None and row.unsaid is not None and value == row.unsaid:
            return None
        fits = is_number(value) and isinstance(value, int) and least <= value <= most
        found: int | None = self._typed(key, fits, f"a whole number {_limits(least, most)}")
        return found

    def number(
        self, key: str, least: float = 0.0, most: float = _LARGEST, above: bool = False
    ) -> float | None:
        """A finite number within limits; `above`: more than `least`. None if there is none."""
        value = self.raw.get(key)
        fits = is_number(value) and least <= value <= most and not (above and value == least)
        found = self._typed(key, fits, f"a number {_limits(least, most, above)}")
        return None if found is None else float(found)

    def flag(self, key: str) -> bool:
        """True if the key is true; False if it has no value."""
        return bool(self.optional_flag(key))

    def optional_flag(self, key: str) -> bool | None:
        """True, False, or None if the key has no value."""
        value: bool | None = self._typed(key, isinstance(self.raw.get(key), bool), "true or false")
        return value

    def flag_or_auto(self, key: str) -> bool | str | None:
        """True, False, the text `auto`, or None where the key has no value."""
        value = self.raw.get(key)
        found: bool | str | None = self._typed(
            key, isinstance(value, bool) or value == "auto", "true, false or auto"
        )
        return found

    def listed(self, key: str, what: str) -> list[Any]:
        """A list of anything; empty if there is none. `what` names its items in a message."""
        found = self._typed(key, isinstance(self.raw.get(key), list), f"a list of {what}")
        return found or []

    def texts(self, key: str, empty: bool = True, single: bool = True) -> tuple[str, ...]:
        """A list of texts. `empty`: an empty text may be in it; `single`: one text is a list."""
        value = self.raw.get(key)
        if single and isinstance(value, str) and (value or empty):
            return (value,)
        fits = isinstance(value, list) and all(isinstance(i, str) and (i or empty) for i in value)
        expected = f"a list of texts{'' if empty else ', none of them empty'}"
        return tuple(self._typed(key, fits, expected) or ())

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A mapping, read-only; empty if there is none."""
        value = self._typed(key, isinstance(self.raw.get(key), dict), "a mapping")
        return MappingProxyType(value or {})

    def counts(self) -> dict[str, int]:
        """Every key of the mapping that has a whole number, with that number."""
        return {name: count for name in self.raw if (count := self.integer(name)) is not None}

    def numbers(self) -> dict[str, float]:
        """Every key of the mapping that has a number, with that number."""
        return {name: number for name in self.raw if (number := self.number(name)) is not None}

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """One of the known texts; the default if there is none."""
        value, row = self.text(key, default), self._row(key)
        value = dict(row.synonyms).get(value, value) if row is not None else value
        if value not in (*known, default):
            self._mistake(key, f"unknown value '{value}'{suggest(value, known)}")
            return default
        return value

    def choices(
        self, key: str, known: tuple[str, ...], once: bool = False, single: bool = True
    ) -> tuple[str, ...]:
        """A list of known texts. `once`: each at most once; `single`: one text is a list."""
        values = self.texts(key, single=single)
        if once and len(set(values)) < len(values):
            self.problem(key, f"expected each value once, found {shown(values)}")
        for value in values:
            if value not in known:
                self.problem(key, f"unknown value '{value}'{suggest(value, known)}")
        return values

    def part(self, key: str, section: Section | None = None) -> Fields:
        """The mapping at a key."""
        return Fields(self.file, self.raw.get(key), self.at(key), section, self.faults)


def closed_part(fields: Fields, key: str, keys: tuple[Key, ...]) -> Fields:
    """The mapping at a key of the project's own format: it has these keys and no others."""
    return fields.part(key, Section(key, fields.at(key), "", keys, closed=True))


def carried_notice(carried: Iterable[Carried], most: int = 1000) -> str:
    """One line that lists the keys that nothing here acts on: how often, and the first line.

    At most `most` keys are named. Empty without any key.
    """
    places: dict[str, list[Carried]] = {}
    for item in carried:
        place = f"{item.section}.{item.key}" if item.section != "the file" else item.key
        places.setdefault(place, []).append(item)
    named = (
        f"{place} ({f'{len(found)} times, first ' if len(found) > 1 else ''}line {found[0].line})"
        for place, found in places.items()
    )
    return f"keys that are not used here: {in_short(named, most)}" if places else ""
