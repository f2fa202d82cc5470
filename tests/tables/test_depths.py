"""Answers at depths stand apart, are compared by question, and slow down by the bytes read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.pages.pictures import draw
from scripts.lib.pages.sections.depth import depth_table
from scripts.lib.planning.modes import Mode
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.tables.depths import AtDepth, at_depths, by_setup
from scripts.lib.tables.setups import Setup
from scripts.lib.weights.kv_cache import KvCache
from tests.factories.plans import model
from tests.factories.table_rows import LOOKUP, ROW, part

# A depth of 1,000 tokens is read as 1,000 x 2,000 bytes: half as much as the weights.
KV = KvCache(500, 500)
WEIGHTS_BYTES = 4_000_000


def rows(depth: int, *speeds: float, **changes: object) -> tuple[ReviewRow, ...]:
    """Answers to q0, q1, … of suite workload, with a prompt of as many tokens as the depth."""
    mark = f"@d{depth}" if depth else ""
    made = {"suite": "workload", "prompt_tokens": depth, "completion_tokens": 0, **changes}
    return tuple(
        replace(ROW, question_id=f"q{n}{mark}", decode_tokens_per_s=speed, **made)  # type: ignore[arg-type]
        for n, speed in enumerate(speeds)
    )


BASELINE = Mode("baseline")


def setup(mode: Mode = BASELINE, factor: float = 1.0, **changes: object) -> Setup:
    """Four questions at depth 0, two of them at two more depths."""
    deep = {
        1000: rows(1000, 80 * factor, 160 * factor, peak_rss_bytes=20, ttft_s=2.0),
        2000: rows(2000, 50 * factor, 100 * factor, peak_rss_bytes=30, ttft_s=4.0),
    }
    shallow = rows(0, *(speed * factor for speed in (100, 200, 700, 900)), peak_rss_bytes=10)
    made = Setup("h", "embedded", model("m"), mode, shallow, 4, deep=deep)
    sizes = {"weights_bytes": WEIGHTS_BYTES, "kv": KV}
    return replace(made, **(sizes | changes))  # type: ignore[arg-type]


def found(*setups: Setup) -> dict[tuple[str, int], AtDepth]:
    return {(at.setup.mode.name, at.depth_tokens): at for at in at_depths(setups)}


def test_depth_0_is_that_of_the_questions_which_were_asked_at_a_depth() -> None:
    at = found(setup())
    assert [depth for _, depth in at] == [0, 1000, 2000]
    shallow = at["baseline", 0]
    assert [row.question_id for row in shallow.setup.rows] == ["q0", "q1"]
    assert shallow.setup.decode is not None and shallow.setup.decode.value == 150
    assert shallow.ratio is None


def test_the_slow_down_is_a_median_of_ratios_by_question() -> None:
    at = found(setup())
    ratios = [at["baseline", depth].ratio for depth in (1000, 2000)]
    assert [ratio.estimate.value for ratio in ratios if ratio] == [pytest.approx(0.8), 0.5]
    assert ratios[0] is not None and ratios[0].estimate.clusters == 2


def test_the_predicted_slow_down_is_that_of_the_bytes_read() -> None:
    at = found(replace(setup(), rows=rows(500, 100, 200)))
    first = replace(at["baseline", 1000].shallow, rows=rows(0, 100, 200, prompt_tokens=500))
    deeper = AtDepth(2000, at["baseline", 2000].setup, first)
    # 4 MB of weights and 1 MB of cache before, 4 MB and 4 MB now.
    assert deeper.predicted_ratio == pytest.approx(5 / 8)
    assert deeper.predicted is not None and deeper.predicted.value == pytest.approx(150 * 5 / 8)
    unknown = replace(deeper, setup=replace(deeper.setup, kv=None))
    assert unknown.predicted_ratio is None and unknown.predicted is None


def test_bytes_per_token_are_weights_and_the_cache_of_prompt_and_half_of_the_answer() -> None:
    plain = setup(deep={}, rows=rows(0, 100, prompt_tokens=900, completion_tokens=200))
    assert plain.context_tokens == 1000
    assert plain.bytes_per_token == WEIGHTS_BYTES + 2_000_000
    assert replace(plain, kv=None).bytes_per_token == WEIGHTS_BYTES
    quantised = replace(plain, kv_types=("q8_0", "q8_0"))
    assert quantised.bytes_per_token == WEIGHTS_BYTES + 1000 * 1000 * 34 / 32


def test_an_impossible_speed_is_struck_out_at_its_depth_alone() -> None:
    # 2,000 tokens: 8 MB per token; 75 tokens/s need 0.6 GB/s.
    at = found(setup(bandwidth_gb_per_s=0.5, rows=rows(0, 60, 60)))
    assert "more than the memory's" in at["baseline", 2000].setup.struck_out
    assert at["baseline", 0].setup.struck_out == ""


def test_a_speed_up_is_over_the_base_at_the_same_depth() -> None:
    base = setup()
    way = setup(LOOKUP, 1.5, base=base)
    at = found(base, way)
    for depth in (0, 1000, 2000):
        speed_up = at["lookup_n3", depth].setup.speed_up
        assert speed_up is not None and speed_up.estimate.value == pytest.approx(1.5)
        assert at["lookup_n3", depth].predicted_ratio is None
    lone = replace(way, base=replace(base, deep={1000: base.deep[1000]}))
    assert found(lone)["lookup_n3", 2000].setup.speed_up is None


def test_memory_grows_with_the_depth() -> None:
    at = found(setup())
    peaks = [each.peak_rss_bytes for each in at.values()]
    assert [peak.value for peak in peaks if peak is not None] == [10, 20, 30]


def test_every_row_is_kept_the_least_depth_first() -> None:
    names = [row.question_id for row in setup().all_rows]
    assert names[4:] == ["q0@d1000", "q1@d1000", "q0@d2000", "q1@d2000"]


def test_the_table_and_the_picture_show_each_depth() -> None:
    base = setup()
    shown = part(base, setup(LOOKUP, 1.5, base=base))
    lines = depth_table(shown).splitlines()
    assert len(lines) == 2 + 6
    assert "| 2000 | 2 | 75.0 (n=2) | 0.50x (n=2) |" in lines[4]
    picture = draw("depth", shown)
    for words in ("m baseline", "m lookup_n3", "decode tokens/s", "by the bytes read per token"):
        assert f">{words}<" in picture
    assert [(c.mode.name, len(depths)) for c, depths in by_setup(shown.depths)] == [
        ("baseline", 3),
        ("lookup_n3", 3),
    ]


def test_without_depths_there_is_no_table() -> None:
    plain = part(setup(deep={}))
    assert depth_table(plain) == "" and plain.depths == ()
    assert "no question was asked at a depth" in draw("depth", plain)
