"""Conda channels for tests, made of this environment's packages, and a `conda` for them.

A package has the name, the version and the dependencies that pip's has, and links to its files:
what a conda environment has is then what the solver chose, and no more.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import re
import shlex
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SUBDIR = "linux-64"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
# pip's name -> conda's, where they differ.
CONDA_NAMES = {
    "snakemake": "snakemake-minimal",
    "matplotlib": "matplotlib-base",
    "ruamel-yaml": "ruamel.yaml",
}
# Programs of packages that builds call by name.
PROGRAMS = ("cmake", "ninja")
# Installed against the engine of an environment, never from a channel.
ENGINE = "llama-cpp-python"
ACTIVATE = """\
echo "activated $1 PYTHONNOUSERSITE=$PYTHONNOUSERSITE" >> "$TEST_CONDA_LOG"
export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"
"""


@dataclass
class Package:
    """One conda package: its place in the index and its files. `links`: path -> target."""

    name: str
    version: str
    depends: list[str]
    links: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    build_number: int = 0

    @property
    def index(self) -> dict[str, object]:
        build = f"py{PYTHON.replace('.', '')}_{self.build_number}"
        named = {
            "name": self.name,
            "version": self.version,
            "build": build,
            "build_number": self.build_number,
        }
        return {**named, "depends": self.depends, "subdir": SUBDIR, "timestamp": 1_700_000_000_000}

    def _paths(self) -> list[dict[str, object]]:
        links = [{"_path": path, "path_type": "softlink"} for path in self.links]
        files: list[dict[str, object]] = [
            {
                "_path": path,
                "path_type": "hardlink",
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "size_in_bytes": len(text.encode()),
            }
            for path, text in self.files.items()
        ]
        return [*links, *files]

    def write(self, channel: Path) -> Path:
        """Put the archive into a channel and give it. `index_channel` then makes it known."""
        file = channel / SUBDIR / f"{self.name}-{self.version}-{self.index['build']}.tar.bz2"
        file.parent.mkdir(parents=True, exist_ok=True)
        paths = {"paths": self._paths(), "paths_version": 1}
        listed = "".join(f"{path}\n" for path in (*self.links, *self.files))
        information = {
            "info/index.json": json.dumps(self.index),
            "info/paths.json": json.dumps(paths),
            "info/files": listed,
        }
        with tarfile.open(file, "w:bz2") as archive:
            for name, text in {**information, **self.files}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
            for name, target in self.links.items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                archive.addfile(entry)
        return file


def index_channel(channel: Path) -> None:
    """Write the channel's repodata.json out of its archives."""
    packages = {}
    for file in sorted((channel / SUBDIR).glob("*.tar.bz2")):
        data = file.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            information = archive.extractfile("info/index.json")
            assert information is not None
            index = json.load(information)
        sums = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "md5": hashlib.md5(data).hexdigest(),
            "size": len(data),
        }
        packages[file.name] = index | sums
    for subdir, listed in ((SUBDIR, packages), ("noarch", {})):
        (channel / subdir).mkdir(parents=True, exist_ok=True)
        repodata = {
            "info": {"subdir": subdir},
            "packages": listed,
            "packages.conda": {},
            "repodata_version": 1,
        }
        (channel / subdir / "repodata.json").write_text(json.dumps(repodata))


def conda_name(name: str) -> str:
    return CONDA_NAMES.get(canonicalize_name(name), canonicalize_name(name))


def _depends(package: importlib.metadata.Distribution) -> list[str]:
    found = [f"python {PYTHON}.*"]
    for requirement in map(Requirement, package.requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            versions = ",".join(sorted(map(str, requirement.specifier)))
            found.append(f"{conda_name(requirement.name)} {versions}".strip())
    return found


def _links(package: importlib.metadata.Distribution) -> dict[str, str]:
    """Links to a package's folders in site-packages, and to its programs that builds need."""
    links = {}
    for file in package.files or []:
        top, located = file.parts[0], Path(str(package.locate_file("")))
        if top not in ("..", "__pycache__"):
            links[f"{SITE_PACKAGES}/{top}"] = str(located / top)
        elif file.name in PROGRAMS:
            links[f"bin/{file.name}"] = str((located / file).resolve())
    return links


def python_package() -> Package:
    """`python`: this Python, by links, as a virtual environment has it."""
    base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    version = ".".join(map(str, sys.version_info[:3]))
    links = {f"bin/{name}": str(base) for name in ("python", "python3", f"python{PYTHON}")}
    settings = f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {version}\n"
    return Package(
        "python",
        version,
        [],
        links,
        {"pyvenv.cfg": settings, f"{SITE_PACKAGES}/README.txt": "empty\n"},
    )


def write_channels(folder: Path, on_no_channel: Iterable[str]) -> None:
    """Channels `conda-forge` and `bioconda` (Snakemake and its parts) of this environment."""
    left_out = {*on_no_channel, ENGINE}
    python_package().write(folder / "conda-forge")
    for package in importlib.metadata.distributions():
        name = canonicalize_name(package.metadata["Name"])
        if name not in left_out:
            channel = "bioconda" if name.startswith("snakemake") else "conda-forge"
            made = Package(conda_name(name), package.version, _depends(package), _links(package))
            made.write(folder / channel)
    for channel in folder.iterdir():
        index_channel(channel)


def write_wheel(name: str, folder: Path) -> Path:
    """A wheel of a package that this environment has: pip installs from no registry in tests."""
    package = importlib.metadata.distribution(name)
    file = (
        folder
        / f"{re.sub('[-.]', '_', canonicalize_name(name))}-{package.version}-py3-none-any.whl"
    )
    skipped = ("INSTALLER", "REQUESTED", "direct_url.json")
    with zipfile.ZipFile(file, "w") as wheel:
        for path in package.files or []:
            if path.parts[0] != ".." and path.suffix != ".pyc" and path.name not in skipped:
                wheel.write(str(package.locate_file(path)), str(path))
    return file


def write_conda(folder: Path, channels: Path) -> None:
    """`conda` (tests/factories/conda_program.py) and `activate`, in folder/bin."""
    (folder / "bin").mkdir(parents=True)
    program = Path(__file__).with_name("conda_program.py")
    argv = shlex.join(
        [sys.executable, str(program), "--root", str(folder), "--channels", str(channels)]
    )
    for name, text in (("conda", f'#!/bin/sh\nexec {argv} "$@"\n'), ("activate", ACTIVATE)):
        file = folder / "bin" / name
        file.write_text(text)
        file.chmod(0o755)
