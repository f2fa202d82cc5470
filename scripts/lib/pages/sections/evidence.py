"""RESULTS.md on the evidence: machine, failures, divergences, struck-out and missing values."""

from __future__ import annotations

from scripts.lib.base.layout import CELLS_TABLE, DAMAGED_TABLE, ENVIRONMENTS
from scripts.lib.base.markdown import (
    DASH,
    code,
    gibibytes,
    limited,
    link,
    number,
    quoted,
    table,
    text,
)
from scripts.lib.pages.sections.quality import mode_name, setup_name, workload_name
from scripts.lib.planning.left_out import MissingWeights
from scripts.lib.results.certificate import DIVERGENT, Exactness
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.results.states import MissingCells
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup, is_scored

SHOWN_DIVERGENCES = 100
SHOWN_CHANGES = 3
SHOWN_REASONS = 50
SHOWN_DAMAGED = 100
# Enough for the last lines of llama.cpp, which say what is wrong.
ERROR_CHARACTERS = 600


def hardware_block(part: ProfilePart) -> str:
    """One line per fact of the environments that the cells refer to."""
    hardware, engine = part.plan.hardware, part.plan.engine
    lines = [
        f"- profile: {hardware.threads} threads, {hardware.batch_threads} for prompts, "
        f"CPUs {hardware.cpus or 'not pinned'}, NUMA {hardware.numa or 'default'}",
        f"- engine: {engine.name}, llama-cpp-python {text(engine.version)}, "
        f"source sha256 {code(engine.source_sha256[:12])}",
    ]
    for name, record in sorted(part.environments.items()):
        cpu, system = record["cpu"], record["system"]
        facts = (
            text(cpu["model"]),
            f"{cpu['physical_cores']} cores / {cpu['logical_cpus']} threads",
            f"{gibibytes(record['memory']['total_bytes'])} GiB",
            f"Linux {text(system['kernel'])}",
            text(system["compiler"] or "compiler unknown"),
        )
        file = link(code(name), f"{ENVIRONMENTS}/{name}.json")
        lines.append(f"- environment {file}: {', '.join(facts)}")
    cells = f"- cells: {part.measured} of {part.planned} planned"
    stale = sum(item.stale for item in part.missing)
    if stale:
        cells += f", {stale} stale"
    if part.damaged:
        cells += f", {len(part.damaged)} damaged records"
    return "\n".join([*lines, cells])


def failures(part: ProfilePart) -> str:
    """Failed cells; those of one setup with the same message on one line."""
    rows = []
    for c in part.setups:
        groups: dict[tuple[str, str], list[str]] = {}
        for row in c.all_rows:
            if row.status != "ok":
                groups.setdefault((row.status, row.error), []).append(row.cell_file)
        for (status, error), files in groups.items():
            counted, message = f"{len(files)} of {len(c.all_rows)}", quoted(error, ERROR_CHARACTERS)
            rows.append([setup_name(c), counted, status, message, link("cell", files[0])])
    return table(rows, ("setup", "cells", "status", "message", "first"))


def unscored(part: ProfilePart) -> str:
    """Answers without a score; those with the same reason on one line."""
    groups: dict[str, list[tuple[Setup, ReviewRow]]] = {}
    for c in part.setups:
        for row in c.rows:
            if not is_scored(row):
                groups.setdefault(row.score_reason, []).append((c, row))
    rows = []
    for reason, found in sorted(groups.items(), key=lambda group: -len(group[1])):
        setups = {c.name for c, _ in found}
        suites = ", ".join(map(code, sorted({row.suite for _, row in found})))
        why, first = quoted(reason, ERROR_CHARACTERS), link("cell", found[0][1].cell_file)
        rows.append([why, str(len(found)), str(len(setups)), suites, first])
    headers = ("why", "answers", "setups", "suites", "first")
    return limited(rows, headers, SHOWN_REASONS, CELLS_TABLE)


def divergences(part: ProfilePart) -> str:
    """Speculative answers that differ from their base's, the lossy ones first."""
    rows = [
        _divergence(c, row)
        for verdict in DIVERGENT
        for c in part.setups
        for row in c.rows
        if row.certificate == verdict
    ]
    headers = ("model", "mode", "question", "verdict", "first different token")
    headers_of_all = (*headers, "gap of the base's two best, logits")
    return limited(rows, headers_of_all, SHOWN_DIVERGENCES, CELLS_TABLE)


def _divergence(c: Setup, row: ReviewRow) -> list[str]:
    gap = "≥ 1" if row.divergence_gap_logits is None else number(row.divergence_gap_logits, 3)
    return [
        code(c.model.key),
        mode_name(c),
        link(code(f"{row.suite}/{row.question_id}"), row.cell_file),
        row.certificate,
        str(row.divergence_token),
        # For a token that was sampled at random, the gap means nothing.
        DASH if row.certificate == Exactness.DIFFERS else gap,
    ]


def struck(part: ProfilePart) -> list[tuple[str, str]]:
    """What physics struck out, with the reason: setups, or single workloads of possible ones."""
    found = []
    for c in part.setups:
        if c.struck_out:
            found.append((setup_name(c), text(c.struck_out)))
            continue
        for name, on in c.by_workload.items():
            if on.struck_out:
                found.append((f"{setup_name(c)} on {workload_name(name)}", text(on.struck_out)))
    return found


def missing_table(part: ProfilePart) -> str:
    """Planned cells that are missing, by model and reason; for stale ones, what changed."""
    groups: dict[tuple[str, str], list[MissingCells]] = {}
    for item in part.missing:
        groups.setdefault((item.shard.model.key, _why(item)), []).append(item)
    rows = []
    for (model, why), items in groups.items():
        modes = code(items[0].shard.mode.name) if len(items) == 1 else f"{len(items)} modes"
        missing = sum(item.count for item in items)
        planned = sum(len(item.shard.cells) for item in items)
        stale = str(sum(item.stale for item in items) or DASH)
        rows.append([code(model), modes, f"{missing} of {planned}", stale, why])
    return table(rows, ("model", "mode", "cells missing", "of these stale", "why"))


def damaged_table(part: ProfilePart) -> str:
    """Stored records that were changed after they were written, each with what is wrong."""
    problems = dict.fromkeys(damage.problem for damage in part.damaged)
    rows = [
        [code(p.file), quoted(": ".join(filter(None, (p.place, p.message))), ERROR_CHARACTERS)]
        for p in problems
    ]
    return limited(rows, ("file", "what is wrong"), SHOWN_DAMAGED, DAMAGED_TABLE)


def _why(item: MissingCells) -> str:
    if item.stale:
        named = ", ".join(map(code, item.changed[:SHOWN_CHANGES]))
        more = len(item.changed) - SHOWN_CHANGES
        and_more = f" and {more} more" if more > 0 else ""
        return f"changed since they were measured: {named}{and_more}"
    if not item.shard.has_weights:
        return f"{MissingWeights.ABSENT}: cannot run here"
    return "not measured yet"


def left_out(part: ProfilePart) -> list[tuple[str, dict[str, list[str]]]]:
    """What was left out: reason -> model -> modes; whole models first, without modes.

    `python -m scripts.plan --assume-present` lists the modes of such models, too.
    """
    whole = {item.model for item in part.plan.left_out if item.is_model}
    items = [item for item in part.plan.left_out if item.is_model or item.model not in whole]
    groups: dict[str, dict[str, list[str]]] = {}
    for item in sorted(items, key=lambda item: not item.is_model):
        absent = item.weights is MissingWeights.ABSENT
        reason = MissingWeights.ABSENT if absent else item.reason
        modes = groups.setdefault(reason, {}).setdefault(item.model, [])
        modes += [] if item.is_model else [item.place]
    return list(groups.items())
