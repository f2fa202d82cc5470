"""Tables from reviews: passes with coverage, paired speed-ups, the predecessor's summary row, and what physics strikes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.errors import BenchError
from scripts.lib.modes import Mode
from scripts.lib.render import code, text
from scripts.lib.review import COLUMNS, ReviewRow, read_review, to_csv
from scripts.lib.tables import Configuration, base_of, fastest, passes, speed_up, spread, struck_out, summary_row
from tests.test_modes import model

ROW = ReviewRow(
    suite="math", question_id="q1", tokens_per_second=10.0, claude_score=None, score_reason="ok", scorer="checks",
    score=3, passed=True, coverage=1.0, tier=1, repeat=0, status="ok", error="", symptoms="", finish_reason="stop",
    prompt_tokens=10, completion_tokens=20, ttft_s=0.1, prefill_tokens_per_s=100.0, decode_tokens_per_s=10.0,
    drafted_tokens=0, accepted_tokens=0, verify_steps=0, load_s=1.0, generation_s=2.0, peak_rss_bytes=5,
    environment="e", certificate="", divergence_token=None, divergence_gap_logits=None, cell_file="c.json",
)  # fmt: skip


def configuration(mode: Mode, *rows: ReviewRow, **changes: object) -> Configuration:
    made = Configuration("h", "embedded", model("m", path="dir/Big-7B-Q4.gguf"), mode, rows, len(rows))
    return replace(made, **changes)  # type: ignore[arg-type]


def timed(*speeds: float, **changes: object) -> tuple[ReviewRow, ...]:
    return tuple(
        replace(ROW, question_id=f"q{i}", decode_tokens_per_s=speed, **changes)  # type: ignore[arg-type]
        for i, speed in enumerate(speeds)
    )


def test_passes_count_errors_as_asked_and_unscored_not_at_all() -> None:
    rows = [
        ROW,
        replace(ROW, score=1, passed=False),
        replace(ROW, score=None, passed=None, coverage=0.2),
        replace(ROW, status="error", score=None, passed=None, coverage=0.0),
    ]
    found = passes(rows)
    assert (found.passed, found.scored, found.asked) == (1, 3, 4)
    assert found.coverage == pytest.approx(0.55)
    assert passes([]).rate is None


def test_speed_ups_are_medians_of_paired_ratios() -> None:
    base = configuration(Mode("baseline"), *timed(10, 20, 40))
    fast = configuration(Mode("lookup_n3", lookup_n=3), *timed(20, 30, 40))
    ratio = speed_up(fast, base)
    assert ratio is not None and (ratio.n, ratio.median, ratio.low, ratio.high) == (3, 1.5, 1.0, 2.0)
    assert speed_up(replace(fast, rows=timed(20)), base).n == 1  # type: ignore[union-attr]
    assert speed_up(fast, None) is None and spread([None]) is None


def test_the_base_is_of_the_same_engine_and_quality_row() -> None:
    base, other = configuration(Mode("baseline"), ROW), configuration(Mode("baseline"), ROW, engine="server")
    reduced = configuration(Mode("moe4", experts=4), ROW)
    spec = configuration(Mode("moe4_lookup_n3", experts=4, lookup_n=3), ROW)
    assert base_of(spec, [base, other, reduced]) is reduced
    lookup = configuration(Mode("lookup_n3", lookup_n=3), ROW)
    assert base_of(lookup, [other, base]) is base


def test_impossible_speeds_are_struck_out_and_never_the_fastest() -> None:
    base = configuration(Mode("baseline"), *timed(10, 10))
    counted = {"drafted_tokens": 30, "accepted_tokens": 10, "verify_steps": 10, "certificate": "exact"}
    honest = configuration(Mode("spec_d_k4", draft="d", k=4), *timed(15, 15, **counted))
    wild = configuration(Mode("spec_d_k16", draft="d", k=16), *timed(510, 510, **counted))
    lossy = configuration(Mode("spec_d_k8", draft="d", k=8), *timed(18, 18, **(counted | {"certificate": "lossy"})))
    assert struck_out(wild, base).startswith("51.00x passes K + 1 = 17")
    assert struck_out(honest, base) == ""
    assert fastest([honest, wild, lossy], base) is honest
    quick = configuration(Mode("baseline"), *timed(300), weights_bytes=98_000_000, bandwidth_gb_per_s=21.0)
    assert "more than the memory's 21 GB/s" in struck_out(quick, None)


def test_the_predecessors_summary_row() -> None:
    base = configuration(Mode("baseline"), *timed(9, 10))
    ways = [
        configuration(Mode(f"spec_d_k{k}", draft="d", k=k), *timed(speed, accepted_tokens=9, verify_steps=3))
        for k, speed in ((4, 11.4), (8, 14.4))
    ]
    lookup = configuration(Mode("lookup_n3", lookup_n=3), *timed(10.6, accepted_tokens=9, verify_steps=3))
    row = summary_row(base, [*ways, lookup])
    assert (row["model"], row["math"], row["vl"], row["total"], row["pct_str"]) == (
        "Big-7B-Q4",
        "2/2",
        "-",
        "2/2",
        "100%",
    )
    assert (row["avg_tps"], row["spec_draft"], row["spec_best_tps"]) == ("9.5", "d", "14.4")
    assert (row["spec_k_results"], row["lookup_n_results"]) == ("k4:11.4,k8:14.4", "n3:10.6")


def test_reviews_are_read_back_and_formulas_are_text(tmp_path: Path) -> None:
    rows = (replace(ROW, score_reason="=HYPERLINK(1)\n+2", score=None, passed=None), ROW)
    file = tmp_path / "r.csv"
    file.write_text(to_csv(rows))
    assert file.read_text().splitlines()[0].split(",")[:5] == list(COLUMNS[:5])
    back = read_review(file)
    assert back[1] == ROW and back[0].score_reason == "'=HYPERLINK(1) +2" and back[0].score is None
    file.write_text("suite,question_id\nx,y\n")
    with pytest.raises(BenchError, match="expected the columns"):
        read_review(file)


def test_foreign_text_is_harmless_in_markdown() -> None:
    assert text("a|b</details>\n*x*") == r"a\|b&lt;/details&gt; \*x\*"
    assert code("`x`|\x1b[31m") == "`'x'\\|�[31m`"
