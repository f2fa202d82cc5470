"""What became of the cells that fit a pattern, and why: state, file, and every field that changed, from what to what.

examples:
  python -m scripts.explain frontdoor/moe6/math/t1_q1_apples      one cell, of this machine's profile
  python -m scripts.explain 'frontdoor/moe6/math/*'               many: quote the *
  python -m scripts.explain --hardware epyc-9655 architect        whatever has that in its name, on another profile
  python -m scripts.explain 4f1c09d2ab7e                          the cell with this digest

states:
  valid    measured with this very spec: it counts, nothing is run
  failed   measured, and the model failed: a result, until `snakemake retry_failed` drops it
  new      never measured: the next `snakemake results` runs it
  stale    measured with another spec: the fields that differ are shown, the next `snakemake results` measures it again
"""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse

from scripts.cells import PATTERN_HELP, add_options, config_of, explain
from scripts.lib.base.errors import run_cli


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.explain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("pattern", help=PATTERN_HELP)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    return explain(config_of(arguments), arguments)


if __name__ == "__main__":
    run_cli(main)
