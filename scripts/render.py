"""Render RESULTS.md from the reviews, by a template."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.config import load_config
from scripts.lib.errors import run_cli
from scripts.lib.records import write_atomic
from scripts.lib.render import render
from scripts.lib.results import load_parts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.render", description=__doc__)
    parser.add_argument("template", type=Path, help="a Jinja2 template, such as docs/templates/RESULTS.md.j2")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    write_atomic(arguments.output, render(arguments.template, load_parts(load_config())))
    return 0


if __name__ == "__main__":
    run_cli(main)
