"""Long contexts made from a seed: realistic filler with one needle at a given depth. The same spec gives the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# English and code run at about four characters a token in the vocabularies at hand; the model's own count is in the cell.
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """Kind of text, length in (estimated) tokens, seed, the needle's text and its depth from 0 (first) to 1 (last)."""

    kind: str
    tokens: int
    seed: int
    needle: str
    needle_position: float


_SUBJECTS = ("The intake service", "The billing worker", "A nightly job", "The cache layer", "The gateway", "The index")
_VERBS = ("retries", "records", "validates", "archives", "forwards", "reconciles", "throttles", "replays")
_OBJECTS = (
    "each order",
    "the pending invoices",
    "stale sessions",
    "every upload",
    "the audit trail",
    "failed payments",
)
_WHEN = ("before the hour turns", "after two attempts", "when the queue is empty", "once a day", "under heavy load")
_NAMES = ("order", "invoice", "session", "upload", "audit", "payment", "tenant", "ledger", "shipment", "quota")


def _document(rng: random.Random) -> Iterator[str]:
    section = 0
    while True:
        section += 1
        yield f"Section {section}. {rng.choice(_NAMES).title()} handling"
        for _ in range(rng.randint(2, 4)):
            sentences = [
                f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)} {rng.choice(_WHEN)}."
                for _ in range(rng.randint(3, 6))
            ]
            yield " ".join(sentences)


def _log(rng: random.Random) -> Iterator[str]:
    second = rng.randrange(3600)
    while True:
        second += rng.randint(1, 9)
        stamp = (
            f"2026-03-0{1 + second // 86400 % 9}T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
        )
        level = rng.choices(("INFO", "WARN", "ERROR"), (90, 8, 2))[0]
        name, worker, item = rng.choice(_NAMES), rng.randrange(900) + 100, rng.randrange(10**6)
        yield f"{stamp} {level} {name}-worker[{worker}] {name} {item} {rng.choice(_VERBS)} in {rng.randrange(400)} ms"


def _code(rng: random.Random) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        name, other = rng.choice(_NAMES), rng.choice(_NAMES)
        limit = rng.randrange(2, 90)
        yield (
            f"def {rng.choice(_VERBS)}_{name}_{number}({other}s, limit={limit}):\n"
            f'    """Keep at most `limit` {other}s whose {name} is open."""\n'
            f"    kept = [item for item in {other}s if item.{name}_open]\n"
            f"    if len(kept) > limit:\n"
            f"        kept = kept[:limit]\n"
            f"    return kept\n"
        )


KINDS: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "document": _document,
    "documents": _document,
    "log": _log,
    "logs": _log,
    "code": _code,
    "codebase": _code,
}


def generate(spec: ContextSpec) -> str:
    """The context: paragraphs up to the wanted length, the needle between two of them at its depth."""
    rng = random.Random(f"{spec.kind}/{spec.seed}")
    wanted, parts, length = spec.tokens * CHARACTERS_PER_TOKEN, [], 0
    for part in KINDS[spec.kind](rng):
        parts.append(part)
        length += len(part) + 1
        if length >= wanted:
            break
    if spec.needle:
        parts.insert(round(spec.needle_position * len(parts)), spec.needle)
    return "\n".join(parts)
