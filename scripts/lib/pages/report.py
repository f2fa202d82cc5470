"""report.html: one file with the tables, answers side by side, scores with reasons, and pictures.

The page loads nothing from elsewhere. A model's text is data: it is in elements that it cannot
close, and the page's script shows it only as text. Equal answers to a question are stored once, and
the answers to a question are packed. An answer is cut after `ANSWER_LIMIT` characters; the page
links to its cell, which has all of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.base.layout import PICTURE_NAMES
from scripts.lib.base.templates import render
from scripts.lib.pages.compact import compact_column, compact_estimate, packed
from scripts.lib.pages.first_screen import first_screen
from scripts.lib.pages.sections.speed import SHOWN_POSITIONS
from scripts.lib.pages.setup_record import LinePool, read_cell_file, setup_record
from scripts.lib.pages.vendored import vendored_scripts
from scripts.lib.prompts.loader import Question
from scripts.lib.results.review_rows import COLUMNS, ReviewRow
from scripts.lib.tables.fidelity import Fidelity
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import RoleRanking, unrankable
from scripts.lib.tables.setups import Setup

# The page's own scripts, in the folder `report` beside its template. The first one makes what the
# others use; the charting library stands between them.
SCRIPTS = ("report.js", "word_diff.js", "setup_page.js", "first_screen.js")
ANSWER_LIMIT, PROMPT_LIMIT = 8_000, 2_000
SCORES = tuple(column for column in COLUMNS if column.endswith("_score"))
DESCRIPTIONS: Mapping[str, str] = {
    "quality-speed": "Pass rate against decode speed in the fastest proved way, with 95 % "
    "intervals and the Pareto front",
    "workloads": "Speed-up by mode and workload, with 95 % intervals; a panel for each model",
    "speculation": "Speed-up and acceptance against K (draft models and heads) and n (prompt "
    "lookup), and of the other n-gram speculators",
    "acceptance": "Share of the verified batches that accepted the first, second, … token of the "
    "draft, by setup",
    "roofline": "Decode speed against bytes read per token, and the memory's bandwidth",
    "depth": "Speed and memory against the depth, the tokens of text before a question",
    "fidelity": "Divergence from the reference against the size of the weights and against decode "
    "speed, with the Pareto fronts",
    "suites": "Pass rate by setup and suite",
}


@dataclass
class Pool:
    """Questions and their different answers: each stored once and named by its index."""

    questions: list[dict[str, Any]] = field(default_factory=list)
    answers: list[list[list[Any]]] = field(default_factory=list)
    _question_at: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _answer_at: list[dict[str, int]] = field(default_factory=list)

    def question(self, suite: str, name: str, asked: Question | None) -> int:
        """The index of a question; if it was asked in two wordings, each has an index."""
        prompt = asked.with_turns(asked.prompt_text()) if asked is not None else ""
        key = (suite, name, prompt)
        if key not in self._question_at:
            self._question_at[key] = len(self.questions)
            tier = asked.tier if asked is not None else None
            self.questions.append(
                {"suite": suite, "id": name, "tier": tier, "prompt": _cut(prompt, PROMPT_LIMIT)}
            )
            self.answers.append([])
            self._answer_at.append({})
        return self._question_at[key]

    def answer(self, question: int, value: list[Any]) -> int:
        """The index of an answer, with its scores, among the question's answers."""
        known, key = self._answer_at[question], json.dumps(value)
        if key not in known:
            known[key] = len(self.answers[question])
            self.answers[question].append(value)
        return known[key]


def _cut(text: str, limit: int) -> str:
    more = len(text) - limit
    return f"{text[:limit]}\n… cut: {more:,} characters more" if more > 0 else text


def _stored_answer(cell: Mapping[str, Any]) -> str:
    measured = cell["measurement"]
    return _cut(measured["answer"], ANSWER_LIMIT) if measured else ""


def _cells(
    rows: Sequence[ReviewRow],
    stored: Sequence[Mapping[str, Any]],
    asked: Mapping[tuple[str, str], Question],
    pool: Pool,
) -> dict[str, Any]:
    """The answers of a setup, column by column; `stored` are the rows' cells."""
    questions = [
        pool.question(row.suite, row.question_id, asked.get((row.suite, row.question_id)))
        for row in rows
    ]
    answers = [
        pool.answer(at, _answer(row, cell))
        for at, row, cell in zip(questions, rows, stored, strict=True)
    ]
    columns: dict[str, Sequence[Any]] = {
        "question": questions,
        "answer": answers,
        "repeat": [row.repeat for row in rows],
        "score": [row.score for row in rows],
        "coverage": [row.coverage for row in rows],
        "status": [row.status for row in rows],
        "finish": [row.finish_reason for row in rows],
        "decode": [row.decode_tokens_per_s and round(row.decode_tokens_per_s, 2) for row in rows],
        "ttft": [row.ttft_s and round(row.ttft_s, 3) for row in rows],
        "tokens": [row.completion_tokens for row in rows],
        "certificate": [row.certificate for row in rows],
        "token": [row.divergence_token for row in rows],
        "gap": [row.divergence_gap_logits for row in rows],
        "digest": [Path(row.cell_file).name.rsplit(".", 2)[-2] for row in rows],
    }
    return {"count": len(rows)} | {name: compact_column(values) for name, values in columns.items()}


def _answer(row: ReviewRow, cell: Mapping[str, Any]) -> list[Any]:
    """[answer, reason of its score, error, symptoms, {scorer's column: score}]."""
    scores = {name: value for name in SCORES if (value := getattr(row, name)) is not None}
    return [
        _stored_answer(cell),
        row.score_reason,
        row.error,
        "; ".join(row.symptoms),
        scores,
    ]


def _positions(c: Setup) -> list[float | None]:
    """The share accepted at each of the shown positions; None if it is not known."""
    found = (c.position(place) for place in SHOWN_POSITIONS)
    shares = (position.share if position is not None else None for position in found)
    return [round(share.value, 4) if share is not None else None for share in shares]


def _up(c: Setup) -> list[float | int | None] | None:
    return compact_estimate(c.speed_up.estimate if c.speed_up is not None else None)


def _setup(
    c: Setup, asked: Mapping[tuple[str, str], Question], pool: Pool, lines: LinePool
) -> dict[str, Any]:
    found = c.passes
    rows = sorted(c.rows, key=lambda row: (row.suite, row.question_id, row.repeat))
    stored = [read_cell_file(row.cell_file) for row in rows]
    return {
        "model": c.model.key,
        "quant": c.model.quant,
        "mode": c.mode.name,
        "roles": list(c.model.candidate_roles),
        "row": c.mode.quality_row,
        "speculative": c.mode.speculative,
        "passed": found.passed,
        "scored": found.scored,
        "planned": c.planned,
        "failed": len(c.rows) - len(c.answered),
        "coverage": round(found.coverage, 4),
        "rate": compact_estimate(c.quality),
        "decode": compact_estimate(c.decode),
        "ttft": compact_estimate(c.ttft),
        "up": _up(c),
        "early": c.ended_early,
        "workloads": {
            name: {"decode": compact_estimate(on.decode), "up": _up(on), "struck": on.struck_out}
            for name, on in c.by_workload.items()
        },
        "acceptance": compact_estimate(c.acceptance),
        "positions": _positions(c),
        "leave": c.leave,
        "certificate": c.certificate.value if c.mode.speculative else "",
        "struck": c.struck_out,
        "note": "" if c.mode.speculative else unrankable(c),
        "folder": c.folder,
        "record": setup_record(c, stored, lines),
        "cells": _cells(rows, stored, asked, pool),
    }


def _role(ranking: RoleRanking, places: Mapping[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": ranking.role,
        "suites": list(ranking.suites),
        "way": None,
        "rate": None,
        "candidates": len(ranking.candidates),
        "tied": [],
    }
    if ranking.candidates and ranking.candidates[0].quality.value > 0:
        best = ranking.candidates[0]
        found["way"], found["rate"] = places[best.way.name], compact_estimate(best.quality)
        found["tied"] = [places[candidate.row.name] for candidate in ranking.tied]
    return found


def _fidelity(one: Fidelity) -> dict[str, Any]:
    """A configuration against its reference."""
    setup = one.setup
    return {
        "model": one.model.key,
        "quant": one.model.quant,
        "mode": one.mode.name,
        "reference": one.reference_name,
        "bytes": one.weights_bytes,
        "kl": compact_estimate(one.kl, 8),
        "answers": compact_estimate(one.kl_of_answers, 8),
        "upper": compact_estimate(one.kl_upper, 8),
        "first": compact_estimate(one.same_first, 6),
        "perplexity": compact_estimate(one.perplexity_ratio, 6),
        "rate": compact_estimate(setup.quality) if setup is not None else None,
        "decode": compact_estimate(setup.decode) if setup is not None else None,
        "failed": len(one.failed),
        "verdict": one.together,
    }


def _part(part: ProfilePart, pool: Pool, lines: LinePool) -> dict[str, Any]:
    asked = {
        (c.question.suite, c.question.id): c.question
        for shard in part.plan.shards
        for c in shard.cells
    }
    rank = {row.name: place for place, row in enumerate(part.rows)}
    ordered = sorted(part.setups, key=lambda c: rank.get((c.base or c).name, len(rank)))
    places = {c.name: place for place, c in enumerate(ordered)}
    return {
        "name": part.name,
        "workloads": part.workloads,
        "setups": [_setup(c, asked, pool, lines) for c in ordered],
        "roles": [_role(ranking, places) for ranking in part.rankings],
        "fidelity": [_fidelity(one) for one in part.fidelities],
        "first": first_screen(part, ordered),
    }


def _digest(text: str) -> str:
    """A source expression of a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _picture_names(part: ProfilePart) -> list[str]:
    """The pictures of a part, without those of depth and fidelity where nothing was measured."""
    empty = {
        name for name, has in (("depth", part.depths), ("fidelity", part.fidelities)) if not has
    }
    return [name for name in PICTURE_NAMES if name not in empty]


def _picture(name: str, svg: str) -> dict[str, str]:
    """A picture as a data URL, with its description."""
    data = base64.b64encode(svg.encode()).decode()
    return {"url": f"data:image/svg+xml;base64,{data}", "words": DESCRIPTIONS[name]}


def report(
    template: Path, parts: Sequence[ProfilePart], draw: Callable[[str, ProfilePart], str]
) -> str:
    """The page as text; `draw` makes a picture's SVG. Raises BenchError for an unreadable cell."""
    pool, lines, shown = Pool(), LinePool(), [part for part in parts if part.setups]
    data = {
        "parts": [_part(part, pool, lines) for part in shown],
        "lines": lines.lines,
        "questions": pool.questions,
        "positions": SHOWN_POSITIONS,
    }
    pictures = [[_picture(n, draw(n, part)) for n in _picture_names(part)] for part in shown]
    folder = template.parent / "report"
    style = (folder / "report.css").read_text(encoding="utf-8")
    scripts = [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    libraries = vendored_scripts(folder / "vendor")
    return render(
        template, data=data, answers=[*map(packed, pool.answers)], parts=shown, pictures=pictures,
        style=style, scripts=scripts, libraries=libraries, style_digest=_digest(style),
        script_digests=" ".join(map(_digest, [*scripts, *libraries])),
    )  # fmt: skip
