"""Long contexts made from a seed: handbooks, logs, meeting transcripts and code bases with facts hidden at given depths.

The same spec gives the same bytes, on any machine and Python: only `random.Random.random()` of a text seed is drawn from.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.lib import context_phrases as phrases

# Characters per token as a 49K-entry BPE vocabulary (SmolLM2's) counts them; a cell records the model's own count.
CHARACTERS_PER_TOKEN = {"document": 4.25, "log": 1.7, "code": 3.4, "transcript": 3.4}
_ALIASES = {"documents": "document", "logs": "log", "codebase": "code", "meeting": "transcript"}


@dataclass(frozen=True, slots=True)
class Needle:
    """A hidden text and its depth from 0 (first) to 1 (last). `{time}` in a log's needle becomes the time around it."""

    text: str
    position: float


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """Kind of text, length in (estimated) tokens, seed, what is hidden where, and lines that resemble it but are no answer."""

    kind: str
    tokens: int
    seed: int
    needles: tuple[Needle, ...] = ()
    distractors: tuple[str, ...] = ()


class Dice:
    """Choices from a seed by one primitive, since `Random.choice` and its kin may change between Python versions."""

    def __init__(self, seed: str):
        self._random = random.Random(seed).random

    def below(self, most: int) -> int:
        return int(self._random() * most)

    def pick(self, items: tuple[str, ...]) -> str:
        return items[int(self._random() * len(items))]


def _filled(template: str, dice: Dice) -> str:
    parts = template.split("|")
    return "".join(dice.pick(phrases.SLOTS[part]) if part in phrases.SLOTS else part for part in parts)


def _fill(template: str, dice: Dice) -> str:
    made = _filled(template, dice)
    return made[0].upper() + made[1:]


def _document(dice: Dice) -> Iterator[str]:
    section = 0
    while True:
        section += 1
        yield f"\n{section}. {_fill(dice.pick(phrases.HEADINGS), dice)}"
        for clause in range(1, 3 + dice.below(3)):
            sentences = [_fill(dice.pick(phrases.SENTENCES), dice) for _ in range(3 + dice.below(4))]
            yield f"{section}.{clause} " + " ".join(sentences)


def _stamp(second: int) -> str:
    day, hour, minute = 1 + second // 86400 % 28, second // 3600 % 24, second // 60 % 60
    return f"2026-03-{day:02d}T{hour:02d}:{minute:02d}:{second % 60:02d}Z"


def _log(dice: Dice) -> Iterator[str]:
    second = dice.below(3600)
    while True:
        second += 1 + dice.below(9)
        roll, service = dice.below(100), dice.pick(phrases.SERVICES)
        level = "ERROR" if roll < 2 else "WARN" if roll < 10 else "INFO"
        detail = _filled(dice.pick(phrases.LOG_LINES[level]), dice)
        source = f"{service}[{100 + dice.below(900)}] req={dice.below(16**6):06x}"
        yield f"{_stamp(second)} {level} {source} {detail} {dice.below(900)}ms"


def _transcript(dice: Dice) -> Iterator[str]:
    minute = 0
    while True:
        minute += 1 + dice.below(2)
        said = " ".join(_fill(dice.pick(phrases.REMARKS), dice) for _ in range(1 + dice.below(3)))
        yield f"[{minute // 60:02d}:{minute % 60:02d}] {dice.pick(phrases.SLOTS['person'])}: {said}"


def _code(dice: Dice) -> Iterator[str]:
    number = 0
    while True:
        module, thing = dice.pick(phrases.SLOTS["thing"]), dice.pick(phrases.SLOTS["thing"])
        yield f"\n# --- file: src/{module}s/{dice.pick(phrases.MODULES)}_{number}.py ---\n"
        for _ in range(3 + dice.below(4)):
            number += 1
            template = dice.pick(phrases.FUNCTIONS)
            names = {
                "N": str(number),
                "THING": thing,
                "OTHER": dice.pick(phrases.SLOTS["thing"]),
                "LIMIT": str(2 + dice.below(90)),
            }
            for name, value in names.items():
                template = template.replace(f"${name}", value)
            yield template


KINDS: dict[str, Callable[[Dice], Iterator[str]]] = {
    "document": _document,
    "log": _log,
    "transcript": _transcript,
    "code": _code,
}
KIND_NAMES = (*KINDS, *_ALIASES)


def kind_of(name: str) -> str:
    """The kind that a name or an alias of it means."""
    return _ALIASES.get(name, name)


def _place(parts: list[str], text: str, position: float, kind: str) -> None:
    """Put a text at a depth by characters, so that long and short parts do not shift it."""
    wanted, index, passed = position * sum(map(len, parts)), 0, 0
    while index < len(parts) and passed + len(parts[index]) / 2 < wanted:
        passed += len(parts[index])
        index += 1
    if kind == "log" and "{time}" in text:
        text = text.replace("{time}", parts[max(index - 1, 0)][:20])
    if kind == "document" and index > 0 and "\n" not in text and not parts[index - 1].startswith("\n"):
        parts[index - 1] += f" {text}"
    else:
        parts.insert(index, text)


def generate(spec: ContextSpec) -> str:
    """The context: parts up to the wanted length, distractors strewn over it, each needle at its depth."""
    kind = kind_of(spec.kind)
    dice = Dice(f"{kind}/{spec.seed}")
    hidden = sum(len(n.text) for n in spec.needles) + sum(map(len, spec.distractors))
    wanted, parts, length = spec.tokens * CHARACTERS_PER_TOKEN[kind] - hidden, [], 0
    for part in KINDS[kind](dice):
        parts.append(part)
        length += len(part) + 1
        if length >= wanted:
            break
    for index, text in enumerate(spec.distractors):
        _place(parts, text, (index + 0.2 + 0.6 * dice.below(1000) / 1000) / len(spec.distractors), kind)
    for needle in spec.needles:
        _place(parts, needle.text, needle.position, kind)
    return "\n".join(parts).strip("\n")


def estimated_tokens(text: str, kind: str = "document") -> int:
    """About how many tokens a text is, by characters: for planning where no tokenizer is at hand."""
    return round(len(text) / CHARACTERS_PER_TOKEN.get(kind_of(kind), 4.0))
