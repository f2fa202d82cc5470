"""An edited cell in a real project: the run reports it and goes on; once mended, it is shown."""

from __future__ import annotations

from tests.factories.tiny_project import Project

DAMAGED = "benchmarks/results/tables/damaged.csv"


def test_an_edited_cell_is_told_until_it_is_restored_or_measured_again(finished: Project) -> None:
    page = finished.report
    name, text = next(
        (name, text) for name, text in finished.cells().items() if "tiny_a/baseline/one/q1" in name
    )
    file = finished.folder / "benchmarks/results/cells" / name
    table = finished.folder / DAMAGED
    assert table.read_text() == "file,place,problem,review\n"

    file.write_text(text.replace('"answer": "', '"answer": "yes ', 1))
    told = finished.snakemake("results")
    said = f"benchmarks/results/cells/{name}: damaged: its content does not have its sha256"
    assert told.returncode == 1 and said in told.stderr and "retry_failed" in told.stderr, (
        told.stderr
    )
    assert name in table.read_text() and "damaged records" in finished.report
    assert finished.cells()[name] != text, "nothing is measured again unasked"
    # Other models are shown as before, the damaged answer is not.
    cells = (finished.folder / "benchmarks/results/tables/cells.csv").read_text()
    assert name not in cells and "tiny_b" in cells
    assert finished.snakemake("tabulate").returncode == 1, "it is not forgotten"

    # Where a run makes no tables, it still says so.
    assert said in finished.snakemake("results_tiny_a").stderr
    assert finished.snakemake("results_tiny_b").returncode == 0

    file.write_text(text)
    mended = finished.snakemake("results")
    assert mended.returncode == 0, mended.stderr
    assert finished.report == page and name not in table.read_text()

    file.write_text(text[:100])
    again = finished.snakemake("retry_failed", "--until", "infer_embedded_tiny_a_baseline")
    assert again.returncode == 0 and "dropped 1 failed or damaged cells" in again.stderr, (
        again.stderr
    )
    assert name in finished.cells() and finished.cells()[name] not in (text, text[:100])
    verified = finished.call("scripts.verify")
    assert verified.stdout.splitlines()[0].endswith(": 0 damaged"), verified.stderr


def test_what_cannot_be_read_leaves_itself_out_of_every_command(finished: Project) -> None:
    results = finished.folder / "benchmarks/results"
    victims = [
        next((results / "cells").glob("*/tiny_a/lookup_n3/*/*.json")),
        next((results / "environments").glob("*.json")),
        next((results / "runs").glob("*/output.jsonl")),
        next((results / "reviews").glob("*/tiny_b/baseline.*.csv")),
    ]
    for victim in victims:
        victim.write_bytes(b"\xff\xfe<<<<<<< HEAD\n")
    runs = sorted(folder.name for folder in (results / "runs").iterdir())
    commands: list[tuple[str, ...]] = [
        ("scripts.tabulate",),
        ("scripts.render",),
        ("scripts.cells", "preview"),
        ("scripts.history",),
        ("scripts.environment", "show"),
        ("scripts.compare", runs[0], "folder:."),
    ]
    for command in commands:
        done = finished.call(*command)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        assert done.returncode in (0, 1), (command, done.stderr)
    shown = finished.call("scripts.cells", "preview").stdout
    assert "1 damaged" in shown
    verified = finished.run("python", "-m", "scripts", "verify")
    for victim in victims:
        assert str(victim.relative_to(finished.folder)) in verified.stderr, verified.stderr
    scored = finished.call("scripts.score_benchmarks")
    assert (
        scored.returncode == 0 and str(victims[3].relative_to(finished.folder)) in scored.stdout
    ), scored.stderr
