"""The charting library that report.html carries: stored files, each checked against its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scripts.lib.base.errors import BenchError

# In the order in which the page runs them: each needs the ones before it.
SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-interpreter.min.js")
SUMS = "SHA256SUMS"
_SOURCE_MAP = "\n//# sourceMappingURL="


def vendored_scripts(folder: Path) -> list[str]:
    """The text of each of `SCRIPTS`, without the reference to its source map.

    Raises BenchError for a file that is missing, changed, or could end a script element.
    """
    expected = _sums(folder / SUMS)
    return [_checked(folder / name, expected.get(name, "")) for name in SCRIPTS]


def _sums(file: Path) -> dict[str, str]:
    """File name -> sha256, as sha256sum writes them."""
    lines = _content(file).decode("utf-8", "replace").splitlines()
    return {name: found for found, _, name in (line.partition("  ") for line in lines)}


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        restore = f"git checkout {file}"
        raise BenchError(f"{file}: cannot be read ({error.strerror}); run: {restore}") from error


def _checked(file: Path, expected: str) -> str:
    content = _content(file)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise BenchError(
            f"{file}: expected the sha256 in {SUMS} ({expected or 'none'}), found {found}; "
            f"run: git checkout {file.parent}"
        )
    text = content.decode("utf-8")
    for mark in ("</script", "<!--"):
        if mark in text.lower():
            raise BenchError(f"{file}: expected a script that a page can hold, found {mark!r}")
    # The page loads nothing, so a source map is of no use to it.
    return text.partition(_SOURCE_MAP)[0]
