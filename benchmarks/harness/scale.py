"""How planning time grows: `snakemake -n results` over registries of 4,200 to 168,000 cells.

    python -m benchmarks.harness.scale [--models 6 60 240] [--variants 3]

The registries are synthetic: sixty models, ten modes and seventy questions are 42,000 cells.
Each variant adds the cells of the baseline. Nothing is run. The dry run is timed without any cells
and with all of them. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml
from tabulate import tabulate

from benchmarks.harness.checkout import scratch_checkout
from tests.factories.tiny_models import write_model

QUESTIONS, SUITES = 70, 7
MODES = [
    "baseline",
    "lookup_n*",
    "spec_*_k4",
    "spec_*_k8",
    "spec_*_k16",
    "spec_*_k24",
    "spec_*_k32",
    "spec_*_k48",
]


def _entry(name: str, path: Path, tier: str) -> dict[str, object]:
    model = {
        "name": name,
        "path": str(path),
        "quant": "F32",
        "size_gb": 0.001,
        "architecture": "dense",
    }
    entry: dict[str, object] = {"tier": tier, "description": name, "model": model}
    return entry | (
        {"compatible_targets": ["Synthetic"]}
        if tier == "D"
        else {"candidate_roles": ["everything"]}
    )


def synthesise(folder: Path, models: int, variants: int) -> None:
    """Make the scratch checkout's registry, suites and configuration synthetic."""
    weights = folder / "weights"
    original, draft = write_model(weights / "m0.gguf"), write_model(weights / "draft.gguf", "draft")
    roles = {"draft": _entry("Draft", draft, "D")}
    for number in range(models):
        path = weights / f"m{number}.gguf"
        if number:
            os.link(original, path)
        roles[f"synthetic_{number}"] = _entry(f"Synthetic-{number}", path, "C")
    (folder / "orchestration/model_registry.yaml").write_text(yaml.safe_dump({"roles": roles}))
    prompts = folder / "benchmarks/prompts/v1"
    for file in prompts.glob("*.yaml"):
        file.unlink()
    names = [f"suite_{number}" for number in range(SUITES)]
    for name in names:
        scoring = [
            {
                "criterion": "says yes",
                "weight": 100,
                "checks": [{"type": "contains", "any": ["yes"]}],
            }
        ]
        asked = {
            f"q{n}": {
                "tier": 1,
                "prompt": f"{name} {n}?",
                "reference_answer": "yes",
                "scoring": scoring,
            }
            for n in range(QUESTIONS // SUITES)
        }
        (prompts / f"{name}.yaml").write_text(
            yaml.safe_dump({"version": "1", "domain": name, "prompts": asked})
        )
    (folder / "config/suites.yaml").write_text(
        yaml.safe_dump({"only": {}, "roles": {"everything": names}})
    )
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    config |= {"models": ["synthetic_*"], "suites": ["*"]}
    config["decoding"] |= {"modes": MODES, "speed_sample": QUESTIONS}
    config["variants"] = {
        f"v{number}": {"context": {"micro_batch_tokens": 32 * number}}
        for number in range(1, variants + 1)
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))


_TOUCH = """
from pathlib import Path
from scripts.lib.settings.run_config import load_config
from scripts.lib.workflow.targets import make_workflow
workflow = make_workflow(load_config())
cells = [file for shard in workflow.shards for file in shard.cell_files]
made = [*cells, *workflow.derived]
for folder in {Path(file).parent for file in made}:
    folder.mkdir(parents=True, exist_ok=True)
for file in made:
    Path(file).touch()
print(len(cells))
"""


def timed(argv: list[str], folder: Path) -> tuple[float, float, str]:
    """(wall seconds, peak resident MiB, output) of a command."""
    start, peak = time.perf_counter(), 0
    with (folder / "out.txt").open("w+") as out:
        process = psutil.Popen(argv, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.05)
        code = process.wait()
        wall = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if code != 0:
        sys.exit(f"{' '.join(argv)}: exit code {code}\n{text[-2000:]}")
    return wall, peak / 2**20, text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.scale", description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[6, 60, 240])
    parser.add_argument("--variants", type=int, default=0)
    arguments, rows = parser.parse_args(), []
    for models in arguments.models:
        with scratch_checkout() as folder:
            synthesise(folder, models, arguments.variants)
            dry = ["snakemake", "-n", "results", "--quiet", "all"]
            timed(dry, folder)  # headers are read once and cached
            empty_s, empty_mib, _ = timed(dry, folder)
            one_s, _, _ = timed(
                ["snakemake", "-n", "results_synthetic_1", "--quiet", "all"], folder
            )
            _, _, cells = timed([sys.executable, "-c", _TOUCH], folder)
            full_s, full_mib, _ = timed(dry, folder)
        seconds, memory = (empty_s, full_s, one_s), (empty_mib, full_mib)
        rows.append(
            [
                int(cells),
                *(f"{value:.1f}" for value in seconds),
                *(f"{value:.0f}" for value in memory),
            ]
        )
    headers = ["cells", "dry run s", "no-op s", "one model's target s", "dry run MiB", "no-op MiB"]
    print(tabulate(rows, headers, tablefmt="pipe"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
