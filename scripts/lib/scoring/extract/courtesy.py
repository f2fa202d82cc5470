"""Polite last sentences, such as "I hope this helps!".

They say nothing about the answer, and are removed before it is read.
"""

from __future__ import annotations

import re

from scripts.lib.scoring.extract.phrases import any_of

_COURTESY = re.compile(
    any_of(
        r"(?:i )?(?:truly |really )?hope (?:this|that|it|the|these|you)\b",
        r"(?:please )?(?:let me know|feel free|do(?: not|n['’]t) hesitate|just ask)\b",
        r"(?:and )?if (?:you(?:['’]d|['’]re| (?:would|have|need|want|are))|there(?:['’]s| (?:is"
        r"|are)))\b.*"
        r"(?:question|help|let me|ask|detail|clarif|further|more|else|assist|welcome|happy|glad)",
        r"(?:is|are) there any(?:thing|\s)",
        r"(?:would|do) you (?:like|want|need)\b",
        r"(?:i(?:['’]m| am) )?(?:always |more than )?(?:happy|glad|here|available|delighted) "
        r"(?:to|if|for)\b",
        r"(?:many )?thank(?:s| you)\b",
        r"you(?:['’]re| are) (?:very |most )?welcome",
        r"(?:have a|enjoy|good luck|best of luck|cheers|take care|(?:best|kind|warm) regards"
        r"|happy (?:learning|coding|studying|calculating))\b",
        r"(?:great|good|nice|excellent) (?:question|luck|job|work)\b",
        r"(?:is there )?anything else\b",
        r"(?:it was|was) (?:a )?(?:pleasure|nice|helpful|that)\b",
        r"glad i\b",
        r"hope (?:so|to)\b",
    )
    + r".{0,200}",
    re.IGNORECASE | re.DOTALL,
)
# What may surround a polite sentence.
_AROUND = "*_`>#- \t\"'()😊🙂"
_SENTENCE_GAP = re.compile(r"[.!?:)\]}\"'”*_`$😊🙂]\s+")
# A line without a letter or digit: a rule, emoji.
_DECORATION = re.compile(r"^[\W_]+$")
# Signs of a decoration that may end a formula, a table, a JSON value or a code block instead.
_CLOSES_SOMETHING = re.compile(r"[\])}$|]|`{3}|~{3}")
_MOST_SENTENCES = 6


def without_courtesy(text: str) -> str:
    """The text without polite sentences and decoration at its end.

    A text that is nothing else stays as it is.
    """
    text = text.rstrip()
    for _ in range(_MOST_SENTENCES):
        line_start = text.rfind("\n") + 1
        line = text[line_start:]
        if line_start and _DECORATION.match(line) and not _CLOSES_SOMETHING.search(line):
            text = text[:line_start].rstrip()
            continue
        starts = [line_start, *(line_start + gap.end() for gap in _SENTENCE_GAP.finditer(line))]
        polite = (
            start for start in reversed(starts) if _COURTESY.fullmatch(text[start:].strip(_AROUND))
        )
        start = next(polite, None)
        if start is None or not text[:start].strip():
            break
        text = text[:start].rstrip()
    return text
