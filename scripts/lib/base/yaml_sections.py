"""How a mapping of an input file is described: its keys, and what happens to unknown ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    `kind`: text, loose (text, number or date), count (whole number from 1), number (from 0), flag,
    flag_or_auto, texts, mapping, any, or the name of another section; `choices` closes a text or a
    list of texts, `synonyms` are (older word, choice) pairs.

    In a closed section, a `required` key must have a value; a `nullable` one must be there, but may
    be null.

    `carried`: nothing here acts on it, whatever its value. `lenient`: a value of another kind is
    ignored with a warning. `same_as`: this is an older name of that key, and is read if that key
    has no value; always lenient. `unsaid`: the number that means "no value".
    """

    name: str
    kind: str
    meaning: str
    choices: tuple[str, ...] = ()
    required: bool = False
    nullable: bool = False
    carried: bool = False
    lenient: bool = False
    same_as: str = ""
    unsaid: int | None = None
    synonyms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One mapping.

    `closed` (formats of this project alone): an unknown key is an error, and so is a required or
    nullable key that is missing. `lenient`: all of its keys are. `values`: the kind of the values
    of a section whose keys are names.
    """

    name: str
    place: str
    meaning: str
    keys: tuple[Key, ...] = ()
    closed: bool = False
    values: str = ""
    lenient: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its keys."""
        return tuple(key.name for key in self.keys)

    @property
    def acted_on(self) -> tuple[str, ...]:
        """The names of the keys that have an effect."""
        return tuple(key.name for key in self.keys if not key.carried)

    def key(self, name: str) -> Key | None:
        """The key of that name; None if it is unknown."""
        return next((key for key in self.keys if key.name == name), None)


def carried(meaning: str, *names: str) -> tuple[Key, ...]:
    """Keys that nothing here acts on; they share one meaning."""
    return tuple(Key(name, "any", meaning, carried=True) for name in names)


def keys(*names: str, required: bool = False, nullable: bool = False) -> tuple[Key, ...]:
    """Keys of a mapping; only its reader knows the kinds of their values."""
    return tuple(Key(name, "any", "", required=required, nullable=nullable) for name in names)
