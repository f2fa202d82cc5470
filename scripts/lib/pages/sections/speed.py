"""RESULTS.md on speed: sweeps over K and n, every decoding mode, the roofline, outliers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scripts.lib.base.estimates import Estimate
from scripts.lib.base.layout import CELLS_TABLE
from scripts.lib.base.markdown import (
    DASH,
    code,
    estimate,
    gibibytes,
    limited,
    link,
    number,
    share,
    table,
)
from scripts.lib.base.speed_limits import bandwidth_efficiency
from scripts.lib.pages.sections.quality import answered, ratio, speed
from scripts.lib.results.certificate import DIVERGENT
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup, quality_rows

SHOWN_OUTLIERS = 50


def _sweep(
    part: ProfilePart,
    ways: Sequence[Setup],
    value: Callable[[Setup], int | None],
    letter: str,
) -> str:
    """One line per base row and drafting, one column per setting; the fastest proved in bold."""
    settings: set[int] = set()
    lines: dict[tuple[str, str, str], dict[int, Setup]] = {}
    for way in ways:
        setting = value(way)
        if setting is not None:
            settings.add(setting)
            key = (way.model.key, way.mode.quality_row, way.mode.drafting)
            lines.setdefault(key, {})[setting] = way
    columns, rows = sorted(settings), []
    for names, of_line in lines.items():
        cells = [_sweep_cell(part, of_line.get(setting)) for setting in columns]
        rows.append([*map(code, names), *cells])
    headers = [f"{letter} = {setting}" for setting in columns]
    return table(rows, ("model", "base", "drafts by", *headers))


def _sweep_cell(part: ProfilePart, way: Setup | None) -> str:
    if way is None:
        return DASH
    shown = ratio(way.speed_up)
    if way.struck_out:
        shown = f"~~{shown}~~"
    elif way.base is not None and part.way_of(way.base) is way:
        shown = f"**{shown}**"
    shown = f"{shown}, {share(way.acceptance, with_n=True)}"
    return shown if way.inherits_quality else f"{shown}, {way.certificate}"


def draft_sweep(part: ProfilePart) -> str:
    """Speed-up and acceptance over K, the most tokens that a draft model drafts a step."""
    return _sweep(
        part, [c for c in part.setups if c.mode.draft is not None], lambda c: c.mode.k, "K"
    )


def lookup_sweep(part: ProfilePart) -> str:
    """Speed-up and acceptance over n, the n-gram that prompt lookup alone matches."""
    alone = [c for c in part.setups if c.mode.draft is None and c.mode.lookup_n is not None]
    return _sweep(part, alone, lambda c: c.mode.lookup_n, "n")


def modes_table(part: ProfilePart) -> str:
    """Every setup with all that was measured of it."""
    headers = [
        *("model", "mode", "n", "decode t/s", "speed-up", "certificate", "acceptance"),
        *("accepted length", "drafted", "TTFT s", "prefill t/s", "peak RSS GiB", "load s"),
        "warm-up s",
    ]
    return table(map(_mode_row, part.setups), headers)


def _mode_row(c: Setup) -> list[str]:
    return [
        code(c.model.key),
        link(code(c.mode.name), c.folder),
        answered(c),
        speed(c),
        ratio(c.speed_up),
        certificate(c) if c.mode.speculative else DASH,
        share(c.acceptance, with_n=True),
        estimate(c.accepted_length, 2, with_n=True),
        str(c.drafted) if c.mode.speculative else DASH,
        estimate(c.ttft, 2),
        estimate(c.prefill, 0),
        gibibytes(c.peak_rss_bytes),
        number(c.load_s, 2),
        number(c.warm_up_s, 2),
    ]


def certificate(c: Setup) -> str:
    """The verdict, and how many answers differ where any does."""
    differ = sum(row.certificate in DIVERGENT for row in c.rows)
    return f"{c.certificate} ({differ} of {len(c.rows)} differ)" if differ else str(c.certificate)


def roofline_table(part: ProfilePart) -> str:
    """How much of the memory's bandwidth each row's decoding uses."""
    headers = ("model", "mode", "n", "weights GiB", "GB read per token", "decode t/s", "GB/s")
    rows = (_roofline_row(c, c.decode) for c in part.rows if c.weights_bytes and c.decode)
    return table(rows, (*headers, "memory GB/s", "efficiency"))


def efficiency(c: Setup, decode: Estimate) -> Estimate | None:
    """The share of the memory's bandwidth in use, with the speed's interval; None: unknown."""
    limit = c.memory_gb_per_s
    used = bandwidth_efficiency(decode.value, c.bytes_per_token, 1e9 * limit if limit else None)
    return decode.scaled(used / decode.value) if used is not None else None


def _roofline_row(c: Setup, decode: Estimate) -> list[str]:
    return [
        code(c.model.key),
        code(c.mode.name),
        str(decode.clusters),
        gibibytes(c.weights_bytes),
        number(c.bytes_per_token / 1e9, 3),
        speed(c),
        estimate(decode.scaled(c.bytes_per_token / 1e9)),
        number(c.memory_gb_per_s),
        share(efficiency(c, decode)),
    ]


def outliers_table(part: ProfilePart) -> str:
    """Answers whose decode speed is an outlier among those of the same setup.

    Speculative setups are left out: their speed varies with the answer.
    """
    rows = [
        [
            code(c.model.key),
            code(c.mode.name),
            link(code(f"{row.suite}/{row.question_id}"), row.cell_file),
            number(row.decode_tokens_per_s),
            estimate(c.decode),
            str(row.completion_tokens or DASH),
        ]
        for c in quality_rows(part.setups)
        for row in c.slow_or_fast
    ]
    headers = ("model", "mode", "question", "decode t/s", "median t/s", "tokens")
    return limited(rows, headers, SHOWN_OUTLIERS, CELLS_TABLE)
