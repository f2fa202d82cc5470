"""RESULTS.md: its template, filled with the parts and the section modules that it calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.base.markdown import TO_ROOT
from scripts.lib.base.templates import render
from scripts.lib.pages.sections import (
    depth,
    evidence,
    fidelity,
    judges,
    pairs,
    quality,
    speed,
    variants,
    workloads,
)
from scripts.lib.tables.profile_part import ProfilePart


def results_page(template: Path, parts: Sequence[ProfilePart]) -> str:
    """RESULTS.md as text."""
    made = render(
        template, parts=parts, to_root=TO_ROOT, quality=quality, speed=speed, depth=depth,
        evidence=evidence, judge=judges, pairs=pairs, variants=variants, workloads=workloads,
        fidelity=fidelity,
    )  # fmt: skip
    # An empty section leaves blank lines.
    return re.sub(r"\n{3,}", "\n\n", made).rstrip("\n") + "\n"
