"""Long contexts made from a seed, with facts hidden at given depths.

Kinds are handbooks, logs, meeting transcripts, code bases, and the predecessor's.

The same spec gives the same bytes, on any machine and Python. There are two ways of putting parts
together: the project's own weaves them to a length in tokens, the predecessor's strings chunks to a
length in characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from scripts.lib.prompts.contexts import chunks, phrases
from scripts.lib.prompts.contexts.dice import Dice, capitalised, filled


@dataclass(frozen=True, slots=True)
class Needle:
    """A hidden text and its depth from 0 (first) to 1 (last).

    `{time}` in a log's needle becomes the time of the lines around it.
    """

    text: str
    position: float


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """Kind of text, its length and seed, what is hidden where, and lines that only resemble it.

    `tokens` are counted by `measure` (a name in MEASURES; empty: the kind's own).
    """

    kind: str
    tokens: int
    seed: int
    needles: tuple[Needle, ...] = ()
    distractors: tuple[str, ...] = ()
    measure: str = ""


def _fill(template: str, dice: Dice) -> str:
    return capitalised(_filled(template, dice))


def _filled(template: str, dice: Dice) -> str:
    return filled(template, dice, phrases.SLOTS)


def _document(dice: Dice) -> Iterator[str]:
    section = 0
    while True:
        section += 1
        yield f"\n{section}. {_fill(dice.pick(phrases.HEADINGS), dice)}"
        for clause in range(1, 3 + dice.below(3)):
            sentences = [
                _fill(dice.pick(phrases.SENTENCES), dice) for _ in range(3 + dice.below(4))
            ]
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


def _place(parts: list[str], text: str, position: float, kind: str) -> None:
    """Put a text at a depth by characters, so that long and short parts do not shift it."""
    wanted, index, passed = position * sum(map(len, parts)), 0, 0
    while index < len(parts) and passed + len(parts[index]) / 2 < wanted:
        passed += len(parts[index])
        index += 1
    if kind == "log" and "{time}" in text:
        text = text.replace("{time}", parts[max(index - 1, 0)][:20])
    if (
        kind == "document"
        and index > 0
        and "\n" not in text
        and not parts[index - 1].startswith("\n")
    ):
        parts[index - 1] += f" {text}"
    else:
        parts.insert(index, text)


def _woven(kind: Kind, spec: ContextSpec, wanted: float, dice: Dice) -> str:
    """Parts up to the wanted length; distractors are spread out, needles put at their depths."""
    hidden = sum(len(n.text) for n in spec.needles) + sum(map(len, spec.distractors))
    parts: list[str] = []
    length = 0
    for part in kind.parts(dice):
        parts.append(part)
        length += len(part) + 1
        if length >= wanted - hidden:
            break
    for index, text in enumerate(spec.distractors):
        _place(
            parts,
            text,
            (index + 0.2 + 0.6 * dice.below(1000) / 1000) / len(spec.distractors),
            kind.name,
        )
    for needle in spec.needles:
        _place(parts, needle.text, needle.position, kind.name)
    return "\n".join(parts).strip("\n")


def _chunked(kind: Kind, spec: ContextSpec, wanted: float, dice: Dice) -> str:
    """Chunks up to the wanted length, then each distractor and needle as a chunk, never the first.

    A needle's place is counted in chunks, as the predecessor did: the longer they are, the coarser
    its depth.
    """
    made: list[str] = []
    length = 0
    for chunk in kind.parts(dice):
        length += len(chunk) + (len(BLANK_LINE) if made else 0)
        made.append(chunk)
        if length >= wanted:
            break
    count = len(made)
    strewn = [
        ((at + 0.5) / len(spec.distractors), text) for at, text in enumerate(spec.distractors)
    ]
    hidden = [*strewn, *((needle.position, needle.text) for needle in spec.needles)]
    # From the end on, so that what is put in shifts no place that is still wanted.
    for position, text in sorted(hidden, key=lambda pair: pair[0], reverse=True):
        made.insert(max(1, min(int(count * position), count - 1)), text)
    return BLANK_LINE.join(made)


@dataclass(frozen=True, slots=True)
class Assembly:
    """How parts become a context.

    `measure`: how its length is counted where the question does not say; `joint`: what
    stands between the context and the question.
    """

    make: Callable[[Kind, ContextSpec, float, Dice], str]
    measure: str
    joint: str


BLANK_LINE = "\n\n"
WOVEN = Assembly(_woven, "tokens", BLANK_LINE)
CHUNKED = Assembly(_chunked, "characters", f"{BLANK_LINE}---{BLANK_LINE}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of context: its parts, and characters per token (of SmolLM2's vocabulary of 49K).

    A cell records the model's own count.
    """

    name: str
    parts: Callable[[Dice], Iterator[str]]
    characters_per_token: float
    assembly: Assembly


# The predecessor had no generator of their own for the last three.
_MANUALS = ("technical_docs", "investigation_docs", "witness_statements", "email_thread")
_ROWS = (
    Kind("document", _document, 4.25, WOVEN),
    Kind("log", _log, 1.7, WOVEN),
    Kind("transcript", _transcript, 3.4, WOVEN),
    Kind("code", _code, 3.4, WOVEN),
    *(
        Kind(name, chunks.code_files, 3.0, CHUNKED)
        for name in ("code_files", "python_project", "full_project")
    ),
    *(Kind(name, chunks.legal_sections, 3.95, CHUNKED) for name in ("legal_doc", "structured_doc")),
    Kind("server_logs", chunks.log_blocks, 1.85, CHUNKED),
    Kind("business_docs", chunks.business_reports, 3.15, CHUNKED),
    *(Kind(name, chunks.technical_topics, 4.6, CHUNKED) for name in _MANUALS),
    Kind("meeting_notes", chunks.meeting_notes, 3.25, CHUNKED),
)
_ALIASES = {"documents": "document", "logs": "log", "codebase": "code", "meeting": "transcript"}
KINDS: Mapping[str, Kind] = {row.name: row for row in _ROWS}
KIND_NAMES = (*KINDS, *_ALIASES)
# Characters that one of `context_tokens` stands for; None: as many as the kind's tokens have.
MEASURES: Mapping[str, float | None] = {"tokens": None, "characters": 4.0}


def kind_of(name: str) -> Kind:
    """The kind that a name or an alias of it means."""
    return KINDS[_ALIASES.get(name, name)]


def generate(spec: ContextSpec) -> str:
    """The context; chunks of 60,000 tokens take some tenths of a second."""
    kind = kind_of(spec.kind)
    characters = MEASURES[spec.measure or kind.assembly.measure] or kind.characters_per_token
    return kind.assembly.make(
        kind, spec, spec.tokens * characters, Dice(f"{kind.name}/{spec.seed}")
    )


def before_question(spec: ContextSpec, context: str, question: str) -> str:
    """The context, what parts them, the question."""
    return f"{context}{kind_of(spec.kind).assembly.joint}{question}"


def estimated_tokens(text: str, kind: str = "document") -> int:
    """About how many tokens a text has, by its characters: for planning without a tokenizer."""
    return round(len(text) / kind_of(kind).characters_per_token)
