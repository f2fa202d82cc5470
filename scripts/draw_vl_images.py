"""Draw the images of the vision suite: charts, tables, forms and diagrams.

They are drawn by code, so the correct answers to their questions are known.

for example:
  python -m scripts.draw_vl_images --folder /tmp/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.authoring.vl_images import IMAGES
from scripts.lib.base.command import Parser, run_command

FOLDER = Path("benchmarks/prompts/v1/images")


def main(arguments: argparse.Namespace) -> None:
    """Write every image as a PNG file."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, draw in IMAGES.items():
        file = arguments.folder / f"{name}.png"
        draw().save(file, optimize=True)
        print(f"written: {file}")


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.draw_vl_images", __doc__, main)
    words = f"where to write the images (default: {FOLDER})"
    parser.add_argument("--folder", type=Path, default=FOLDER, metavar="FOLDER", help=words)
    return parser


if __name__ == "__main__":
    run_command(parser())
