"""RESULTS.md on speed: sweeps, every decoding mode, acceptance, the roofline, outliers."""

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
from scripts.lib.pages.sections.quality import answered, leave_mark, mode_name, ratio, speed
from scripts.lib.results.certificate import DIVERGENT
from scripts.lib.settings.speculators import NGRAMS
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup, quality_rows

SHOWN_OUTLIERS = 50
SHOWN_POSITIONS = (1, 2, 4, 8, 16)


def _sweep(
    part: ProfilePart,
    ways: Sequence[Setup],
    value: Callable[[Setup], int | None],
    header: Callable[[int], str],
) -> str:
    """One line per base row and drafting, one column per setting; the fastest proved in bold."""
    settings: set[int] = set()
    lines: dict[tuple[str, str, str], dict[int, Setup]] = {}
    for way in ways:
        setting = value(way)
        if setting is not None:
            settings.add(setting)
            drafting = f"{code(_drafting(way))}{leave_mark(way)}"
            key = (code(way.model.key), code(way.mode.quality_row), drafting)
            lines.setdefault(key, {})[setting] = way
    columns, rows = sorted(settings), []
    for names, of_line in lines.items():
        cells = [_sweep_cell(part, of_line.get(setting)) for setting in columns]
        rows.append([*names, *cells])
    return table(rows, ("model", "base", "drafts by", *map(header, columns)))


def _drafting(way: Setup) -> str:
    """What drafts; the n-gram speculators share a line, in which each has a column."""
    return "n-grams" if way.mode.drafting in NGRAMS else way.mode.drafting


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
    """Speed-up and acceptance over K, the most tokens that a draft or the model's head drafts."""
    drafted = [c for c in part.setups if c.mode.drafter]
    return _sweep(part, drafted, lambda c: c.mode.k, lambda k: f"K = {k}")


def lookup_sweep(part: ProfilePart) -> str:
    """Speed-up and acceptance over n, the n-gram that prompt lookup alone matches."""
    alone = [c for c in part.setups if not c.mode.drafter]
    return _sweep(part, alone, lambda c: c.mode.lookup_n, lambda n: f"n = {n}")


def ngram_table(part: ProfilePart) -> str:
    """Speed-up and acceptance of the other n-gram speculators, where they alone draft."""
    alone = [c for c in part.setups if c.mode.drafting in NGRAMS]
    return _sweep(
        part, alone, lambda c: NGRAMS.index(c.mode.ngram), lambda place: code(NGRAMS[place])
    )


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
        link(mode_name(c), c.folder),
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


def acceptance_table(part: ProfilePart) -> str:
    """The share of verified batches that accepted a draft's first, second, … token."""
    headers = [f"position {place}" for place in SHOWN_POSITIONS]
    rows = [
        [
            code(c.model.key),
            mode_name(c),
            *(_accepted_at(c, place) for place in SHOWN_POSITIONS),
            estimate(c.accepted_length, 2),
        ]
        for c in part.setups
        if c.drafted
    ]
    return table(rows, ("model", "mode", *headers, "accepted length"))


def _accepted_at(c: Setup, place: int) -> str:
    position = c.position(place)
    return share(position.share) if position is not None else DASH


def speculators_table(part: ProfilePart) -> str:
    """What each speculator did in all answers of a setup."""
    rows = [
        [
            code(c.model.key),
            mode_name(c),
            code(name),
            str(count.asked),
            str(count.drafts),
            str(count.drafted_tokens),
            str(count.accepted_tokens),
        ]
        for c in part.setups
        for name, count in c.counts.items()
    ]
    headers = (
        "model",
        "mode",
        "speculator",
        "asked",
        "drafts",
        "drafted tokens",
        "accepted tokens",
    )
    return table(rows, headers)


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


def memory_read(c: Setup, decode: Estimate) -> str:
    """The memory that decoding at this speed reads, in GB/s."""
    return estimate(decode.scaled(c.bytes_per_token / 1e9))


def _roofline_row(c: Setup, decode: Estimate) -> list[str]:
    return [
        code(c.model.key),
        code(c.mode.name),
        str(decode.clusters),
        gibibytes(c.weights_bytes),
        number(c.bytes_per_token / 1e9, 3),
        speed(c),
        memory_read(c, decode),
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
