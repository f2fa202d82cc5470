"""Foreign text on a terminal."""

from __future__ import annotations


def shown(text: object) -> str:
    """Model or registry text as one harmless line: no escapes, no controls, no direction overrides."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
