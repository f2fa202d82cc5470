"""What of a model's output is the answer: thinking, the prompt's echo and terminal escapes taken off."""

from __future__ import annotations

import re
import unicodedata

# A longer answer is garbage by any measure; checks look at this much of it, so that no answer can stall them.
MOST_CHARACTERS = 200_000
_THINK = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.S | re.I)
_OPEN_THINK = re.compile(r"<think(?:ing)?>.*\Z", re.S | re.I)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)")
_ECHO_CHARACTERS = 200


def clean(answer: str, prompt: str) -> str:
    """The answer proper. An unclosed <think> block means that there was no answer after it."""
    text = _ANSI.sub("", answer[:MOST_CHARACTERS])
    text = _OPEN_THINK.sub("", _THINK.sub("", text)).strip()
    head = prompt.strip()
    # 79 % of one archive's answers began with the prompt: an echo is no answer.
    if head and text.startswith(head):
        return text[len(head) :].strip()
    if len(text) >= _ECHO_CHARACTERS and head.startswith(text):
        return ""
    if len(head) > _ECHO_CHARACTERS and text.startswith(head[:_ECHO_CHARACTERS]):
        tail = head[-_ECHO_CHARACTERS:]
        place = text.find(tail)
        return text[place + len(tail) :].strip() if place >= 0 else ""
    return text


def normalize(text: str) -> str:
    """Lower case, no punctuation or articles, single spaces (SQuAD's normalisation), Unicode folded."""
    folded = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(" " if unicodedata.category(c)[0] in "PS" and c not in "+-%" else c for c in folded)
    return " ".join(word for word in kept.split() if word not in ("a", "an", "the"))


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """(language, body) of each ``` block; an unclosed last block counts (a truncated answer)."""
    found = re.findall(r"```([A-Za-z0-9_+-]*)[ \t]*\n(.*?)(?:\n?```|\Z)", text, re.S)
    return [(language.lower(), body) for language, body in found]
