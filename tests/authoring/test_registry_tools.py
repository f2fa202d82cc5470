"""Headers are compared with the registry; entries are added, and every other byte is kept."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from scripts.lib.authoring.registry_check import compare, contradictions
from scripts.lib.authoring.registry_edit import (
    fitting_drafts,
    fitting_targets,
    propose_entry,
    propose_key,
    text_diff,
    with_entry,
)
from scripts.lib.base.errors import BenchError
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.registry_loader import Model, Source, load_registry
from scripts.lib.weights.facts import WeightsFacts, WeightsReader, facts
from tests.factories.commands import call
from tests.factories.plans import REGISTRY, model
from tests.factories.tiny_models import CONTEXT, EXPERTS_USED, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for kind in ("dense", "draft", "other_vocab", "moe", "lfm2"):
        write_model(folder / f"tiny-{kind}.gguf", kind)
    return folder


def entry(folder: Path, kind: str, **changes: object) -> tuple[Model, WeightsFacts]:
    found = facts(folder / f"tiny-{kind}.gguf")
    said = {
        "quant": "F32",
        "size_gb": found.size_bytes / 1e9,
        "path": str(folder / f"tiny-{kind}.gguf"),
        **changes,
    }
    return model(kind, **said), found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "changes", "facts_denied"),
    [
        ("dense", {"architecture": "dense"}, []),
        ("dense", {"architecture": "llama"}, []),
        ("dense", {"architecture": "moe"}, ["architecture"]),
        ("dense", {"quant": "Q4_K_M"}, ["quant"]),
        ("dense", {"size_gb": 4.0}, ["size_gb"]),
        ("dense", {"max_context": 131072}, ["max_context"]),
        ("dense", {"split_count": 3, "vocab_size": 5}, ["split_count", "vocab_size"]),
        (
            "moe",
            {"architecture": "moe", "baseline_experts": EXPERTS_USED, "max_context": CONTEXT},
            [],
        ),
        ("moe", {"architecture": "moe"}, ["baseline_experts"]),
        ("moe", {"architecture": "dense"}, ["architecture"]),
        ("lfm2", {"architecture": "ssm_moe_hybrid"}, []),
    ],
)
def test_an_entry_is_compared_with_its_header(
    folder: Path, kind: str, changes: dict[str, object], facts_denied: list[str]
) -> None:
    made, found = entry(folder, kind, **changes)
    assert [finding.fact for finding in contradictions(made, found)] == facts_denied


def test_an_override_key_of_another_architecture_is_a_contradiction(folder: Path) -> None:
    made, found = entry(folder, "moe", architecture="moe", baseline_experts=EXPERTS_USED)
    wrong = replace(
        made, acceleration=replace(made.acceleration, override_key="mixtral.expert_used_count")
    )
    (denied,) = contradictions(wrong, found)
    assert (denied.fact, denied.file) == ("override_key", "qwen3moe.expert_used_count")
    assert {f.verdict.value for f in compare(made, found)} <= {"agrees", "not said"}


def test_a_sha256_is_compared_where_the_file_was_hashed(folder: Path) -> None:
    made, found = entry(folder, "dense", architecture="dense")
    right, wrong = (
        replace(made, source=Source("pypi", sha256=sha256))
        for sha256 in (found.sha256[0], "0" * 64)
    )
    assert not contradictions(right, found)
    (denied,) = contradictions(wrong, found)
    assert (denied.fact, denied.registry, denied.file) == ("sha256", "0" * 64, found.sha256[0])
    assert not contradictions(wrong, replace(found, fingerprint="", sha256=())), (
        "only the header was read"
    )


def test_a_hundred_headers_are_read_in_under_two_seconds(folder: Path, tmp_path: Path) -> None:
    data = (folder / "tiny-moe.gguf").read_bytes()
    files = [tmp_path / f"m{number}.gguf" for number in range(100)]
    for number, file in enumerate(files):
        file.write_bytes(data + bytes([number]))
    start = time.process_time()
    reader = WeightsReader(tmp_path / "cache")
    assert [reader.header_facts(file).header.architecture for file in files] == ["qwen3moe"] * 100
    assert time.process_time() - start < 2.0


# --- python -m scripts.validate -------------------------------------------------------------------

SUITES = (
    "thinking",
    "coder",
    "math",
    "general",
    "agentic",
    "instruction_precision",
    "long_context",
)
REGISTRY_TEXT = """\
# Comment at the top
roles:
  target:   # the big one
    tier: C
    description: "quoted"
    model: {{name: Tiny-Dense, path: {folder}/tiny-dense.gguf, \
quant: F32, size_gb: {dense}, architecture: dense}}

  helper:
    tier: D
    description: draft
    compatible_targets: [Tiny-Dense]
    model: {{name: Tiny-Draft, path: {folder}/tiny-draft.gguf, \
quant: F32, size_gb: 0.0003, architecture: dense}}
  stranger:
    tier: D
    description: another vocabulary
    model: {{name: Tiny-Other, path: {folder}/tiny-other_vocab.gguf, \
quant: F32, size_gb: 0.0006, architecture: dense}}
  absent:
    tier: B
    description: not here
    model: {{name: Absent, path: {folder}/absent.gguf, \
quant: Q8_0, size_gb: 9, architecture: dense}}
# comment at the end
"""


def registry_file(folder: Path, tmp_path: Path, dense: float = 0.0006) -> Path:
    file = tmp_path / "registry.yaml"
    file.write_text(REGISTRY_TEXT.format(folder=folder, dense=dense))
    return file


def test_validate_tells_agreement_contradiction_and_absence(folder: Path, tmp_path: Path) -> None:
    size = facts(folder / "tiny-dense.gguf").size_bytes / 1e9
    good = call(
        "scripts.validate",
        "--registry",
        registry_file(folder, tmp_path, round(size, 6)),
        "--model",
        "target",
    )
    assert good.returncode == 0 and "0 contradict" in good.stdout and "F32:" in good.stdout
    file = registry_file(folder, tmp_path, 4.5)
    bad = call("scripts.validate", "--registry", file)
    assert bad.returncode == 0 and "3 present, 1 absent" in bad.stdout
    row = next(
        line
        for line in bad.stdout.splitlines()
        if line.startswith("target") and "contradicts" in line
    )
    assert row.split()[1:4] == ["3", "size_gb", "4.5"]
    assert (
        call("scripts.validate", "--registry", file, "--strict", "--model", "target").returncode
        == 1
    )


def test_validate_names_what_it_cannot_read(folder: Path, tmp_path: Path) -> None:
    file = registry_file(folder, tmp_path)
    file.write_text(file.read_text().replace("tiny-dense.gguf", "cut.gguf"))
    (folder / "cut.gguf").write_bytes((folder / "tiny-dense.gguf").read_bytes()[:300_000])
    done = call("scripts.validate", "--registry", file)
    assert (
        done.returncode == 1
        and "cut.gguf: truncated GGUF" in done.stderr
        and "Traceback" not in done.stderr
    )
    unknown = call("scripts.validate", "--registry", file, "--model", "targt")
    assert unknown.returncode == 1 and "no entry 'targt'; did you mean 'target'?" in unknown.stderr


def test_the_shipped_registry_is_strictly_valid() -> None:
    done = call("scripts.validate", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


# --- editing --------------------------------------------------------------------------------------


def test_an_added_entry_leaves_every_other_byte(folder: Path, tmp_path: Path) -> None:
    file = registry_file(folder, tmp_path)
    registry, weights = load_registry(file), folder / "tiny-moe.gguf"
    key = propose_key(weights, registry.models)
    proposed = propose_entry(registry, weights, facts(weights))
    text = with_entry(file, key, proposed)
    removed = [line for line in text_diff(file, text).splitlines()[2:] if line.startswith("-")]
    assert key == "tiny_moe" and removed == []
    file.write_text(text)
    made = load_registry(file).models["tiny_moe"]
    assert (made.tier, made.architecture, made.baseline_experts, made.quant) == (
        "D",
        "moe",
        EXPERTS_USED,
        "F32",
    )
    assert made.acceleration.override_key == "qwen3moe.expert_used_count"
    with pytest.raises(BenchError, match="this entry exists already"):
        with_entry(file, key, proposed)
    assert propose_key(weights, load_registry(file).models) == "tiny_moe_2"


def test_the_shipped_registry_survives_an_edit_byte_by_byte(folder: Path) -> None:
    found = facts(folder / "tiny-dense.gguf")
    text = with_entry(
        REGISTRY.path, "new", propose_entry(REGISTRY, folder / "tiny-dense.gguf", found)
    )
    old = REGISTRY.path.read_text(encoding="utf-8").splitlines()
    new = iter(text.splitlines())
    assert all(line in new for line in old), "each old line is still there, in order"


def test_drafts_are_found_by_name_and_by_vocabulary(folder: Path, tmp_path: Path) -> None:
    registry = load_registry(registry_file(folder, tmp_path))
    weights = {
        key: Weights(
            facts(path) if path is not None and path.is_file() else None, path, True, False
        )
        for key, path in ((key, registry.weights_path(m)) for key, m in registry.models.items())
    }
    target = registry.models["target"]
    assert dict(fitting_drafts(registry, weights["target"], target, weights)) == {"helper": "fits"}
    unnamed = replace(target, name="Other")
    ((key, verdict),) = fitting_drafts(registry, weights["target"], unnamed, weights)
    assert key == "helper" and "do not name this model" in verdict
    assert list(fitting_targets(registry, weights["helper"], weights)) == ["target"]
    assert list(fitting_targets(registry, weights["stranger"], weights)) == []
    unknown = {**weights, "helper": replace(weights["helper"], facts=None)}
    assert dict(fitting_drafts(registry, weights["target"], target, unknown))["helper"].startswith(
        "fits by name"
    )


def test_add_shows_the_change_and_writes_it_on_yes(folder: Path, tmp_path: Path) -> None:
    file = registry_file(folder, tmp_path)
    config = tmp_path / "mine.yaml"
    config.write_text(f"registry: {file}\n")
    before = file.read_text()
    shown = call("scripts.registry", "--configfile", config, "add", folder / "tiny-lfm2.gguf")
    assert shown.returncode == 0 and "+  tiny_lfm2:" in shown.stdout and file.read_text() == before
    assert {p.name for p in tmp_path.glob("*.yaml")} == {"mine.yaml", "registry.yaml"}, (
        "no draft is left behind"
    )
    written = call(
        "scripts.registry", "--configfile", config, "add", folder / "tiny-lfm2.gguf", "--yes"
    )
    assert (
        written.returncode == 0 and load_registry(file).models["tiny_lfm2"].architecture == "lfm2"
    )
    missing = call("scripts.registry", "--configfile", config, "add", folder / "nothing.gguf")
    assert missing.returncode == 1 and "nothing.gguf: no such file" in missing.stderr


def test_show_and_diff_tell_what_is_planned_and_what_an_edit_costs(tmp_path: Path) -> None:
    shown = call("scripts.registry", "show", "ingest_long_context")
    assert shown.returncode == 0 and "recurrent state cannot be rolled back" in shown.stdout
    assert "did you mean 'frontdoor'" in call("scripts.registry", "show", "frontdor").stderr
    edited = tmp_path / "edited.yaml"
    text = REGISTRY.path.read_text(encoding="utf-8")
    edited.write_text(text.replace("k: 24", "k: 20", 1).replace("# ---", "# ----", 1))
    assert edited.read_text() != text
    changed = call(
        "scripts.registry", "--configfile", "config/full.yaml", "diff", REGISTRY.path, edited
    )
    assert (
        changed.returncode == 0
        and "_k20" in changed.stdout
        and "24 cells to run in 2 shards, at most" in changed.stdout
    )
    same = call("scripts.registry", "diff", REGISTRY.path, REGISTRY.path)
    assert "0 cells to run in 0 shards" in same.stdout


# --- size -----------------------------------------------------------------------------------------


# VmHWM and not ru_maxrss: the latter begins with what the parent had before the exec.
_MEASURED = """
import atexit, pathlib, runpy, sys
status = pathlib.Path("/proc/self/status")
lines = lambda: status.read_text().splitlines()
peak = lambda: next(line for line in lines() if line.startswith("VmHWM")).split()[1]
atexit.register(lambda: print(peak(), file=sys.stderr))
sys.argv = ["plan", *sys.argv[1:]]
runpy.run_module("scripts.plan", run_name="__main__")
"""


@pytest.mark.serial
def test_planning_everything_with_79_questions_takes_seconds_and_little_memory(
    tmp_path: Path,
) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    for suite, count in zip(SUITES, (12, 12, 11, 11, 11, 11, 11), strict=True):
        raw = read_yaml(Path(f"benchmarks/prompts/v1/{suite}.yaml")).value
        shipped = list(raw["prompts"].values())
        raw["prompts"] = {f"q{n}": shipped[n % len(shipped)] for n in range(count)}
        (prompts / f"{suite}.yaml").write_text(yaml.safe_dump(raw))
    config = tmp_path / "all.yaml"
    config.write_text("engine: server\nmodels: ['*']\ntiers: [1, 2, 3]\ndecoding: {modes: ['*']}\n")
    options = [
        "--prompts",
        prompts,
        "--hardware",
        "epyc-9655",
        "--assume-present",
        "--format",
        "json",
        "--configfile",
        config,
    ]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *options], capture_output=True, text=True, check=False
    )
    wall_s = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert (
        len({row["model"] for row in rows if row["cells"]}) > 70
        and sum(row["cells"] for row in rows) > 20_000
    )
    assert wall_s < 5.0
    assert int(done.stderr.split()[-1]) < 300 * 1024, "KiB"
