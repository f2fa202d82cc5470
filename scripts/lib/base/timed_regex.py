"""Regular expressions on answers, with a time limit against endless backtracking."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Any

# Patterns search only this many characters of an answer, for at most this time.
PATTERN_CHARACTERS = 20_000
PATTERN_SECONDS = 1.0


class PatternTimeout(Exception):
    """A search took longer than the limit."""


@lru_cache(maxsize=512)
def _compiled(pattern: str, flags: tuple[str, ...] = ("MULTILINE",)) -> Any:
    """`flags` are names of the library's flags."""
    # `regex` has time limits, `re` has none. Imported here, since most processes do not search.
    import regex

    return regex.compile(pattern, sum(getattr(regex, name) for name in flags))


def found(pattern: str, text: str) -> bool:
    """Whether the pattern (multi-line) occurs in the first 20,000 characters.

    Raises PatternTimeout after a second.
    """
    try:
        return (
            _compiled(pattern).search(text[:PATTERN_CHARACTERS], timeout=PATTERN_SECONDS)
            is not None
        )
    except TimeoutError:
        raise PatternTimeout(pattern) from None


def captured(
    pattern: str, text: str, flags: tuple[str, ...] = (), last: bool = False
) -> str | None:
    """Group 1 of the first match (or the last one), or the whole match if there is no group.

    None without a match. `flags` are names such as IGNORECASE. The whole text is searched. Raises
    PatternTimeout after a second.
    """
    matches = _compiled(pattern, flags).finditer(text, timeout=PATTERN_SECONDS)
    try:
        match = next(iter(deque(matches, maxlen=1)), None) if last else next(matches, None)
    except TimeoutError:
        raise PatternTimeout(pattern) from None
    if match is None:
        return None
    taken: str | None = match[1] if match.re.groups else match[0]
    return taken
