"""Tables and plan -> RESULTS.md through a Jinja2 template. Deterministic: no clock, no path, no host name."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from tabulate import tabulate

from scripts.lib.certificate import Verdict
from scripts.lib.plan import LeftOut, Plan
from scripts.lib.provenance import ENVIRONMENTS
from scripts.lib.review import ReviewRow
from scripts.lib.tables import (
    Configuration,
    Passes,
    Spread,
    base_of,
    fastest,
    passes,
    quality_rows,
    speed_rows,
    speed_up,
    struck_out,
)

DASH = "–"


def text(value: object) -> str:
    """Foreign text made harmless in a Markdown table: one line, no HTML, no cell or link borders."""
    line = html.escape(" ".join(str(value).split()), quote=False)
    line = "".join(c if c.isprintable() else "�" for c in line)
    for mark in "\\`*_[]|~":
        line = line.replace(mark, f"\\{mark}")
    return line


def code(value: object) -> str:
    """Foreign text as inline code."""
    line = "".join(c if c.isprintable() else "�" for c in " ".join(str(value).split()))
    return "`" + line.replace("`", "'").replace("|", "\\|") + "`"


def number(value: float | None, digits: int = 1) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def ranged(value: Spread | None, digits: int = 1) -> str:
    """Median with the range it came from: `97.1 (80.2–99.9)`."""
    if value is None:
        return DASH
    if value.n == 1:
        return f"{value.median:.{digits}f}"
    return f"{value.median:.{digits}f} ({value.low:.{digits}f}–{value.high:.{digits}f})"


def rate(value: Passes) -> str:
    """Passes of scored answers, with the share of the criteria's weight that was scored: `5/7 (71 %, cov. 80 %)`."""
    if not value.asked:
        return DASH
    if value.rate is None:
        return "unscored"
    return f"{value.passed}/{value.scored} ({100 * value.rate:.0f} %, cov. {100 * value.coverage:.0f} %)"


def percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.0f} %"


def gibibytes(value: float) -> str:
    return f"{value / 2**30:.2f}"


def table(rows: Iterable[Sequence[object]], headers: Sequence[str]) -> str:
    """A pipe table; the cells must be Markdown already."""
    return tabulate(list(rows), headers, tablefmt="pipe", disable_numparse=True)


@dataclass(frozen=True)
class ProfilePart:
    """The part of RESULTS.md on one hardware profile."""

    plan: Plan
    configurations: tuple[Configuration, ...]
    environments: Mapping[str, Mapping[str, Any]]
    is_active: bool = False

    @property
    def name(self) -> str:
        return f"{self.plan.hardware.name}, engine {self.plan.engine.name}"

    @cached_property
    def suites(self) -> list[str]:
        return list(dict.fromkeys(suite for c in self.configurations for suite in c.by_suite))

    @property
    def measured(self) -> int:
        return sum(len(c.rows) for c in self.configurations)

    @property
    def planned(self) -> int:
        return sum(c.planned for c in self.configurations)

    def hardware_block(self) -> str:
        """One line per fact of the environments that the cells refer to."""
        hardware = self.plan.hardware
        lines = [
            f"- profile: {hardware.threads} threads, {hardware.batch_threads} for prompts, "
            f"CPUs {hardware.cpus or 'as found'}, NUMA {hardware.numa or 'as found'}",
            f"- engine: {self.plan.engine.name}, llama-cpp-python {self.plan.engine.version}, "
            f"source sha256 {code(self.plan.engine.source_sha256[:12])}",
        ]
        for name, record in sorted(self.environments.items()):
            cpu, memory, system = record["cpu"], record["memory"], record["system"]
            lines.append(
                f"- environment {code(name)}: {text(cpu['model'])}, {cpu['physical_cores']} cores / "
                f"{cpu['logical_cpus']} threads, {gibibytes(memory['total_bytes'])} GiB, "
                f"Linux {text(system['kernel'])}, "
                f"{text(system['compiler'] or 'compiler unknown')}"
            )
        return "\n".join(lines)

    def master_table(self) -> str:
        headers = [
            "model",
            "quant",
            "mode",
            *self.suites,
            "all suites",
            "decode t/s",
            "TTFT s",
            "fastest way",
            "speed-up",
        ]
        return table((self._master_row(c) for c in quality_rows(self.configurations)), headers)

    def _master_row(self, c: Configuration) -> list[str]:
        ways = [m for m in speed_rows(self.configurations) if base_of(m, self.configurations) is c]
        best = fastest(ways, c)
        ratio = speed_up(best, c) if best is not None else None
        return [
            code(c.model.key),
            text(c.model.quant),
            code(c.mode.name),
            *(self._suite(c, suite) for suite in self.suites),
            rate(passes(c.rows)),
            self._speed(c),
            ranged(c.ttft, 2),
            code(best.mode.name) if best is not None else DASH,
            f"{ratio.median:.2f}x (n={ratio.n})" if ratio is not None else DASH,
        ]

    def _speed(self, c: Configuration) -> str:
        shown = ranged(c.decode)
        return f"~~{shown}~~" if struck_out(c, base_of(c, self.configurations)) else shown

    def _suite(self, c: Configuration, suite: str) -> str:
        found = passes(c.by_suite.get(suite, ()))
        if not found.asked:
            return DASH
        return f"{found.passed}/{found.scored}" if found.scored else "unscored"

    def modes_table(self) -> str:
        headers = [
            *("model", "mode", "n", "decode t/s", "speed-up", "certificate", "acceptance", "accepted length"),
            *("drafted", "TTFT s", "prefill t/s", "peak RSS GiB", "load s"),
        ]
        return table((self._mode_row(c) for c in self.configurations), headers)

    def _mode_row(self, c: Configuration) -> list[str]:
        ratio = speed_up(c, base_of(c, self.configurations)) if c.mode.speculative else None
        return [
            code(c.model.key),
            code(c.mode.name),
            str(len(c.answered)),
            self._speed(c),
            f"{ratio.median:.2f}x ({ratio.low:.2f}–{ratio.high:.2f}, n={ratio.n})" if ratio else DASH,
            self._certificate(c) if c.mode.speculative else DASH,
            percent(c.acceptance),
            number(c.accepted_length, 2),
            str(sum(row.drafted_tokens for row in c.answered)) if c.mode.speculative else DASH,
            ranged(c.ttft, 2),
            ranged(c.prefill, 0),
            gibibytes(max((row.peak_rss_bytes for row in c.rows), default=0)),
            number(max((row.load_s for row in c.rows), default=None), 2),
        ]

    def _certificate(self, c: Configuration) -> str:
        """The verdict, and for what is not exact how many answers differ."""
        differ = sum(row.certificate in (Verdict.NUMERIC_TIE, Verdict.LOSSY) for row in c.rows)
        return f"{c.certificate} ({differ} of {len(c.rows)} differ)" if differ else str(c.certificate)

    def divergences(self) -> str:
        """Every speculative answer that differs from its base's, with the evidence."""
        rows = [
            [
                code(c.model.key),
                code(c.mode.name),
                code(f"{r.suite}/{r.question_id}"),
                r.certificate,
                str(r.divergence_token),
                number(r.divergence_gap_logits, 3) if r.divergence_gap_logits is not None else "≥ 1",
            ]
            for c in self.configurations
            for r in c.rows
            if r.certificate in (Verdict.NUMERIC_TIE, Verdict.LOSSY)
        ]
        headers = [
            "model",
            "mode",
            "question",
            "verdict",
            "first different token",
            "gap of the base's two best, logits",
        ]
        return table(rows, headers) if rows else ""

    def struck(self) -> list[tuple[Configuration, str]]:
        """What physics struck out, with the reason."""
        found = ((c, struck_out(c, base_of(c, self.configurations))) for c in self.configurations)
        return [(c, reason) for c, reason in found if reason]

    def failures(self) -> str:
        rows = [
            [code(c.model.key), code(c.mode.name), code(f"{r.suite}/{r.question_id}"), r.status, text(r.error[:300])]
            for c in self.configurations
            for r in c.rows
            if r.status != "ok"
        ]
        return table(rows, ["model", "mode", "question", "status", "the engine's words"]) if rows else ""

    def answers_table(self) -> str:
        """Every scored answer with a link to its cell: the raw evidence is one click away."""
        rows = [
            self._answer_row(c, r)
            for c in quality_rows(self.configurations)
            for r in sorted(c.rows, key=lambda r: (r.suite, r.question_id, r.repeat))
        ]
        headers = ["model", "mode", "question", "score", "coverage", "decode t/s", "tokens", "reason", "cell"]
        return table(rows, headers)

    def _answer_row(self, c: Configuration, row: ReviewRow) -> list[str]:
        score = "unscored" if row.score is None else str(row.score)
        return [
            code(c.model.key),
            code(c.mode.name),
            code(f"{row.suite}/{row.question_id}"),
            score,
            percent(row.coverage),
            number(row.decode_tokens_per_s),
            str(row.completion_tokens or DASH),
            text(row.score_reason[:160]),
            f"[cell](../../../{row.cell_file})",
        ]

    def _not_measured(self) -> Iterator[LeftOut]:
        """The planned shards that are not run: for want of weights, or (`results_so_far`) because nothing is."""
        measured = {(c.model.key, c.mode.name): len(c.rows) for c in self.configurations}
        for shard in (shard for shard in self.plan.shards if not shard.runnable):
            here = shard.weights.usable and (shard.draft is None or shard.draft.usable)
            count, planned = measured.get((shard.model.key, shard.mode.name), 0), len(shard.cells)
            if not here:
                yield LeftOut(shard.model.key, shard.mode.name, "weights are not on this machine: cannot run here")
            elif count < planned:
                yield LeftOut(shard.model.key, f"{shard.mode.name} ({count} of {planned} cells)", "not measured yet")

    def left_out(self) -> list[tuple[str, dict[str, list[str]]]]:
        """What was left out: per reason the models, whole ones first, each with its modes (none: all of them).

        The modes of a model that is left out whole are not told again: `python -m scripts.plan --assume-present` does.
        """
        whole = {item.model for item in self.plan.left_out if item.mode == "*"}
        items = [item for item in self.plan.left_out if item.mode == "*" or item.model not in whole]
        if self.is_active:
            items += self._not_measured()
        groups: dict[str, dict[str, list[str]]] = {}
        for item in sorted(items, key=lambda item: item.mode != "*"):
            reason = "weights are not on this machine" if item.reason.startswith("weights are not") else item.reason
            modes = groups.setdefault(reason, {}).setdefault(item.model, [])
            modes += [item.mode] if item.mode != "*" else []
        return list(groups.items())


def read_environments(rows: Iterable[ReviewRow], folder: Path = ENVIRONMENTS) -> dict[str, dict[str, Any]]:
    """The environment records that reviewed cells refer to, as far as they are in the tree."""
    names = {row.environment for row in rows}
    files = {name: folder / f"{name}.json" for name in sorted(names)}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()}


def render(template: Path, **context: object) -> str:
    """Fill the template with what `context` names. Undefined names are errors."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"text": text, "code": code}
    return environment.get_template(template.name).render(**context)
