"""The part of conda's command line that Snakemake and reproducibility.md use, by rattler.

Channels are folders, by the names that an environment file has. Like conda since 26.7 it takes
`nodefaults` for a channel.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

import yaml
from rattler import MatchSpec, RepoDataRecord, VirtualPackage, install, solve

VERSION = "26.7.1"


def solve_file(file: Path, channels: Path) -> list[RepoDataRecord]:
    """What an environment file asks for, from its channels, strictly in their order."""
    asked = yaml.safe_load(file.read_text(encoding="utf-8"))
    for channel in asked["channels"]:
        if not (channels / channel).is_dir():
            raise SystemExit(f"UnavailableInvalidChannel: HTTP 404 NOT FOUND for channel {channel}")
    work = solve(
        [(channels / channel).as_uri() for channel in asked["channels"]],
        [MatchSpec(pin) for pin in asked["dependencies"]],
        platforms=["linux-64", "noarch"],
        virtual_packages=VirtualPackage.detect(),
    )
    return asyncio.run(work)


def read_explicit(file: Path) -> list[RepoDataRecord]:
    """The packages of an explicit file, each held against its sha256."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("file://"):
            url, _, sha256 = line.partition("#")
            archive = Path(url.removeprefix("file://"))
            if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
                raise SystemExit(f"ChecksumMismatchError: {archive}")
            found.append(asyncio.run(RepoDataRecord.from_package_archive(archive)))
    return found


def create(options: argparse.Namespace) -> None:
    file = Path(options.file)
    explicit = file.suffix == ".txt"
    records = read_explicit(file) if explicit else solve_file(file, options.channels)
    asyncio.run(
        install(records, options.prefix, cache_dir=options.root / "pkgs", show_progress=False)
    )


def list_explicit(prefix: Path) -> None:
    print("@EXPLICIT")
    for file in sorted(prefix.glob("conda-meta/*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        print(f"{record['url']}#{record['sha256']}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("--channels", type=Path)
    parser.add_argument("words", nargs="*")
    for name in ("--file", "--prefix", "--get"):
        parser.add_argument(name)
    parser.add_argument("--yes", "-y", action="store_true")
    for name in (
        "--json",
        "--version",
        "--quiet",
        "--no-default-packages",
        "--explicit",
        "--sha256",
        "--tarballs",
    ):
        parser.add_argument(name, action="store_true")
    options = parser.parse_args()
    with Path(os.environ["TEST_CONDA_LOG"]).open("a", encoding="utf-8") as log:
        log.write(" ".join(["conda", *sys.argv[5:]]) + "\n")
    if options.version:
        print(f"conda {VERSION}")
    elif options.words == ["info"]:
        print(json.dumps({"conda_prefix": str(options.root), "platform": "linux-64"}))
    elif options.words == ["config"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif options.words in (["env", "create"], ["create"]):
        create(options)
    elif options.words == ["list"]:
        list_explicit(Path(options.prefix))
    elif options.words != ["clean"]:
        raise SystemExit(f"not known here: {options.words}")


if __name__ == "__main__":
    code: object = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # rattler's own, of any kind
        code = f"{type(error).__name__}: {error}"
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # rattler's threads may crash an interpreter that is being finalised.
    os._exit(1 if code else 0)
