"""Why a cell is stale, what dropping a cell takes with it, and whose files are no orphans."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.layout import CELLS, REVIEWS
from scripts.lib.executor import Job, restore, store
from scripts.lib.planning.cell_record import CellRecord
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.disk import LOCK_FILE, drop_cell, load_plans
from scripts.lib.planning.plan import Plan, find_shard, make_plan
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.results.states import changes, drop_failed, orphans, shown_apart
from scripts.lib.settings.run_config import load_config
from tests.factories.plans import FULL, REGISTRY, planner
from tests.factories.sample_project import HARDWARE, Behaviour, record

pytestmark = pytest.mark.slow

ONE_MODEL = replace(FULL, models=("worker_math",))
OLD = {"sampling": {"temperature": 0.0, "stop": []}, "mode": {}, "weights": {"quant": "Q4_0"}}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, []),
        ({**OLD, "weights": {"quant": "Q8_0"}}, ['weights.quant: "Q4_0" -> "Q8_0"']),
        (
            {**OLD, "sampling": {"temperature": 0.5, "stop": ["."]}},
            ["sampling.temperature: 0.0 -> 0.5", 'sampling.stop: [] -> ["."]'],
        ),
        (
            {**OLD, "mode": {"lookup_n": 3}},
            ["mode.lookup_n: (not there) -> 3", "mode: {} -> (not there)"],
        ),
        ({"sampling": OLD["sampling"], "mode": {}}, ['weights.quant: "Q4_0" -> (not there)']),
    ],
)
def test_changes_name_the_field_and_both_values(new: dict[str, object], said: list[str]) -> None:
    assert [str(change) for change in changes(OLD, new)] == said


def test_long_values_are_cut() -> None:
    (change,) = changes({"prompt": "a" * 500}, {"prompt": "b" * 500})
    assert len(change.old) < 70 and change.old.endswith("…")
    (change,) = changes({"prompt": "a" * 500, "k": 4}, {"k": 4})
    assert change.old == f'"{"a" * 59}…' and change.new == "(not there)"


A, B = "a" * 100, "b" * 100


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a", "b", ("a", "b")),
        (A[:60], A[:59] + "b", (A[:60], A[:59] + "b")),
        (f"{A}x{B}", f"{A}y{B}", (f"…{A[:20]}x{B[:39]}…", f"…{A[:20]}y{B[:39]}…")),
        (A, f"{A}y", (f"…{A[:20]}", f"…{A[:20]}y")),
        (f"{A}x{B[:39]}", f"{A}y{B[:39]}", (f"…{A[:20]}x{B[:39]}", f"…{A[:20]}y{B[:39]}")),
        ("a", A, ("a", f"{A[:60]}…")),
        (B, A, (f"{B[:60]}…", f"{A[:60]}…")),
    ],
)
def test_two_long_texts_are_shown_where_they_differ(
    old: str, new: str, shown: tuple[str, str]
) -> None:
    assert shown_apart(old, new) == shown


# --- what is dropped ---


class Unrecorded:
    """A run's record that keeps nothing."""

    def add(self, record: CellRecord) -> None: ...


def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, Job]:
    """A shard that was cut off after two stored cells, the second a failed one; an empty folder."""
    plan = make_plan(planner(ONE_MODEL))
    shard = find_shard(plan, "worker_math", "baseline")
    monkeypatch.chdir(tmp_path)
    job = Job(shard, Path(), "run", lambda _: "", Unrecorded(), WeightsGuard(shard))
    for cell, behaviour in zip(
        shard.cells, (Behaviour(), Behaviour(failing=("baseline",))), strict=False
    ):
        store(job, cell, record(shard, cell, behaviour, "0" * 12))
    return replace(plan, shards=(shard,)), job


def test_a_failed_cell_that_is_dropped_is_not_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, job = interrupted(tmp_path, monkeypatch)
    kept, failed = (Path(file) for file in job.shard.cell_files[:2])
    assert drop_failed([plan], really=False) == (failed,) and failed.is_file()
    assert drop_failed([plan]) == (failed,)
    kept.unlink()  # as Snakemake does with the outputs of a job that failed
    assert restore(job) == 1 and kept.is_file() and not failed.is_file()


def test_a_cell_is_dropped_with_what_an_unfinished_shard_keeps_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, job = interrupted(tmp_path, monkeypatch)
    kept, dropped = (Path(file) for file in job.shard.cell_files[:2])
    drop_cell(dropped)
    assert not dropped.exists() and kept.is_file() and restore(job) == 0
    shutil.rmtree(job.shard.folder + f"/.partial-{job.shard.engine}")
    drop_cell(kept)
    assert not kept.exists()


# --- orphans ---


def files_of(model: str, mode: str = "*") -> set[Path]:
    cells = Path(CELLS).glob(f"{HARDWARE}/{model}/{mode}/*/*.json")
    return {*cells, *REVIEWS.glob(f"{HARDWARE}/{model}/{mode}.*.csv")}


def forget(*names: str) -> None:
    """Take weights out of the lock: nothing is known of them on this machine any more."""
    lock = json.loads(LOCK_FILE.read_text())
    lock["weights"] = {name: facts for name, facts in lock["weights"].items() if name not in names}
    LOCK_FILE.write_text(json.dumps(lock))


@pytest.fixture
def project(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the made-up project as the working directory."""
    monkeypatch.chdir(shutil.copytree(sample, tmp_path / "project"))


@pytest.fixture
def one_configuration(project: None) -> None:
    """The same with config.yaml alone: everything is planned again for each other configuration."""
    for name in ("full", "all_modes"):
        Path(f"config/{name}.yaml").unlink()


@pytest.mark.usefixtures("one_configuration")
def test_files_of_models_whose_weights_are_not_known_here_are_no_orphans() -> None:
    before = set(orphans(load_config()))
    assert before == files_of("half_measured") & before and before, "only its stale cells"
    forget("little_draft.gguf")
    assert files_of("big_dense", "spec_*") and set(orphans(load_config())) == before
    forget("big_moe.gguf", "half_measured.gguf")
    assert files_of("big_moe") and set(orphans(load_config())) == set()


@pytest.mark.usefixtures("project")
def test_files_of_models_and_modes_that_are_gone_are_orphans_whatever_is_known_of_weights() -> None:
    forget("little_draft.gguf", "small.gguf", "half_measured.gguf", "big_dense.gguf")
    registry = Path("orchestration/model_registry.yaml")
    text = registry.read_text()
    assert text.count("compatible_targets:\n    - Sample\n") == 1
    text = text.replace("  small:\n", "  smaller:\n").replace("    - Sample\n", "    - Unheard\n")
    registry.write_text(text)
    config = load_config()
    lost = set(
        orphans(
            replace(config, models=tuple("smaller" if m == "small" else m for m in config.models))
        )
    )
    drafted = {file for file in files_of("big_*") if "spec_" in str(file)}
    assert drafted and lost == files_of("small") | drafted


@pytest.mark.usefixtures("one_configuration")
def test_cells_of_a_suite_that_no_role_names_are_no_orphans() -> None:
    config = load_config()
    named = replace(config, suites=("*", "spare"))
    shutil.copy(config.prompts / "math.yaml", config.prompts / "spare.yaml")
    before = set(orphans(config))
    for plan in load_plans(named):
        for mode in ("baseline", "lookup_n3"):
            shard = find_shard(plan, "small", mode)
            for file in (file for file in shard.cell_files if "/spare/" in file):
                Path(file).parent.mkdir(exist_ok=True)
                Path(file).write_text("{}")
    assert len([file for file in files_of("small") if file.parent.name == "spare"]) > 3
    assert set(orphans(config)) == before
    found = orphans(named)
    assert set(found) >= before and not [file for file in found if file.parent.name == "spare"]
    other = next(file for file in files_of("small", "baseline") if file.parent.name == "spare")
    stale = other.rename(other.with_name(f"{other.name.partition('.')[0]}.0123456789ab.json"))
    assert set(orphans(config)) == {*before, stale}


@pytest.mark.usefixtures("one_configuration")
def test_what_an_unfinished_shard_keeps_is_no_orphan() -> None:
    before = orphans(load_config())
    cell = next(Path(CELLS).glob(f"{HARDWARE}/small/baseline/*/*.json"))
    kept = cell.parents[1] / f".partial-embedded/{cell.parent.name}__{cell.name}"
    kept.parent.mkdir()
    kept.hardlink_to(cell)
    assert orphans(load_config()) == before


def test_which_modes_lack_weights() -> None:
    here, key = planner(ONE_MODEL), "worker_math"
    model, found = REGISTRY.models[key], here.weights
    plan = make_plan(here)
    baseline = find_shard(plan, key, "baseline").mode
    drafted = next(s.mode for s in plan.shards if s.model.key == key and s.mode.draft)
    assert drafted.draft is not None
    unknown, locked = Weights(None, Path("x"), False, False), replace(found[key], present=False)

    def lacking(**weights: Weights) -> list[bool]:
        changed = replace(here, weights=found | weights)
        return [changed.lacks_weights(model, mode) for mode in (baseline, drafted)]

    assert lacking() == [False, False]
    assert lacking(**{key: unknown}) == [True, True]
    assert lacking(**{drafted.draft: unknown}) == [False, True]
    assert lacking(**{drafted.draft: locked}) == [False, True], (
        "the target is here, its draft is not"
    )
    assert lacking(**{key: locked, drafted.draft: locked}) == [False, False], (
        "planned out of the lock"
    )
    assert lacking(**{key: replace(found[key], projector=unknown)}) == [True, True]
