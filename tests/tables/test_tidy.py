"""The tidy tables: pandas reads them, and the data dictionary names exactly their columns."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from scripts.lib.base.layout import TABLE_NAMES
from scripts.lib.results.review_rows import COLUMNS
from scripts.lib.tables.tidy import TIDY

DICTIONARY = Path("docs/reference/tables.md")


def documented() -> dict[str, list[str]]:
    """Table -> the columns that the data dictionary explains, in order."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", DICTIONARY.read_text(encoding="utf-8"), flags=re.M)[1:]:
        name = re.match(r"`(\w+)\.csv`", part)
        if name:
            cells = re.findall(r"^\| (`[^|]+`) \|", part, flags=re.M)
            found[name[1]] = [column for cell in cells for column in re.findall(r"`(\w+)`", cell)]
    return found


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_the_data_dictionary_names_every_column(name: str, sample: Path) -> None:
    frame = pd.read_csv(sample / f"benchmarks/results/tables/{name}.csv")
    assert documented()[name] == list(frame.columns) == list(TIDY[name][0])


def test_snakemake_and_the_dictionary_know_every_table() -> None:
    assert tuple(TIDY) == TABLE_NAMES == tuple(documented())


def test_the_tables_agree_with_each_other(sample: Path) -> None:
    table = {
        name: pd.read_csv(sample / f"benchmarks/results/tables/{name}.csv") for name in TABLE_NAMES
    }
    cells, modes, workloads, acceptance, speculators = (
        table[name] for name in ("cells", "modes", "workloads", "acceptance", "speculators")
    )
    suites, roles, reductions = (table[name] for name in ("suites", "roles", "reductions"))
    assert all(table[name].empty for name in ("damaged", "depths", "variants"))
    assert set(COLUMNS) < set(cells.columns)
    key = ["hardware", "engine", "model", "mode"]
    counted = cells.groupby(key).size()
    assert counted.to_dict() == modes.set_index(key)["cells"].to_dict()
    answered = cells[cells.status == "ok"].dropna(subset=["workload"])
    on = [*key, "workload"]
    speeds = answered.groupby(on)["decode_tokens_per_s"].median()
    told = workloads.dropna(subset=["decode_tokens_per_s_median"]).set_index(on)
    assert told["decode_tokens_per_s_median"].to_dict() == pytest.approx(speeds.to_dict(), abs=1e-6)
    assert set(cells[cells.workload.notna()].suite) == {"workload"}
    slowest, fastest = (getattr(speeds.groupby(key), end)() for end in ("min", "max"))
    over_all = modes.set_index(key)["decode_tokens_per_s_median"].dropna()
    assert set(over_all.index) == set(slowest.index)
    assert all(slowest[c] - 1e-6 <= speed <= fastest[c] + 1e-6 for c, speed in over_all.items())
    short = answered[answered.symptoms.fillna("").str.contains("ended early")]
    early = workloads[workloads.ended_early > 0].set_index(on)["ended_early"]
    assert early.to_dict() == short.groupby(on).size().to_dict() and len(early)
    base = modes[modes.quality_row == modes["mode"]].set_index(key)
    counted = suites[suites.suite != "workload"]
    assert counted.groupby(key)["passed"].sum().to_dict() == base["passed"].to_dict()
    best = roles[roles["rank"] == 1].set_index("role")
    assert (
        best.loc["coder", "model"] == "big_moe"
        and best.loc["architect", "way"] == "moe8_spec_little_draft_k2"
    )
    told = answered[answered.accepted_by_position.notna()]
    steps = told.groupby(key)["verify_steps"].sum()
    assert acceptance.groupby(key)["verify_steps"].first().to_dict() == steps.to_dict()
    # Every accepted token was accepted at one position, and of one speculator's draft.
    kept = told.groupby(key)["accepted_tokens"].sum().to_dict()
    assert acceptance.groupby(key)["accepted"].sum().to_dict() == kept
    everywhere = cells[(cells.status == "ok") & cells.accepted_by_position.notna()]
    kept = everywhere.groupby(key)["accepted_tokens"].sum().to_dict()
    assert speculators.groupby(key)["accepted_tokens"].sum().to_dict() == kept
    assert "hostile" not in set(acceptance["model"]), "its cells are older ones"
    told = acceptance.dropna(subset=["share_low"])
    assert len(told) > 50 and (told["share_low"] <= told["share_high"]).all()
    assert roles[roles["rank"].isna()]["not_ranked"].str.len().min() > 10
    assert (reductions["difference_low"] <= reductions["difference"]).all()
    assert (reductions["difference"] <= reductions["difference_high"]).all()


def test_impossible_and_half_scored_rows_say_why_they_are_not_ranked(sample: Path) -> None:
    modes = pd.read_csv(
        sample / "benchmarks/results/tables/modes.csv", keep_default_na=False
    ).set_index(["model", "mode"])
    assert "more than the memory's 460 GB/s" in modes.loc[("too_fast", "baseline"), "struck_out"]
    assert modes.loc[("too_fast", "lookup_n3"), "struck_out"] == "its base baseline is struck out"
    assert "have no score" in modes.loc[("half_measured", "baseline"), "not_ranked"]
    assert modes.loc[("big_moe", "baseline"), "not_ranked"] == ""
