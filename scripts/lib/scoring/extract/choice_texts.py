"""The choice whose text an answer states, in a question of multiple choice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from scripts.lib.scoring.extract.evidence import corrects
from scripts.lib.scoring.extract.words import looked_at, same, words

ASIDE = re.compile(r"(?<=\s)\([^()\n]{3,200}\)")
_CONCLUDES = re.compile(r"\W*(?:so|therefore|thus|hence|in\s+conclusion)\b", re.IGNORECASE)
_REASON_WORDS = "because|since|unlike|whereas|while|although|though"
_CLAUSE_GAP = re.compile(rf"[;:]\s+|\s[-–—]\s|,?\s(?=\b(?:{_REASON_WORDS}|but|not|so)\b)")
_REASON = re.compile(rf"(?:{_REASON_WORDS}|not)\b", re.IGNORECASE)
_SENTENCE_GAP = re.compile(r"\n+|(?<=[.!?])\s+")
# A choice of one of these words counts only if a sentence begins with it: "there is no
# exception" says nothing.
_SHORT = frozenset(("yes", "no", "true", "false", "none"))


def named(text: str, choices: Mapping[str, str]) -> list[str]:
    """The letters of the choices whose texts are stated. `white gold` does not name `gold`."""
    first_word = words(text[:40])[:1]
    found = []
    for letter, choice in choices.items():
        if choice.lower().strip(".") in _SHORT:
            is_named = words(choice) == first_word
        else:
            is_named = looked_at(text).states(choice, as_subject=True)
        if is_named:
            found.append(letter)
    return [letter for letter in found if not _is_part_of_another(letter, found, choices)]


def _is_part_of_another(letter: str, named: Sequence[str], choices: Mapping[str, str]) -> bool:
    """Whether the text of a choice is part of the text of another one that is named, too."""
    return any(
        other != letter and looked_at(choices[other]).states(choices[letter]) for other in named
    )


def _own_words(choices: Mapping[str, str]) -> dict[str, str]:
    """Word -> letter, for the longer words that only one choice has."""
    found: dict[str, str] = {}
    counts = Counter(word for text in choices.values() for word in set(words(text)))
    for letter, text in choices.items():
        found |= {word: letter for word in words(text) if counts[word] == 1 and len(word) > 3}
    return found


def by_text(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of the one choice whose text is stated.

    First the first sentence is tried, if it is only this text; then the last clause that states
    just one text; then words that only one choice has.
    """
    sentences = [piece for piece in _SENTENCE_GAP.split(ASIDE.sub(" ", text)) if piece.strip()]
    if sentences and not corrects(text, 0, len(text)):
        for letter, choice in choices.items():
            if same(sentences[0], choice):
                return letter
    mentioned = any(looked_at(text).count(choice) for choice in choices.values())
    # Read from the end: concluding sentences before the others.
    sentences.sort(key=lambda sentence: _CONCLUDES.match(sentence) is not None)
    for sentence in reversed(sentences) if mentioned else ():
        pieces = [clause for clause in _CLAUSE_GAP.split(sentence) if not _REASON.match(clause)]
        alone = {
            found[0] for piece in (*pieces, sentence) if len(found := named(piece, choices)) == 1
        }
        if len(alone) == 1:
            return alone.pop()
        if alone and not _CONCLUDES.match(sentence):
            # "Gold is Au; silver is Ag": the sentence chooses neither.
            return None
    if mentioned:
        return None
    own_words = _own_words(choices)
    letters = {own_words[word] for word in words(text) if word in own_words}
    return letters.pop() if len(letters) == 1 else None
