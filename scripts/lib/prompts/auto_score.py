r"""`auto_score`: the predecessor's rules as checks, each attached to the criterion it tests.

Examples: `multi:count_items:5,no_punctuation` and `contains_pattern:FINAL\\(;word_count:5:20`. A
rule that no criterion mentions decides on the whole answer, and so do patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scripts.lib.base.errors import shown, suggest
from scripts.lib.base.yaml_fields import is_misspelt
from scripts.lib.prompts.check_types import COUNT_NAMES
from scripts.lib.prompts.types import Check, Criterion

# Like the predecessor's script, the rules skip lines of llama.cpp's log, and read only the first
# twenty lines.
FIRST_LINES = 20
LOG_LINES = ("llama", "load", "print_info")
_READING: Mapping[str, Any] = {
    "first_lines": FIRST_LINES,
    "skip_lines": [*LOG_LINES, "common", "sampler"],
}
MULTI, MANUAL = "multi", "manual"
_MOST_NAMED = len(COUNT_NAMES) - 1


class Unreadable(Exception):
    """A rule that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of rule: how its parameters become a check, and the words of criteria it tests.

    `words` are regular expressions of whole words; `{values}` in them stands for any of the rule's
    parameters. Without words, the rule decides on the whole answer. `with_list`: the parameters are
    a list, so inside `multi` the rule may continue after a comma.
    """

    params: Callable[[str], dict[str, Any]]
    words: tuple[str, ...] = ()
    with_list: bool = False
    check: str = "plain_text"
    reading: Mapping[str, Any] = field(default_factory=lambda: _READING)


def _listed(text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise Unreadable(f"expected a list separated by commas, found {shown(text)}")
    return items


def _count(text: str) -> int:
    if not re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII):
        raise Unreadable(f"expected a whole number from 0, found {shown(text)}")
    return int(text)


def _word_count(text: str) -> dict[str, Any]:
    least, separator, most = text.partition(":")
    if not separator:
        raise Unreadable(f"expected MIN:MAX, found {shown(text)}")
    bounds = _count(least), _count(most)
    if bounds[0] > bounds[1]:
        raise Unreadable(f"expected MIN:MAX with MIN not above MAX, found {shown(text)}")
    return {"words_min": bounds[0], "words_max": bounds[1]}


def _flag(name: str) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        if text.strip():
            raise Unreadable(f"has no parameters, found {shown(text)}")
        return {name: True}

    return read


def _value(name: str) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        if not text.strip():
            raise Unreadable("expected a text after the colon, found nothing")
        return {name: text.strip()}

    return read


def _pattern(name: str) -> Callable[[str], dict[str, Any]]:
    # A space at the end belongs to the pattern: `import ` does not match `important`.
    return lambda text: {name: text.lstrip()}


_NOT = r"(?:no|not|\w*n't|never|without)"
# Rule -> how it is read, and the words of the criterion that it tests.
RULES: Mapping[str, Rule] = {
    "forbidden_words": Rule(
        lambda text: {"forbidden_words": _listed(text)},
        (
            r"forbid\w*",
            r"avoid\w*",
            r"exclud\w+",
            r"omit\w*",
            "banned",
            r"prohibit\w*",
            r"disallow\w*",
            r"restrict\w*",
            f"{_NOT}.*{{values}}",
            rf"{_NOT} (?:\w+ )?(?:us(?:e|es|ed|ing)|contain|includ|mention)\w*",
        ),
        with_list=True,
        # An empty answer has no forbidden word in it.
        reading={"may_be_empty": True, "first_lines": FIRST_LINES, "skip_lines": [*LOG_LINES]},
    ),
    "word_count": Rule(
        _word_count,
        (
            "word[ -](?:count|limit|range)s?",
            "number of words",
            "length",
            "ranges?",
            r"limit\w*",
            "concise(?:ly|ness)?",
            "brief(?:ly)?",
            "short(?:er)?",
            r"(?:{values}|\d+)[ -]words?",
            "words? (?:or|and) (?:fewer|less|under)",
            "{values}",
        ),
    ),
    "exact_match": Rule(
        lambda text: {"one_of": _listed(text)},
        (
            "exact(?:ly)?",
            "match(?:es|ing)?",
            "correct(?:ly)?",
            "answers?",
            "outputs?",
            "respon(?:d|ds|se|ses|ding)",
            "only",
            "nothing else",
            "extra",
            "{values}",
        ),
        with_list=True,
    ),
    "count_items": Rule(
        lambda text: {"items": _count(text)},
        (
            "{values}",
            r"item\w*",
            "entr(?:y|ies)",
            "count(?:s|ed|ing)?",
            "number of",
            r"exactly \w+ \w+",
            "how many",
        ),
    ),
    "json_only": Rule(
        _flag("json_object"), ("json", "pars(?:e[sd]?|e?able|ing)", "objects?", "only", "extra")
    ),
    "format_pattern": Rule(
        _value("line_pattern"),
        (
            r"format\w*",
            "patterns?",
            "syntax",
            "match(?:es|ing)?",
            "(?:each|every|all) lines?",
            "follows",
        ),
    ),
    "format_lines": Rule(
        lambda text: {"labels": _listed(text)},
        (
            r"format\w*",
            r"label\w*",
            "lines",
            r"prefix\w*",
            "order(?:ed)?",
            r"structur\w+",
            "follows",
            "{values}",
        ),
        with_list=True,
    ),
    "alphabetical": Rule(
        _flag("alphabetical"),
        (r"alphabet\w*", "sort(?:ed|ing)?", "order(?:ed|ing)?", "a(?: to | ?- ?| )z"),
    ),
    "no_punctuation": Rule(
        _flag("no_punctuation"), (r"(?:un)?punctuat\w+", "commas?", "periods?", "full stops?")
    ),
    "starts_with": Rule(
        _value("starts_with"),
        (
            "start(?:s|ing)?",
            "begin(?:s|ning)?",
            "first (?:word|letter|character)s?",
            "open(?:s|ing)?",
            "initial(?:s|ly)?",
        ),
    ),
    "ends_with": Rule(
        _value("ends_with"),
        ("end(?:s|ing)?", "final(?:ly)?", "last (?:word|letter|character)s?", "clos(?:e|es|ing)"),
    ),
    "contains_pattern": Rule(_pattern("required"), check="regex", reading={}),
    "forbidden_pattern": Rule(_pattern("forbidden"), check="regex", reading={}),
}
_NAMES = (*RULES, MULTI, MANUAL)


def _head(text: str) -> str:
    """The text before the first colon: a rule's name, if the text begins with a rule."""
    return text.partition(":")[0].strip()


def _pieces(
    text: str, separator: str, known: Collection[str], goes_on: Callable[[str], bool]
) -> list[str]:
    """The rules of a text, split at separators.

    A part that does not begin with a rule's name (misspelt ones included) belongs to the rule
    before it, if `goes_on` allows that.
    """
    pieces: list[str] = []
    for part in text.split(separator):
        begins = _head(part) in known or is_misspelt(_head(part), RULES)
        if pieces and not begins and goes_on(_head(pieces[-1])):
            pieces[-1] += separator + part
        elif part.strip():
            pieces.append(part)
    return pieces


def _has_pattern(name: str) -> bool:
    """Whether a rule is a regular expression, which may contain commas and semicolons."""
    return name.endswith("_pattern")


def _has_list(name: str) -> bool:
    return _has_pattern(name) or (name in RULES and RULES[name].with_list)


def _rules(text: str) -> Iterator[tuple[str, str]]:
    """(name, parameters) of each rule; the rules of `multi` one by one."""
    for piece in _pieces(
        text.removesuffix(";"), ";", _NAMES, lambda name: _has_pattern(name) or name == MULTI
    ):
        name, _, rest = piece.lstrip().partition(":")
        if name.strip() != MULTI:
            yield name.strip(), rest
            continue
        for part in _pieces(rest, ",", RULES, _has_list):
            inner, _, parameters = part.partition(":")
            yield inner.strip(), parameters


def _values(params: Mapping[str, Any]) -> Iterator[str]:
    """A rule's parameters as a criterion may mention them; counts also as words."""
    for value in params.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                # A criterion mentions a label without its colon.
                yield re.escape(item.lower().rstrip(": ") or item.lower())
            elif not isinstance(item, bool):
                yield str(item)
                yield from COUNT_NAMES[item : item + 1] if item <= _MOST_NAMED else ()


def _mentions(rule: Rule, params: Mapping[str, Any], criterion: str) -> int:
    """How many of the rule's words a criterion has."""
    values = rf"(?<!\w)(?:{'|'.join(_values(params))})(?!\w)"
    patterns = (rf"(?<!\w)(?:{words.replace('{values}', values)})(?!\w)" for words in rule.words)
    said = criterion.lower().replace("’", "'")
    return sum(re.search(pattern, said) is not None for pattern in patterns)


def _place(rule: Rule, params: Mapping[str, Any], criteria: Sequence[Criterion]) -> int | None:
    """The index of the first criterion with most of the rule's words; None if none has any."""
    found = [_mentions(rule, params, criterion.criterion) for criterion in criteria]
    return found.index(max(found)) if any(found) else None


Make = Callable[[str, dict[str, Any]], Check]


@dataclass(frozen=True, slots=True)
class Ruled:
    """The criteria with their checks, and the checks of the whole answer.

    `all_must_pass`: an answer passes only if it passes every check.
    """

    criteria: tuple[Criterion, ...]
    whole: tuple[Check, ...] = ()
    all_must_pass: bool = False


def with_rules(
    text: str, criteria: Sequence[Criterion], make: Make, problem: Callable[[str], None]
) -> Ruled:
    """The criteria with the checks of `auto_score`. If there are several rules, all must pass.

    A criterion that has its own checks keeps only these. `make` makes a check from a type and
    parameters; `problem` notes what is wrong with a rule.
    """
    rules = list(_rules(text.strip("\n")))
    if len(rules) > 1 and any(name == MANUAL for name, _ in rules):
        problem(f"'{MANUAL}' means that no check decides, but there are other rules")
    open_places = [place for place, criterion in enumerate(criteria) if not criterion.checks]
    made = list(criteria)
    whole: list[Check] = []
    for name, rest in rules:
        if name == MANUAL:
            continue
        if name not in RULES:
            problem(f"unknown rule {shown(name)}{suggest(name, _NAMES)}")
            continue
        rule = RULES[name]
        try:
            params = rule.params(rest)
        except Unreadable as error:
            problem(f"{name}: {error}")
            continue
        place = _place(rule, params, [criteria[place] for place in open_places])
        check = make(rule.check, {**rule.reading, **params})
        if place is None:
            whole.append(check)
        else:
            chosen = open_places[place]
            made[chosen] = replace(made[chosen], checks=(*made[chosen].checks, check))
    if not made and whole:
        return Ruled((Criterion("passes its automatic checks", 100, tuple(whole)),))
    return Ruled(tuple(made), tuple(whole), all_must_pass=len(rules) > 1)
