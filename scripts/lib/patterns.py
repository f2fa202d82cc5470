"""Regular expressions on answers, with a time limit: an answer made to backtrack for ever is given up on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# Patterns see no more than this of an answer, and take no longer than this.
PATTERN_CHARACTERS = 20_000
PATTERN_SECONDS = 1.0


class PatternTimeout(Exception):
    """A search was given up."""


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    # `regex` has a time limit, which `re` has not; imported here, since most processes search nothing.
    import regex

    return regex.compile(pattern, regex.MULTILINE)


def found(pattern: str, text: str) -> bool:
    """Whether the pattern (multi-line) occurs in the first 20,000 characters. Raises PatternTimeout after a second."""
    try:
        return _compiled(pattern).search(text[:PATTERN_CHARACTERS], timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        raise PatternTimeout(pattern) from None
