"""Polite last sentences ("I hope this helps!"), which say nothing of the answer, and how they are taken off."""

from __future__ import annotations

import re

_COURTESY = re.compile(
    r"""(?:
      (?:i\s+)?(?:truly\s+|really\s+)?hope\s+(?:this|that|it|the|these|you)\b
    | (?:please\s+)?(?:let\s+me\s+know|feel\s+free|do(?:\s+not|n['’]t)\s+hesitate|just\s+ask)\b
    | (?:and\s+)?if\s+(?:you(?:['’]d|['’]re|\s+(?:would|have|need|want|are))|there(?:['’]s|\s+(?:is|are)))\b .* (?:question|help|let\s+me|ask|detail|clarif|further|more|else|assist|welcome|happy|glad)
    | (?:is|are)\s+there\s+any(?:thing|\s)
    | (?:would|do)\s+you\s+(?:like|want|need)\b
    | (?:i(?:['’]m|\s+am)\s+)?(?:always\s+|more\s+than\s+)?(?:happy|glad|here|available|delighted)\s+(?:to|if|for)\b
    | (?:many\s+)?thank(?:s|\s+you)\b
    | you(?:['’]re|\s+are)\s+(?:very\s+|most\s+)?welcome
    | (?:have\s+a|enjoy|good\s+luck|best\s+of\s+luck|cheers|take\s+care|(?:best|kind|warm)\s+regards|happy\s+(?:learning|coding|studying|calculating))\b
    | (?:great|good|nice|excellent)\s+(?:question|luck|job|work)\b
    | (?:is\s+there\s+)?anything\s+else\b
    | (?:it\s+was|was)\s+(?:a\s+)?(?:pleasure|nice|helpful|that)\b
    | glad\s+i\b
    | hope\s+(?:so|to)\b
    ) .{0,200}""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_DECORATION = re.compile(r"^[\W_]+$")
_MOST_SENTENCES = 6


def without_courtesy(text: str) -> str:
    """The text without polite sentences and decoration (rules, emoji) at its end."""
    text = text.rstrip()
    for _ in range(_MOST_SENTENCES):
        line_start = text.rfind("\n") + 1
        line = text[line_start:]
        if line_start and _DECORATION.match(line) and not re.search(r"[\])}$|]|`{3}|~{3}", line):
            text = text[:line_start].rstrip()
            continue
        starts = [line_start, *(line_start + m.end() for m in re.finditer(r"[.!?:)\]}\"'”*_`$😊🙂]\s+", line))]
        last = next((s for s in reversed(starts) if _COURTESY.fullmatch(text[s:].strip("*_`>#- \t\"'()😊🙂"))), None)
        if last is None or not text[:last].strip():
            break
        text = text[:last].rstrip()
    return text
