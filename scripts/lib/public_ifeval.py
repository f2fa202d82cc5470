"""IFEval's instructions as this project's checks; what none of them can tell is left without a check, so unscored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Settings = Mapping[str, Any]


def _bound(name: str, relation: str | None, count: int) -> dict[str, Any]:
    """`at least 5` and `less than 5` as our inclusive bounds."""
    return {f"{name}_min": count} if relation != "less than" else {f"{name}_max": max(count - 1, 0)}


def _keyed(name: str, word: str, relation: str | None, count: int) -> dict[str, Any]:
    return {f"{name}_min": {word: count}} if relation != "less than" else {f"{name}_max": {word: max(count - 1, 0)}}


_FORM: Mapping[str, Callable[[Settings], dict[str, Any]]] = {
    "punctuation:no_comma": lambda s: {"no_commas": True},
    "length_constraints:number_words": lambda s: _bound("words", s.get("relation"), s["num_words"]),
    "length_constraints:number_sentences": lambda s: _bound("sentences", s.get("relation"), s["num_sentences"]),
    "length_constraints:number_paragraphs": lambda s: {"separator": "***", "parts": s["num_paragraphs"]},
    "detectable_content:number_placeholders": lambda s: {"placeholders_min": s["num_placeholders"]},
    "detectable_content:postscript": lambda s: {"postscript": s["postscript_marker"]},
    "detectable_format:number_bullet_lists": lambda s: {"bullets": s["num_bullets"]},
    "detectable_format:number_highlighted_sections": lambda s: {"highlights_min": s["num_highlights"]},
    "detectable_format:title": lambda s: {"title": True},
    "detectable_format:json_format": lambda s: {"json": True},
    "keywords:existence": lambda s: {"keywords_min": dict.fromkeys(s["keywords"], 1)},
    "keywords:frequency": lambda s: _keyed("keywords", s["keyword"], s.get("relation"), s["frequency"]),
    "keywords:forbidden_words": lambda s: {"forbidden_words": list(s["forbidden_words"])},
    "keywords:letter_frequency": lambda s: _keyed("letters", s["letter"], s.get("let_relation"), s["let_frequency"]),
    "change_case:english_lowercase": lambda s: {"all_lowercase": True},
    "change_case:english_capital": lambda s: {"all_uppercase": True},
    "change_case:capital_word_frequency": lambda s: _bound(
        "capital_words", s.get("capital_relation"), s["capital_frequency"]
    ),
    "startend:end_checker": lambda s: {"ends_with": s["end_phrase"]},
    "startend:quotation": lambda s: {"quoted": True},
    "combination:two_responses": lambda s: {"separator": "******", "parts": 2},
}
_CONSTRAINED = ["My answer is yes.", "My answer is no.", "My answer is maybe."]


def check_of(name: str, settings: Settings) -> dict[str, Any] | None:
    """The check that stands for an instruction; None where there is none."""
    if name == "detectable_format:constrained_response":
        return {"type": "contains", "any": _CONSTRAINED}
    made = _FORM.get(name)
    return None if made is None else {"type": "constraints", **made(settings)}


def criteria(names: Sequence[str], settings: Sequence[Settings]) -> list[dict[str, Any]]:
    """One criterion per instruction, of equal weight (the first takes what is left over)."""
    if not names:
        return []
    share = 100 // len(names)
    made = []
    for index, (name, given) in enumerate(zip(names, settings, strict=True)):
        known = {key: value for key, value in given.items() if value is not None}
        check = check_of(name, known)
        weight = share + (100 - share * len(names) if index == 0 else 0)
        made.append({"criterion": f"{name} {known}", "weight": weight, **({"checks": [check]} if check else {})})
    return made
