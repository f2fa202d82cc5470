"""Time and memory to make tables, pages and report.html from 42,000 cells, and to open the report.

    python -m benchmarks.harness.rebuild [--models 60] [--browser]

There are sixty invented models in ten modes with seventy questions each (as in `scale`). Their
cells are written and reviewed first; that is not timed. Prints a table. --browser opens the report
five times in Chromium.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from tabulate import tabulate

from benchmarks.harness.checkout import scratch_checkout
from benchmarks.harness.scale import synthesise, timed
from tests.factories.browser import browser

REPORT = "docs/reference/benchmarks/report.html"
# Answers of about 1,500 characters. In a speculative mode, one in five differs from the baseline's.
FILL = """
from pathlib import Path
from scripts.lib.settings.run_config import load_config
from scripts.lib.planning.disk import load_plans
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import to_csv
from tests.factories.sample_project import Behaviour, fill
(plan,) = load_plans(load_config())
count = len(plan.shards)
made = (Behaviour(0.2 + 0.6 * n / count, 5 + n / 5, 0.5 + n % 3, words=250) for n in range(count))
behaviours = {shard.model.key: behaviour for shard, behaviour in zip(plan.shards, made)}
print(fill(plan, behaviours))
for shard in plan.shards:
    review = plan_review(plan, shard)
    write_atomic(Path(review.file), to_csv(review_shard(review)))
"""


def opened(file: Path) -> tuple[float, float]:
    """(seconds until the page is ready, seconds of a search over all answers), medians."""
    ready, found = [], []
    for _ in range(5):
        with browser() as page:
            page.open(file)
            ready.append(float(page.evaluate("document.documentElement.dataset.ready")) / 1000)
            search = (
                "(() => { const start = performance.now();"
                " const state = document.getElementById('answer-state');"
                " state.selectedIndex = state.options.length - 1; state.onchange();"
                " return performance.now() - start })()"
            )
            found.append(float(page.evaluate(search)) / 1000)
    return statistics.median(ready), statistics.median(found)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.rebuild", description=__doc__
    )
    parser.add_argument(
        "--models", type=int, default=60, help="700 cells each (default: %(default)s)"
    )
    parser.add_argument("--browser", action="store_true", help="also open the report in Chromium")
    arguments = parser.parse_args()
    with scratch_checkout() as folder:
        synthesise(folder, arguments.models, variants=0)
        _, _, cells = timed([sys.executable, "-c", FILL], folder)
        tables_s, tables_mib, _ = timed([sys.executable, "-m", "scripts.tabulate"], folder)
        pages_s, pages_mib, _ = timed([sys.executable, "-m", "scripts.render"], folder)
        rows = [["tables", tables_s, tables_mib], ["pages, pictures, report", pages_s, pages_mib]]
        print(
            f"{cells.strip()} cells; report.html {(folder / REPORT).stat().st_size / 2**20:.1f} MiB"
        )
        print(tabulate(rows, ["step", "seconds", "peak MiB"], tablefmt="pipe", floatfmt=".1f"))
        if arguments.browser:
            ready_s, search_s = opened(folder / REPORT)
            print(
                f"the report is ready after {ready_s:.2f} s, "
                f"a search over all answers takes {search_s:.2f} s"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
