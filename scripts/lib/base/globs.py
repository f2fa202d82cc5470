"""Shell-style patterns for names of models and modes."""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """True when a shell-style pattern fits the whole name, and none that begins with `!` does."""
    if any(fnmatchcase(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(fnmatchcase(name, pattern) for pattern in patterns)
