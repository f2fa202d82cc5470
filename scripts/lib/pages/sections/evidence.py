"""RESULTS.md on what stands behind the numbers: machine, failures, different answers, strike-outs, what is not there."""

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
from scripts.lib.pages.sections.quality import setup_name
from scripts.lib.planning.left_out import MissingWeights
from scripts.lib.results.certificate import Exactness
from scripts.lib.results.review import ReviewRow
from scripts.lib.tables.profile_part import Missing, ProfilePart
from scripts.lib.tables.setups import Setup, is_scored

SHOWN_DIVERGENCES = 100
SHOWN_CHANGES = 3
SHOWN_REASONS = 50
SHOWN_DAMAGED = 100
# llama.cpp says what is wrong in its last lines.
ERROR_CHARACTERS = 600


def hardware_block(part: ProfilePart) -> str:
    """One line per fact of the environments that the cells refer to."""
    hardware, engine = part.plan.hardware, part.plan.engine
    lines = [
        f"- profile: {hardware.threads} threads, {hardware.batch_threads} for prompts, "
        f"CPUs {hardware.cpus or 'as found'}, NUMA {hardware.numa or 'as found'}",
        f"- engine: {engine.name}, llama-cpp-python {text(engine.version)}, source sha256 {code(engine.source_sha256[:12])}",
    ]
    for name, record in sorted(part.environments.items()):
        cpu, memory, system = record["cpu"], record["memory"], record["system"]
        lines.append(
            f"- environment {link(code(name), f'{ENVIRONMENTS}/{name}.json')}: {text(cpu['model'])}, "
            f"{cpu['physical_cores']} cores / {cpu['logical_cpus']} threads, {gibibytes(memory['total_bytes'])} GiB, "
            f"Linux {text(system['kernel'])}, {text(system['compiler'] or 'compiler unknown')}"
        )
    stale = sum(item.stale for item in part.missing)
    counts = ((stale, "stale"), (len(part.damaged), "damaged records"))
    said = "".join(f", {count} {what}" for count, what in counts if count)
    lines.append(f"- cells: {part.measured} of {part.planned} planned{said}")
    return "\n".join(lines)


def failures(part: ProfilePart) -> str:
    """Failed cells, those of one setup with the same words on one line."""
    groups: dict[tuple[str, str, str], tuple[Setup, list[str]]] = {}
    for c in part.setups:
        for row in (row for row in c.rows if row.status != "ok"):
            groups.setdefault((c.name, row.status, row.error), (c, []))[1].append(row.cell_file)
    rows = [
        [
            setup_name(c),
            f"{len(files)} of {len(c.rows)}",
            status,
            quoted(error, ERROR_CHARACTERS),
            link("cell", files[0]),
        ]
        for (_, status, error), (c, files) in groups.items()
    ]
    return table(rows, ("setup", "cells", "status", "the engine's words", "first"))


def unscored(part: ProfilePart) -> str:
    """Answers without a score, those with the same reason on one line."""
    groups: dict[str, list[tuple[Setup, ReviewRow]]] = {}
    for c in part.setups:
        for row in (row for row in c.rows if not is_scored(row)):
            groups.setdefault(row.score_reason, []).append((c, row))
    rows = [
        [
            quoted(reason, ERROR_CHARACTERS),
            str(len(found)),
            str(len({c.name for c, _ in found})),
            ", ".join(map(code, sorted({row.suite for _, row in found}))),
            link("cell", found[0][1].cell_file),
        ]
        for reason, found in sorted(groups.items(), key=lambda group: -len(group[1]))
    ]
    return limited(
        rows, ("why", "answers", "setups", "suites", "first"), SHOWN_REASONS, CELLS_TABLE
    )


def divergences(part: ProfilePart) -> str:
    """Speculative answers that differ from their base's, with the evidence; the lossy ones first."""
    found = [
        (c, row)
        for verdict in (Exactness.LOSSY, Exactness.NUMERIC_TIE)
        for c in part.setups
        for row in c.rows
        if row.certificate == verdict
    ]
    rows = [
        [
            code(c.model.key),
            code(c.mode.name),
            link(code(f"{row.suite}/{row.question_id}"), row.cell_file),
            row.certificate,
            str(row.divergence_token),
            number(row.divergence_gap_logits, 3)
            if row.divergence_gap_logits is not None
            else "≥ 1",
        ]
        for c, row in found
    ]
    headers = (
        "model",
        "mode",
        "question",
        "verdict",
        "first different token",
        "gap of the base's two best, logits",
    )
    return limited(rows, headers, SHOWN_DIVERGENCES, CELLS_TABLE)


def struck(part: ProfilePart) -> list[tuple[str, str]]:
    """What physics struck out, with the reason."""
    return [(setup_name(c), text(c.struck_out)) for c in part.setups if c.struck_out]


def missing_table(part: ProfilePart) -> str:
    """Planned cells that are not there, by model and reason: stale ones with what changed, others with why."""
    groups: dict[tuple[str, str], list[Missing]] = {}
    for item in part.missing:
        groups.setdefault((item.model, _why(item)), []).append(item)
    rows = [
        [
            code(model),
            code(items[0].mode) if len(items) == 1 else f"{len(items)} modes",
            f"{sum(item.count for item in items)} of {sum(item.planned for item in items)}",
            str(sum(item.stale for item in items) or DASH),
            why,
        ]
        for (model, why), items in groups.items()
    ]
    return table(rows, ("model", "mode", "cells missing", "of these stale", "why"))


def damaged_table(part: ProfilePart) -> str:
    """Stored records that are not what was written, each with what is wrong."""
    problems = dict.fromkeys(damage.problem for damage in part.damaged)
    rows = [
        [code(p.file), quoted(": ".join(filter(None, (p.place, p.message))), ERROR_CHARACTERS)]
        for p in problems
    ]
    return limited(rows, ("file", "what is wrong"), SHOWN_DAMAGED, DAMAGED_TABLE)


def _why(item: Missing) -> str:
    if item.stale:
        named = ", ".join(map(code, item.changed[:SHOWN_CHANGES]))
        more = (
            f" and {len(item.changed) - SHOWN_CHANGES} more"
            if len(item.changed) > SHOWN_CHANGES
            else ""
        )
        return f"changed since they were measured: {named}{more}"
    return "not measured yet" if item.can_run else f"{MissingWeights.ABSENT}: cannot run here"


def left_out(part: ProfilePart) -> list[tuple[str, dict[str, list[str]]]]:
    """What was left out: per reason the models, whole ones first, each with its modes (none: all of them).

    The modes of a model that is left out whole are not told again: `python -m scripts.plan
    --assume-present` does.
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
