"""What the template of RESULTS.md is filled with: the parts, and the section modules whose functions it calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scripts.lib import results_evidence, results_judge, results_quality, results_speed
from scripts.lib.markdown import TO_ROOT
from scripts.lib.profile_part import ProfilePart
from scripts.lib.render import render


def results_page(template: Path, parts: Sequence[ProfilePart]) -> str:
    """RESULTS.md as text."""
    sections = {
        "quality": results_quality,
        "speed": results_speed,
        "evidence": results_evidence,
        "judge": results_judge,
    }
    made = render(template, parts=parts, to_root=TO_ROOT, **sections)
    # Sections that are not there leave their blank lines.
    return re.sub(r"\n{3,}", "\n\n", made).rstrip("\n") + "\n"
