"""Draw the images of the vision suite: charts, tables, forms and diagrams."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from pathlib import Path

from scripts.lib.authoring.vl_images import IMAGES
from scripts.lib.base.errors import run_cli

FOLDER = Path("benchmarks/prompts/v1/images")


def main() -> int:
    """Draw every image into a folder."""
    parser = argparse.ArgumentParser(prog="python -m scripts.draw_vl_images", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help=f"the output folder (default: {FOLDER})"
    )
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in IMAGES.items():
        draw().save(folder / f"{name}.png", optimize=True)
        print(f"written: {folder / name}.png")
    return 0


if __name__ == "__main__":
    run_cli(main)
