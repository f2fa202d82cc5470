"""Probes of known quirks, against the real engine: each tells whether its quirk is still there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.execution.probes import planned_probes, run_probe
from scripts.lib.llama_build.build import server_binary
from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.registry_loader import Quirk
from scripts.lib.results.probe_outcomes import (
    ProbeOutcome,
    probe_file,
    read_outcomes,
    store_outcome,
)
from tests.factories.plans import COMMA, tiny_planner

FLAG = Quirk("flag", "g", "removed", probe="flag_absent", probe_argument="--draft-max")
BOS = Quirk(
    "bos", "g", "comma", applies_to=("Coder-*",), probe="bos_matches", probe_argument="draft"
)
SILENT_DRAFT = Quirk(
    "type", "g", "silent", probe="draft_without_type_is_silent", probe_argument="plain"
)
OVERRIDE = Quirk(
    "override", "g", "silent", probe="wrong_override_is_silent", probe_argument="plain"
)
CELLS = Quirk("cells", "g", "unstable", probe="output_not_degenerate", probe_argument="moe2")


def outcome(tmp_path: Path, quirk: Quirk, **changes: int) -> ProbeOutcome:
    return run_probe(
        quirk, tiny_planner(tmp_path, quirk, **changes), server_binary(), tmp_path / "server.log"
    )


def test_a_flag_that_is_gone_and_one_that_is_there(tmp_path: Path) -> None:
    gone, there = (
        outcome(tmp_path, FLAG),
        outcome(tmp_path, replace(FLAG, probe_argument="--spec-type")),
    )
    assert gone.holds and "does not list --draft-max" in gone.evidence
    assert there.holds is False and gone.engine_version == engine_identity("server").version


def test_bos_ids_are_compared_from_the_headers(tmp_path: Path) -> None:
    differ, agree = outcome(tmp_path / "a", BOS), outcome(tmp_path / "b", BOS, draft_bos=COMMA)
    assert differ.holds and "BOS of draft: 1; of its targets: coder 300" in differ.evidence
    assert agree.holds is False


def test_a_draft_without_a_type_drafts_nothing(tmp_path: Path) -> None:
    found = outcome(tmp_path, SILENT_DRAFT)
    assert found.holds and found.evidence.endswith(", 0 drafted")


def test_a_wrong_override_key_is_ignored_without_a_word(tmp_path: Path) -> None:
    found = outcome(tmp_path, OVERRIDE)
    assert found.holds and "without a warning" in found.evidence


def test_only_what_is_here_is_probed(tmp_path: Path) -> None:
    elsewhere = replace(OVERRIDE, id="elsewhere", probe_argument="absent")
    no_target = replace(BOS, id="no_target", applies_to=("Nobody-*",))
    planner = tiny_planner(
        tmp_path, FLAG, BOS, CELLS, elsewhere, no_target, Quirk("none", "g", "unprobed")
    )
    assert [quirk.id for quirk in planned_probes(planner).values()] == ["flag", "bos"]


def test_an_outcome_is_kept_by_what_it_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe_file(FLAG) != probe_file(replace(FLAG, probe_argument="--lookup"))
    assert probe_file(FLAG) == probe_file(replace(FLAG, issue="other words"))
    found = outcome(tmp_path, FLAG)
    monkeypatch.setattr("scripts.lib.results.probe_outcomes.PROBES", tmp_path / "probes")
    store_outcome(probe_file(FLAG), found)
    registry = tiny_planner(tmp_path, FLAG).registry
    assert read_outcomes(registry) == {"flag": found}
    assert json.loads(probe_file(FLAG).read_text())["holds"] is True
    probe_file(FLAG).write_text(probe_file(FLAG).read_text().replace("true", "false"))
    assert read_outcomes(registry) == {}, "an outcome that was changed is none"
