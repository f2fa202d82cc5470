"""Long prose made from a seed that repeats nothing, for questions that are asked at a depth.

The other contexts are templates with a few words changed: a speculator that looks for n-grams would
find its drafts in them. Here sentences grow out of a grammar with some thousand words, so that a
phrase of more than a few words hardly ever comes twice. The same length gives the same text on any
machine and Python, and a shorter text is the beginning of a longer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from scripts.lib.prompts.contexts.dice import Dice, capitalised
from scripts.lib.prompts.contexts.prose_words import SYLLABLES_END, SYLLABLES_START, WORDS

SEED = "prose/0"
# What stands between the text and the question.
JOINT = "\n\n---\n\n"
# Characters per token of SmolLM2's vocabulary of 49K, for a vocabulary that was not counted.
CHARACTERS_PER_TOKEN = 4.05
_LEAST_SENTENCES, _MORE_SENTENCES = 4, 5
# The shortest text that is made: lengths are rounded up to a power of two of it, and then cut.
_LEAST_CHARACTERS = 1 << 14

# A rule is one of its forms; what stands between bars is another rule, or a kind of word.
_RULES: Mapping[str, tuple[str, ...]] = {
    "sentence": (
        "|thing| |did| |thing| |where|.",
        "|when|, |someone| |did| |thing|, |aside|.",
        "|someone| of |place| |did| |thing| and |did| |thing| |how|.",
        "|thing| |stood| |where|, |aside|.",
        "|because|, |thing| |stood| |how|.",
        "|someone|, |job| by trade, |did| |thing| |where|.",
        "|thing| of |stuff| |stood| |where|, and |someone| |did| |thing|.",
        "|when|, |things| |stood| |where|, |because|.",
        "|someone| told |someone| that |thing| |did| |thing|.",
        "|things| and |things| |stood| |where| |when|.",
        "Neither |someone| nor |someone| |did| |thing| |where|.",
        "If |thing| |stood| |how|, |someone| |did| |thing| |when|.",
        "|number| |plural| of |stuff| went from |place| to |place|, |aside|.",
        "In |year|, |thing| |did| |thing| near |place|; |someone| |did| |thing|.",
        '"|thing| |stood| |how|," wrote |someone|, "|because|."',
        "It was |someone| who |did| |thing|, |because|, and not |someone|.",
        "What |someone| |did| |how| was |thing|: |thing| of |stuff|.",
        "|thing| cost |number| |coin| in |place|, |number| |coin| in |place|.",
    ),
    "thing": (
        "the |adjective| |noun|",
        "the |noun| of |place|",
        "this |adjective| |noun|",
        "one |adjective|, |adjective| |noun|",
        "another |noun| of |stuff|",
        "|someone|'s |adjective| |noun|",
        "the |noun| that |someone| |did| |how|",
        "every |adjective| |noun| |where|",
        "|number| |adjective| |plural|",
    ),
    "things": (
        "the |adjective| |plural| of |place|",
        "|number| |plural|",
        "some |adjective| |plural|",
        "most |plural| of |stuff|",
        "|someone|'s |plural|",
        "those |plural| that |someone| |did|",
    ),
    "where": (
        "|by| the |adjective| |noun|",
        "|by| |place|",
        "between |place| and |place|",
        "|by| |someone|'s |noun|",
        "where the |noun| |stood|",
        "|by| the |plural| of |place|",
    ),
    "when": (
        "in the |season| of |year|",
        "on |day| |month| |year|",
        "|number| |spans| later",
        "before the |adjective| |noun| of |month|",
        "after |someone| |did| |thing|",
        "while the |plural| |stood| |by| |place|",
        "towards |month|, |adverb|",
    ),
    "because": (
        "since the |noun| |did| |thing|",
        "as |someone| |did| |thing|",
        "although the |plural| |stood| |where|",
        "for |thing| |stood| |by| |place|",
        "because |someone| |did| the |noun| |how|",
        "whatever |someone| said of the |adjective| |noun|",
    ),
    "aside": (
        "which |someone| |did| |how|",
        "as the |noun| of |place| shows",
        "|adverb| and without |stuff|",
        "with |number| |plural| and |thing|",
        "though |someone| |did| |thing|",
        "to the |adjective| |noun| of |someone|",
        "a matter of |stuff| and |plural|",
    ),
    "how": (
        "|adverb|",
        "more |adverb| than |someone|",
        "with |adjective| |plural|",
        "without |stuff|",
        "|number| times",
        "by |adjective| |stuff|",
        "as |adverb| as |thing|",
    ),
    "someone": ("|first| |last|", "the |job|", "|first|", "the |adjective| |job| |last|", "|last|"),
    "job": ("|work|", "|work| and |work|", "|adjective| |work|"),
}


def _name(dice: Dice, kind: str) -> str:
    """A name of two or three syllables, so that there are thousands of them."""
    middle = dice.pick(SYLLABLES_START).lower() if dice.below(3) == 0 else ""
    return dice.pick(SYLLABLES_START) + middle + dice.pick(SYLLABLES_END[kind])


def _number(dice: Dice, kind: str) -> str:
    """Whole numbers as people write them; years and days have their own ranges."""
    if kind == "year":
        return str(1500 + dice.below(480))
    if kind == "day":
        return str(1 + dice.below(28))
    return str(2 + dice.below(10 ** (1 + dice.below(3))))


def _expanded(form: str, dice: Dice) -> str:
    """The form with every |rule| or |kind of word| in it replaced."""
    parts = form.split("|")
    for place in range(1, len(parts), 2):
        kind = parts[place]
        if kind in _RULES:
            parts[place] = _expanded(dice.pick(_RULES[kind]), dice)
        elif kind in SYLLABLES_END:
            parts[place] = _name(dice, kind)
        elif kind in WORDS:
            parts[place] = dice.pick(WORDS[kind])
        else:
            parts[place] = _number(dice, kind)
    return "".join(parts)


def _paragraph(dice: Dice) -> str:
    count = _LEAST_SENTENCES + dice.below(_MORE_SENTENCES)
    forms = (dice.pick(_RULES["sentence"]) for _ in range(count))
    return " ".join(capitalised(_expanded(form, dice)) for form in forms)


@lru_cache(maxsize=8)
def _made(characters: int) -> str:
    dice, paragraphs, length = Dice(SEED), list[str](), 0
    while length < characters:
        paragraphs.append(_paragraph(dice))
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def prose(characters: int) -> str:
    """The first `characters` of the text, less what is left of a cut word."""
    size = _LEAST_CHARACTERS
    while size < characters + 1:
        size *= 2
    text = _made(size)[: characters + 1]
    return text[: max(text.rfind(" "), text.rfind("\n"), 0)].rstrip()


def with_prose(characters: int, question: str) -> str:
    """The text, what parts them, the question."""
    return f"{prose(characters)}{JOINT}{question}"
