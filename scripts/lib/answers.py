"""What of a model's output is the answer: thinking, the prompt's echo, chat markers and terminal escapes taken off."""

from __future__ import annotations

import re
import unicodedata

# A longer answer is garbage by any measure; checks look at this much of it, so that no answer can stall them.
MOST_CHARACTERS = 200_000
_ECHO_CHARACTERS = 200
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)")
# Direction overrides, zero-width characters and controls: what a reader cannot see decides nothing.
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]")
# How models mark their thinking: (opening, closing). A template may have written the opening one already.
_THINKING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
_CHAT_MARKERS = re.compile(
    r"<\|?(?:im_end|im_start|endoftext|eot_id|end|start|return|end_of_turn|assistant|user|eom_id)\|?>|</s>|<end_of_turn>"
)


def _without_thinking(text: str) -> str:
    """The text after the last thinking block; nothing where a block was never closed: there was no answer after it."""
    for opening, closing in _THINKING:
        folded = text.lower() if opening.isascii() else text
        opening, closing = (opening.lower(), closing.lower()) if opening.isascii() else (opening, closing)
        last_close, last_open = folded.rfind(closing), folded.rfind(opening)
        if last_close < 0 and last_open < 0:
            continue
        if last_open > last_close:
            # An answer may stand before an unclosed block that follows a closed one; in front of the first there is none.
            before = text[:last_open]
            return _without_thinking(before) if last_close >= 0 else before.strip() and before
        # Text before the block counts too: some models give a sentence, think, and go on.
        first_open = folded.find(opening)
        head = text[:first_open] if 0 <= first_open < last_close else ""
        text = f"{head}\n{text[last_close + len(closing) :]}" if head.strip() else text[last_close + len(closing) :]
    return text


def clean(answer: str, prompt: str) -> str:
    """The answer proper, at most MOST_CHARACTERS of it."""
    text = _INVISIBLE.sub("", _ANSI.sub("", answer[:MOST_CHARACTERS]))
    text = _CHAT_MARKERS.sub("", _without_thinking(text)).strip()
    return _without_echo(text, _INVISIBLE.sub("", prompt).strip())


def _without_echo(text: str, head: str) -> str:
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
    folded = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("n't", " not")
    kept = "".join(" " if unicodedata.category(c)[0] in "PS" and c not in "+-%" else c for c in folded)
    return " ".join(word for word in kept.split() if word not in ("a", "an", "the"))


def final_line(text: str) -> str:
    """The last line that holds anything, without a leading `Answer:` and Markdown emphasis."""
    lines = [line.strip() for line in text.splitlines() if line.strip().strip("`*_- ")]
    line = lines[-1] if lines else ""
    return re.sub(
        r"^[\W_]*(?:(?:so |therefore,? |thus,? )?(?:the |my )?(?:final )?answer(?: is)?\b\s*[:=]?)?\s*",
        "",
        line,
        flags=re.I,
    )


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """(language, body) of each ``` block; an unclosed last block counts (a truncated answer)."""
    found: list[tuple[str, str]] = []
    language: str | None = None
    body: list[str] = []
    for line in text.splitlines():
        mark = line.strip()
        if language is None and mark.startswith("```"):
            language, body = mark[3:].strip().split(" ")[0].lower(), []
        elif language is not None and mark.startswith("```"):
            found.append((language, "\n".join(body)))
            language = None
        elif language is not None:
            body.append(line)
    if language is not None:
        found.append((language, "\n".join(body)))
    return found
