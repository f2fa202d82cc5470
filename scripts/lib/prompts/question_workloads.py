"""Reads a question's workload, the messages before its prompt, and its answer's least length."""

from __future__ import annotations

import re
from typing import Any

from scripts.lib.base.errors import shown, suggest
from scripts.lib.base.yaml_fields import Fields, is_misspelt
from scripts.lib.prompts.types import Turn

WORKLOAD_KEYS = ("workload", "turns", "min_tokens")
# The kinds of answers in the suite `workload`. Another suite may have other names.
WORKLOADS = (
    "code_editing",
    "code_writing",
    "summarising",
    "quoting",
    "extraction",
    "reasoning",
    "prose",
    "chat",
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ROLES = ("user", "assistant")
_FORM = "{user: …} or {assistant: …}"


def workload_of(entry: Fields) -> str:
    """The workload's name; empty without one. A name that is similar to a known one is an error."""
    name = entry.scalar("workload")
    if name and name not in WORKLOADS and is_misspelt(name, WORKLOADS):
        entry.problem("workload", f"unknown workload '{name}'{suggest(name, WORKLOADS)}")
    elif name and not _NAME.fullmatch(name):
        form = "lower-case letters, digits and '_', at most 40 of them"
        entry.problem("workload", f"a workload's name may hold {form}, found {shown(name)}")
    return name


def _turn(entry: Fields, place: str, raw: Any, role: str) -> Turn | None:
    if not isinstance(raw, dict) or len(raw) != 1:
        entry.problem(place, f"expected {_FORM}, found {shown(raw)}")
        return None
    ((found, content),) = raw.items()
    if found not in _ROLES:
        entry.problem(place, f"unknown role {shown(found)}{suggest(str(found), _ROLES)}")
    elif found != role:
        entry.problem(place, f"expected a message of the {role}, found one of the {found}")
    elif not isinstance(content, str) or not content.strip():
        entry.problem(f"{place}.{role}", f"expected a text, found {shown(content)}")
    else:
        return Turn(role, content.rstrip("\n"))
    return None


def turns_of(entry: Fields) -> tuple[Turn, ...]:
    """The messages before the prompt, from the user's first to the assistant's last."""
    listed = entry.listed("turns", _FORM)
    found = [_turn(entry, f"turns[{i}]", raw, _ROLES[i % 2]) for i, raw in enumerate(listed)]
    if len(found) % 2:
        entry.problem("turns", "the last message must be the assistant's: the prompt follows it")
    return tuple(turn for turn in found if turn is not None)


def checked_min_tokens(entry: Fields) -> int | None:
    """The least tokens of an answer, not above the most."""
    least, most = entry.integer("min_tokens", 1, 1_000_000), entry.raw.get("max_tokens")
    if least is not None and isinstance(most, int) and least > most:
        entry.problem("min_tokens", f"expected at most the {most} of max_tokens, found {least}")
    return least
