"""All paths: results tree, pages, templates. They are relative to the checkout.

The results tree may be a link to a larger disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RESULTS = Path("benchmarks/results")
CELLS = RESULTS / "cells"
FIDELITY = RESULTS / "fidelity"
ENVIRONMENTS = RESULTS / "environments"
LOGS = RESULTS / "logs"
PROBES = RESULTS / "probes"
REVIEWS = RESULTS / "reviews"
VERDICTS = REVIEWS / "verdicts"
RUNS = RESULTS / "runs"
CALIBRATION = RESULTS / "calibration"
REPRODUCTIONS = RESULTS / "reproductions"
ROUTING = RESULTS / "routing"
LEGACY = RESULTS / "legacy"

# What the run that goes on (or was the last one) is to do. It is no result.
RUN_PLAN = Path(".snakemake/run_plan.json")

TABLES = RESULTS / "tables"
TABLE_NAMES = (
    *("cells", "modes", "workloads", "acceptance", "speculators", "suites", "roles", "reductions"),
    *("variants", "depths", "fidelity", "fidelity_pairs", "damaged"),
)
CELLS_TABLE, MODES_TABLE, WORKLOADS_TABLE, DAMAGED_TABLE = (
    TABLES / f"{name}.csv" for name in ("cells", "modes", "workloads", "damaged")
)
SUMMARY = REVIEWS / "summary.csv"
INSTRUMENT = REVIEWS / "instrument.csv"
PAIRS_TABLE = REVIEWS / "pairs.csv"

TEMPLATES = "docs/templates"
RESULTS_PAGE = "docs/reference/benchmarks/RESULTS.md"
REPORT = "docs/reference/benchmarks/report.html"
REPORT_TEMPLATE = f"{TEMPLATES}/report.html.j2"
LEGACY_PAGE = "docs/reference/benchmarks/LEGACY.md"
LEGACY_TEMPLATE = f"{TEMPLATES}/LEGACY.md.j2"
# Page -> the template it is made from.
PAGES: Mapping[str, str] = {
    RESULTS_PAGE: f"{TEMPLATES}/RESULTS.md.j2",
    "docs/reference/models/MODELS.md": f"{TEMPLATES}/MODELS.md.j2",
    "docs/reference/models/QUIRKS.md": f"{TEMPLATES}/QUIRKS.md.j2",
}
# Drawn for each hardware profile and engine: `{profile}-{engine}-{picture}.svg` beside RESULTS.md.
PICTURE_NAMES = (
    *(
        "quality-speed",
        "workloads",
        "speculation",
        "acceptance",
        "roofline",
        "depth",
        "fidelity",
        "suites",
    ),
)


def part_slug(hardware: str, engine: str) -> str:
    """The name of a part of the pages: one hardware profile and engine."""
    return f"{hardware}-{engine}"


def picture_file(part: str, name: str) -> str:
    """The path of a picture of a part (`{profile}-{engine}`)."""
    return f"{Path(RESULTS_PAGE).parent}/{part}-{name}.svg"
