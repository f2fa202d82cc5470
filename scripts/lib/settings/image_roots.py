"""Where a question's image files may have moved to: old path prefixes and the folders that hold them now."""

from __future__ import annotations

from collections.abc import Mapping

# (old prefix of a path, folder), in the order in which they are tried. ANY fits every path.
ImageRoots = tuple[tuple[str, str], ...]


ANY = "*"


def ordered_roots(raw: Mapping[str, str]) -> ImageRoots:
    """The longest prefix first, ANY last."""
    return tuple(sorted(raw.items(), key=lambda root: (root[0] == ANY, -len(root[0]))))
