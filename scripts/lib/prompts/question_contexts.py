"""Reads a question's context and needles."""

from __future__ import annotations

from typing import Any

from scripts.lib.base.errors import shown, suggest
from scripts.lib.base.yaml_fields import Fields, is_misspelt
from scripts.lib.prompts.contexts.generator import KIND_NAMES, MEASURES, ContextSpec, Needle

# Keys that have no effect without a generated context.
CONTEXT_KEYS = (
    "context_type",
    "context_measure",
    "context_seed",
    "needle",
    "needle_position",
    "needles",
    "distractors",
)
# Tokens of a context with a type but without `context_tokens`, as in the predecessor's code.
DEFAULT_TOKENS = 4000
_DEPTHS = {
    **{"beginning": 0.1, "start": 0.1, "early": 0.25, "middle": 0.5, "late": 0.75, "end": 0.9},
    # Further words of the predecessor.
    **{"deep": 0.75, "very_deep": 0.85},
}
_MIDDLE = 0.5


def _depth(entry: Fields, key: str, raw: Any) -> float:
    """A depth from 0 to 1. An unknown word is the middle; a misspelt one is an error."""
    if isinstance(raw, str) and raw not in _DEPTHS and not is_misspelt(raw, _DEPTHS):
        entry.warn(
            key, f"unknown word {shown(raw)}: taken as the middle; known: {', '.join(_DEPTHS)}"
        )
        return _MIDDLE
    position = _DEPTHS.get(raw, raw) if isinstance(raw, str) else raw
    if isinstance(position, str):
        entry.problem(key, f"unknown word '{raw}'{suggest(raw, _DEPTHS)}")
        return _MIDDLE
    if (
        isinstance(position, bool)
        or not isinstance(position, (int, float))
        or not 0 <= position <= 1
    ):
        entry.problem(
            key, f"expected a depth from 0 to 1 (or {', '.join(_DEPTHS)}), found {shown(raw)}"
        )
        return _MIDDLE
    return float(position)


def _needles(entry: Fields) -> tuple[Needle, ...]:
    made = []
    if text := entry.scalar("needle"):
        made.append(
            Needle(
                text.rstrip("\n"),
                _depth(entry, "needle_position", entry.raw.get("needle_position", 0.5)),
            )
        )
    for index, item in enumerate(entry.listed("needles", "{text: …, position: …}")):
        place = f"needles[{index}]"
        if (
            not isinstance(item, dict)
            or set(item) != {"text", "position"}
            or not isinstance(item["text"], str)
        ):
            entry.problem(place, f"expected {{text: …, position: …}}, found {shown(item)}")
            continue
        made.append(
            Needle(item["text"].rstrip("\n"), _depth(entry, f"{place}.position", item["position"]))
        )
    return tuple(made)


def context_spec(entry: Fields) -> ContextSpec | None:
    """The context of a question with `context_tokens` or `context_type`; else None."""
    tokens = entry.integer("context_tokens", 1, 2_000_000)
    if tokens is None and entry.raw.get("context_tokens") is not None:
        return None
    if tokens is None and not entry.scalar("context_type"):
        if lone := next((key for key in CONTEXT_KEYS if entry.raw.get(key) is not None), ""):
            entry.problem(lone, "has no effect without context_tokens or context_type")
        return None
    kind = entry.scalar("context_type") or "document"
    if kind not in KIND_NAMES:
        entry.problem("context_type", f"unknown kind '{kind}'{suggest(kind, KIND_NAMES)}")
        return None
    seed = entry.integer("context_seed", 0, 2**31) or 0
    measure = entry.scalar("context_measure")
    if measure and measure not in MEASURES:
        entry.problem("context_measure", f"unknown measure '{measure}'{suggest(measure, MEASURES)}")
        return None
    return ContextSpec(
        kind,
        tokens or DEFAULT_TOKENS,
        seed,
        _needles(entry),
        entry.texts("distractors", empty=False),
        measure,
    )
