"""An answer without an echo of its prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A shorter common beginning of prompt and answer may be a coincidence.
ECHO_CHARACTERS = 200
# Whole sentences of the prompt before a blank line are an echo from this length on.
SENTENCE_ECHO_CHARACTERS = 40
_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.?!][\"')\]*_]*$")
_BLANK_LINE = re.compile(r"[ \t*_]*\n[ \t]*\n")
# What may come before an echo: `Question: `, `> `, `**`.
_ECHO_PREFIX = re.compile(r"(?:\s*(?:>|\*\*|__|#{1,6} |(?:Question|Problem|Prompt|Q):))+\s*")
_PHRASE_END = re.compile(r"[.?!:\"')\]}`|]$")


def after_prompt(text: str, prompt: str) -> str:
    """A text without the prompt at its beginning. Only what follows such an echo is the answer.

    Echoes are common: 79 % of the answers of one archive began with the prompt.
    """
    text, prompt = text.strip(), prompt.strip()
    if not prompt or not text:
        return text
    answer = _after_echo(text, prompt)
    if answer is None and _ECHO_PREFIX.match(text) is not None:
        answer = _after_echo(_without_prefix(text), _without_prefix(prompt))
    return text if answer is None else answer


def _without_prefix(text: str) -> str:
    """A text without a mark such as `Question: `, `> ` or `**` around its first paragraph."""
    prefix = _ECHO_PREFIX.match(text)
    if prefix is None:
        return text
    rest = text[prefix.end() :]
    if ">" in prefix[0]:
        lines = rest.split("\n")
        quoted = next(
            (n for n, line in enumerate(lines) if n and not line.startswith(">")), len(lines)
        )
        rest = "\n".join((*(line.removeprefix(">") for line in lines[:quoted]), *lines[quoted:]))
    for bold in ("**", "__"):
        # `**Question:** …` closes it before the echo.
        if prefix[0].count(bold) % 2 == 1:
            rest = rest.replace(bold, "", 1)
    return rest.strip()


def _after_echo(text: str, prompt: str) -> str | None:
    """What follows the prompt, or part of it, at the beginning of a text; None without an echo."""
    if text.startswith(prompt):
        return text[len(prompt) :].strip()
    # Most answers already differ from the prompt in the first word.
    if text[:20].split()[:1] != prompt[:20].split()[:1]:
        return None
    given, asked = list(_WORD.finditer(text)), list(_WORD.finditer(prompt))
    common = _common_words(given, asked)
    end = given[common - 1].end() if common else 0
    if end < ECHO_CHARACTERS:
        return _after_sentences(text, given[:common], asked)
    if common == len(given) or _is_cut_off(given, asked, common):
        return ""
    # The echo's last words may be the answer's first ones: go back to the last whole sentence.
    while common > 1 and not _PHRASE_END.search(given[common - 1][0]):
        common -= 1
    return text[given[common - 1].end() if common > 1 else end :].strip()


def _after_sentences(
    text: str, shared: Sequence[re.Match[str]], asked: Sequence[re.Match[str]]
) -> str | None:
    """What follows whole sentences of the prompt and a blank line.

    The text may end there only if the prompt has at most one more sentence.
    """
    count = len(shared)
    while count and not _SENTENCE_END.search(shared[count - 1][0]):
        count -= 1
    end = shared[count - 1].end() if count else 0
    if end < SENTENCE_ECHO_CHARACTERS:
        return None
    rest = text[end:]
    if not rest.strip():
        left = asked[count:]
        return "" if not any(_SENTENCE_END.search(word[0]) for word in left[:-1]) else None
    return rest.strip() if _BLANK_LINE.match(rest) else None


def _common_words(given: Sequence[re.Match[str]], asked: Sequence[re.Match[str]]) -> int:
    """The number of words at the beginning of two texts that are the same."""
    count = 0
    for mine, theirs in zip(given, asked, strict=False):
        if mine[0] != theirs[0]:
            break
        count += 1
    return count


def _is_cut_off(
    given: Sequence[re.Match[str]], asked: Sequence[re.Match[str]], common: int
) -> bool:
    """Whether a text ends inside the first word of the prompt that it does not share."""
    if common != len(given) - 1 or common >= len(asked):
        return False
    return asked[common][0].startswith(given[common][0])
