"""Projects for the workflow tests: one without results, and one with all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.factories.once import made_once
from tests.factories.tiny_project import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without results."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with all its results that tests share. Do not change it."""
    return Project(
        made_once(tmp_path_factory, "finished", lambda folder: make_project(folder).results())
    )


@pytest.fixture
def finished(template: Project, tmp_path: Path) -> Project:
    """A copy of a project with all its results. Its registry names the template's weights."""
    folder = tmp_path / "project"
    shutil.copytree(template.folder, folder, symlinks=True)
    return Project(folder)
