"""A made-up engine: a package like llama-cpp-python that compiles in a second; its environment."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

CMAKE = """\
cmake_minimum_required(VERSION 3.15)
project(llama.cpp C)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
file(WRITE ${CMAKE_BINARY_DIR}/one.c "int one(void) { return 1; }")
file(WRITE ${CMAKE_BINARY_DIR}/main.c "int main(void) { return 0; }")
add_library(llama SHARED ${CMAKE_BINARY_DIR}/one.c)
add_library(mtmd SHARED ${CMAKE_BINARY_DIR}/one.c)
add_executable(llama-server ${CMAKE_BINARY_DIR}/main.c)
add_executable(llama-bench ${CMAKE_BINARY_DIR}/main.c)
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "llama_cpp_python-{version}-py3-none-any.whl"
    info = "llama_cpp_python-{version}.dist-info"
    with zipfile.ZipFile(f"{{folder}}/{{name}}", "w") as wheel:
        wheel.writestr("llama_cpp.py", "__version__ = '{version}'")
        head = "Metadata-Version: 2.1\\nName: llama-cpp-python\\nVersion: {version}\\n"
        wheel.writestr(f"{{info}}/METADATA", head)
        kind = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(f"{{info}}/WHEEL", kind)
        wheel.writestr(f"{{info}}/RECORD", "")
    return name
"""


def write_source(cache: Path, version: str) -> str:
    """Put the source package where a cache has it; gives the text of an engine.lock for it."""
    file = cache / f"sources/llama_cpp_python-{version}.tar.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    files = {
        "vendor/llama.cpp/CMakeLists.txt": CMAKE,
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND.format(version=version),
    }
    with tarfile.open(file, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"llama_cpp_python-{version}/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return lock_text(version, hashlib.sha256(file.read_bytes()).hexdigest())


def lock_text(version: str, sha256: str) -> str:
    return f"llama-cpp-python=={version} \\\n    --hash=sha256:{sha256}\n"


def make_environment(folder: Path) -> Path:
    """A virtual environment that adds to this one's packages; gives its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = next(folder.glob("lib/python*/site-packages"))
    (own / "shared.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    return folder / "bin/python"
