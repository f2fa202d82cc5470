"""A question's context and needles, out of its mapping."""

from __future__ import annotations

from typing import Any

from scripts.lib.context_generator import KIND_NAMES, ContextSpec, Needle
from scripts.lib.entry import Entry
from scripts.lib.errors import shown, suggest

# Keys that mean nothing without a generated context.
CONTEXT_KEYS = ("context_type", "context_seed", "needle", "needle_position", "needles", "distractors")
_DEPTHS = {"beginning": 0.1, "start": 0.1, "early": 0.25, "middle": 0.5, "late": 0.75, "end": 0.9}


def _depth(entry: Entry, key: str, raw: Any) -> float:
    position = _DEPTHS.get(raw, raw) if isinstance(raw, str) else raw
    if isinstance(position, bool) or not isinstance(position, (int, float)) or not 0 <= position <= 1:
        entry.problem(key, f"expected a depth from 0 to 1 (or {', '.join(_DEPTHS)}), found {shown(raw)}")
        return 0.5
    return float(position)


def _needles(entry: Entry) -> tuple[Needle, ...]:
    made = []
    if text := entry.text("needle"):
        made.append(Needle(text.rstrip("\n"), _depth(entry, "needle_position", entry.raw.get("needle_position", 0.5))))
    for index, item in enumerate(entry.listed("needles", "{text: …, position: …}")):
        place = f"needles[{index}]"
        if not isinstance(item, dict) or set(item) != {"text", "position"} or not isinstance(item["text"], str):
            entry.problem(place, f"expected {{text: …, position: …}}, found {shown(item)}")
            continue
        made.append(Needle(item["text"].rstrip("\n"), _depth(entry, f"{place}.position", item["position"])))
    return tuple(made)


def context_spec(entry: Entry) -> ContextSpec | None:
    tokens = entry.integer("context_tokens", 1, 2_000_000)
    if tokens is None:
        if entry.raw.get("context_tokens") is None and (
            lone := next((k for k in CONTEXT_KEYS if entry.raw.get(k) is not None), "")
        ):
            entry.problem(lone, "stands without context_tokens: no context is made")
        return None
    kind = entry.text("context_type") or "document"
    if kind not in KIND_NAMES:
        entry.problem("context_type", f"unknown kind '{kind}'{suggest(kind, KIND_NAMES)}")
        return None
    seed = entry.integer("context_seed", 0, 2**31) or 0
    return ContextSpec(kind, tokens, seed, _needles(entry), entry.texts("distractors"))
