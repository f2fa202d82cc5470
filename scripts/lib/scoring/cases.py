"""Cases of a program, each `{stdin, stdout}`: in the check itself, or in a file beside the suite.

Such a file is gzip with one JSON object per line. A check names it with its sha256, so a score
depends on its content.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of

Case = Mapping[str, str]


def read_cases(given: Any) -> list[Case]:
    """The cases of a check's `cases`.

    Raises BenchError if a file is missing or damaged, or has another sha256.
    """
    if not isinstance(given, Mapping):
        return list(given or ())
    file = Path(given["file"])
    try:
        if sha256_of(file) != given["sha256"]:
            raise BenchError(
                f"{file}: not the cases that the question names by sha256 (import the suite again)"
            )
        return [
            json.loads(line)
            for line in gzip.decompress(file.read_bytes()).decode().split("\n")
            if line
        ]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BenchError(f"{file}: the cases cannot be read: {error}") from error


def write_cases(file: Path, cases: Iterable[Case]) -> dict[str, str]:
    """Write a file of cases; returns the value of `cases` for it. Equal cases give equal bytes."""
    text = "".join(json.dumps(case) + "\n" for case in cases)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), mtime=0))
    return {"file": str(file), "sha256": sha256_of(file)}
