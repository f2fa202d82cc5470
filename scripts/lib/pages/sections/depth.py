"""RESULTS.md on depth: speed and memory against the tokens of text before a question."""

from __future__ import annotations

from scripts.lib.base.markdown import DASH, code, estimate, number, table
from scripts.lib.pages.sections.quality import mode_name, ratio, speed
from scripts.lib.tables.depths import AtDepth
from scripts.lib.tables.profile_part import ProfilePart


def depth_table(part: ProfilePart) -> str:
    """Each setup at each of its depths; empty where no question was asked at a depth."""
    headers = (
        *("model", "mode", "depth", "n", "decode t/s", "of depth 0", "by bytes"),
        *("MB read per token", "speed-up", "prefill t/s", "TTFT s", "peak RSS GiB"),
    )
    return table(map(_row, part.depths), headers)


def _row(at: AtDepth) -> list[str]:
    here, memory = at.setup, at.peak_rss_bytes
    predicted = None if at.ratio is None else at.predicted_ratio
    return [
        code(here.model.key),
        mode_name(here),
        str(at.depth_tokens),
        str(len(here.answered)),
        speed(here),
        ratio(at.ratio),
        DASH if predicted is None else f"{predicted:.2f}x",
        number(here.bytes_per_token / 1e6 if here.weights_bytes else None),
        ratio(here.speed_up),
        estimate(here.prefill, 0),
        estimate(here.ttft, 2),
        estimate(memory.scaled(2.0**-30) if memory is not None else None, 2),
    ]
