"""Word lists as parts of regular expressions."""

from __future__ import annotations


def any_of(*phrases: str) -> str:
    """The source of a group that matches one of the phrases; they are tried in the given order.

    A phrase is a regular expression, perhaps several with `|` between. A blank in it matches any
    white space, so a set of characters such as `[ab]` must not contain one.
    """
    return "(?:" + "|".join(phrases).replace(" ", r"\s+") + ")"
