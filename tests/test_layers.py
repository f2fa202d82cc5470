"""`make lint` holds the layers of scripts/lib (pyproject.toml): what breaks a contract is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.checkout import ROOT

pytestmark = pytest.mark.slow


def test_an_upward_import_and_a_circle_are_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    for file, planted in (
        ("base/globs.py", "from scripts.lib.planning import plan"),
        ("machine/profiles.py", "from scripts.lib.machine import pinning"),
    ):
        path = tmp_path / "scripts/lib" / file
        path.write_text(f"{path.read_text()}\n\ndef planted():\n    {planted}\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "Contracts: 0 kept, 2 broken." in done.stdout, done.stdout
    assert "scripts.lib.base.globs -> scripts.lib.planning.plan" in done.stdout
    assert "- .profiles -> .pinning (1 import)" in done.stdout
