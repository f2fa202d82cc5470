"""Randomly mutated stored records are read as they were written, or named as damaged.

`EPYC_TEST_FUZZ=100000 pytest tests/faults/test_fuzz_records.py` tries that many mutations a record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import RUNS
from scripts.lib.base.stored_json import Damaged, stored_text
from scripts.lib.execution.run_record import OUTPUT, RunRecord, read_rows
from scripts.lib.judging.batch import Batch, BatchFile
from scripts.lib.machine.environment_record import environment_record, store_environment
from scripts.lib.planning.cell_record import parse_named_cell
from scripts.lib.planning.disk import LOCK_FILE
from scripts.lib.results.probe_outcomes import ProbeOutcome, parse_outcome, store_outcome
from scripts.lib.results.review_rows import read_review, to_csv
from scripts.lib.scoring.judge_prompt import Material
from scripts.lib.scoring.rubric import CriterionScore, QuestionScore
from scripts.lib.scoring.series import Item, Reply, Role
from scripts.lib.scoring.verdict_store import (
    BatchRecord,
    ItemOutcome,
    JudgeVerdict,
    parse_batch,
    parse_verdict,
)
from scripts.lib.weights.facts import WeightsLock, facts_from_json
from tests.factories.checkout import ROOT
from tests.factories.results_trees import ENVIRONMENT, cell, cells, review_row

SEEDS = range(int(os.environ.get("EPYC_TEST_FUZZ", "2000")))
RUN = "2026-11-24_100000"
# What merges, editors and JSON's own corners bring in.
TOKENS = (
    b"NaN",
    b"Infinity",
    b"-1",
    b"1e999",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"9",
    b"0",
    b"\x00",
    b"\xff",
    b"\\ud800",
    b"<<<<<<< HEAD\n",
    b"=======\n",
    b">>>>>>> theirs\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"," * 3,
    b"[" * 2000,
    b'"sha256": "0",',
)


def mutated(content: bytes, chance: Random) -> bytes:
    """The content with one to four changes: a byte, a token, a piece removed, moved or doubled."""
    made = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(made) + 1)
        length = min(chance.choice((1, 1, 2, 8, 64, 512)), len(made) - place)
        kind = chance.randrange(5)
        if kind == 0 and length:
            made[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del made[place : place + length]
        elif kind == 2:
            made[place:place] = made[place : place + length]
        elif kind == 3:
            made[place:place] = chance.choice(TOKENS)
        else:
            made[place : place + length] = chance.choice(TOKENS)
    return bytes(made)


def a_cell(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    record = cell("q0", 20.0, answer="Yes: ü {}\n")
    file = folder / "cells" / record.place
    file.parent.mkdir(parents=True)
    file.write_text(record.to_json())
    return file, lambda path: parse_named_cell(stored_text(path.read_bytes(), str(path)), path)


def a_review(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    rows = [
        review_row(
            suite="one", question_id=f"q{n}", score=n, passed=n > 1, cell_file=f"c/q{n}.json"
        )
        for n in range(4)
    ]
    file = folder / "baseline.csv"
    file.write_text(to_csv(rows))
    return file, read_review


def an_environment(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    file = folder / f"{store_environment(ENVIRONMENT, folder)}.json"
    return file, lambda path: environment_record(
        stored_text(path.read_bytes(), str(path)), str(path)
    )


def a_probe(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    file = folder / "quirk.json"
    store_outcome(file, ProbeOutcome("quirk", "flag_absent", "--flag", "0.3", True, "listed"))
    return file, lambda path: parse_outcome(stored_text(path.read_bytes(), str(path)), str(path))


def a_verdict(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    scored = QuestionScore((CriterionScore("says yes", 100.0, True, "it says yes", "yes"),))
    made = JudgeVerdict(
        "d" * 16,
        "claude-x",
        "p" * 16,
        "b" * 16,
        Role.PAIR,
        "one/q0",
        scored,
        False,
        Reply("yes"),
        "2026-11-24",
    )
    file = folder / "verdict.json"
    file.write_text(made.to_json())
    return file, lambda path: parse_verdict(stored_text(path.read_bytes(), str(path)), str(path))


def a_batch(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    item = ItemOutcome("d" * 16, "p" * 16, Role.PAIR, "one/q0", "", None, 3, "", True)
    made = BatchRecord(
        "b" * 16, "claude-x", "accepted", (), (item, item), 0.01, "2026-11-24", "2026-11-24"
    )
    file = folder / "batch.json"
    file.write_text(made.to_json())
    return file, lambda path: parse_batch(stored_text(path.read_bytes(), str(path)), str(path))


def a_batch_in_hand(folder: Path) -> tuple[Path, Callable[[Path], Any]]:
    shown = Material("Is it so?", "Yes.", (("says yes", 100),), "yes", False)
    file = BatchFile(folder / "open.json")
    file.create(Batch("b" * 16, "2026-11-24", (Item("d" * 16, Role.PAIR, "one/q0", shown),)))
    file.write({"id": "msgbatch_1"})
    return folder / "open.json", lambda path: (BatchFile(path).load(), BatchFile(path).read())


KINDS = (a_cell, a_review, an_environment, a_probe, a_verdict, a_batch, a_batch_in_hand)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_record_is_read_as_it_was_written_or_not_at_all(
    kind: Callable[[Path], tuple[Path, Callable[[Path], Any]]], tmp_path: Path
) -> None:
    file, read = kind(tmp_path)
    content, written = file.read_bytes(), read(file)
    refused = 0
    for seed in SEEDS:
        file.write_bytes(mutated(content, Random(seed)))
        try:
            found = read(file)
        except Damaged:
            refused += 1
        else:
            # Each row of a review has its seal; that one is gone is told by its cell
            # (`review_check`).
            same = set(found) <= set(written) if kind is a_review else found == written
            assert same, f"seed {seed}: another record was believed"
    assert refused > len(SEEDS) / 2


def test_mutated_lines_of_a_runs_record_leave_themselves_out(tmp_path: Path) -> None:
    recorder = RunRecord(tmp_path, RUN, {})
    for record in [*cells([10.0, 20.0, None]), replace(cell("q9", 9.0), status="timeout")]:
        recorder.add(record)
    file = tmp_path / RUNS / RUN / OUTPUT
    content, written = file.read_bytes(), read_rows(file.parent).rows
    damaged = 0
    for seed in SEEDS:
        file.write_bytes(mutated(content, Random(seed)))
        found = read_rows(file.parent)
        assert all(row in written for row in found.rows), f"seed {seed}: another row was believed"
        damaged += bool(found.damaged)
    assert damaged > len(SEEDS) / 2


def test_mutated_entries_of_the_weights_lock_leave_themselves_out(tmp_path: Path) -> None:
    file = tmp_path / "weights.lock.json"
    entry = json.loads((ROOT / LOCK_FILE).read_text())["weights"]["SmolLM2-135M-Instruct.Q4_1.gguf"]
    facts = facts_from_json(entry["facts"])
    WeightsLock(file, {"a.gguf": facts, "b.gguf": facts}).save()
    content = file.read_bytes()
    refused = 0
    for seed in SEEDS:
        file.write_bytes(mutated(content, Random(seed)))
        try:
            lock = WeightsLock.load(file)
        except BenchError:
            refused += 1
            continue
        assert all(found == facts for found in lock.entries.values()), (
            f"seed {seed}: another entry was believed"
        )
        refused += bool(lock.problems)
    assert refused > len(SEEDS) / 2
