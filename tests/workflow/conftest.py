"""Projects for the workflow tests: one without results, and one with all of them."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.factories.tiny_project import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without results."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished_template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Made once for all workers of pytest-xdist: the second one waits for the first one's."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, done = shared / "finished/project", shared / "finished/done"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make_project(folder).results()
            done.touch()
    return Project(folder)


@pytest.fixture
def finished(finished_template: Project, tmp_path: Path) -> Project:
    """A copy of a project with all its results. Its registry names the template's weights."""
    folder = tmp_path / "project"
    shutil.copytree(finished_template.folder, folder, symlinks=True)
    return Project(folder)
