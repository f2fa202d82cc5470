"""Checks that a shard loads the planned files: its cells name the fingerprints of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import FileState
from scripts.lib.planning.cell_spec import fingerprint_of, loaded_projector
from scripts.lib.planning.plan import Shard
from scripts.lib.weights.facts import facts, split_files


class WeightsGuard:
    """Compares weights, draft and projector with the plan, before loading and before each store.

    So a stored cell was measured with the planned files, whatever happens to them later. A file is
    read again only if it was touched since the last check.
    """

    def __init__(self, shard: Shard):
        used = (shard.weights, shard.draft, loaded_projector(shard.weights, shard.engine))
        self._planned: Mapping[Path, str] = {
            weights.path: fingerprint_of(weights)
            for weights in used
            if weights is not None and weights.path is not None
        }
        self._shard = shard.name
        self._seen: dict[Path, list[FileState]] = {}

    def check(self) -> None:
        """Raise BenchError if a file is not the planned one, or is missing."""
        for path, planned in self._planned.items():
            try:
                self._check(path, planned)
            except OSError as error:
                place = error.filename or path
                raise BenchError(
                    f"{self._shard}: {place}: {error.strerror}; put it back and run again"
                ) from error

    def _check(self, path: Path, planned: str) -> None:
        states = [FileState.of(file) for file in split_files(path)]
        if self._seen.get(path) == states:
            return
        found = facts(path).fingerprint
        if found != planned:
            raise BenchError(
                f"{self._shard}: {path}: is not the file that was planned: "
                f"expected fingerprint {planned}, found {found}. "
                "It was replaced or changed after the plan was made. Nothing that was measured "
                "with it is stored; earlier cells stay valid. Run again: the new file gets its own "
                "cells"
            )
        self._seen[path] = states
