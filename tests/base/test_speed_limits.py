"""What cannot be is struck out: the known impossible numbers of the field among it."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib.base.speed_limits import bandwidth_violation, bytes_per_token, speed_up_violation
from scripts.lib.engines.measurement_check import check_measurement
from scripts.lib.planning.cell_record import Measurement

ANSWER = Measurement(
    "word", "stop", 100, 50, 0.5, 0.4, 250.0, 5.0, 9.8, 20, 10, 5, tuple(range(50))
)


@pytest.mark.parametrize(
    ("speed_up", "k"), [(51.0, 16), (50.9, 16), (80.6, 24), (76.2, 16), (35.9, 16), (55.9, 8)]
)
def test_known_impossible_speed_ups_are_struck_out(speed_up: float, k: int) -> None:
    assert f"passes K + 1 = {k + 1}" in speed_up_violation(speed_up, k)


@pytest.mark.parametrize(
    ("speed_up", "k"), [(6.3, 16), (3.5, 24), (5.4, 24), (1.61, 16), (17.0, 16)]
)
def test_corrected_numbers_pass(speed_up: float, k: int) -> None:
    assert speed_up_violation(speed_up, k) == ""


def test_accepted_length_is_the_tighter_limit() -> None:
    assert speed_up_violation(3.0, 16, accepted_length=2.2) == ""
    assert "passes the accepted length + 1 = 2.50" in speed_up_violation(
        3.0, 16, accepted_length=1.5
    )
    assert speed_up_violation(None, 16, 0.0) == ""
    assert speed_up_violation(2.0, None, None) == ""


def test_bandwidth() -> None:
    assert bandwidth_violation(100.0, 98e6, 21e9) == ""
    assert "29 GB/s, more than the memory's 21 GB/s" in bandwidth_violation(300.0, 98e6, 21e9)
    assert bandwidth_violation(300.0, 98e6, None) == ""


def test_only_active_experts_are_read() -> None:
    assert bytes_per_token(8_000, None, None) == 8_000
    assert bytes_per_token(8_000, 8, 2) == 2_000
    assert bytes_per_token(8_000, 8, 2, shared=0.2) == pytest.approx(0.4 * 8_000)


def test_the_figures_of_an_honest_answer_pass_with_what_a_loaded_machine_adds() -> None:
    for elapsed_s in (5.4, 5.5, 6.5):
        assert check_measurement(ANSWER, elapsed_s) == ""
    assert "an answer of 7 s, of which prefill and decoding took 5.4 s" in check_measurement(
        ANSWER, 7.0
    )
    assert "5.4 s of prefill and decoding in an answer of 5.3 s" in check_measurement(ANSWER, 5.3)


def test_tokens_are_counted_as_they_are_named_but_for_the_parts_of_a_character() -> None:
    assert "51 tokens answered, 50 of them named" not in check_measurement(
        replace(ANSWER, completion_tokens=51), 5.5
    )
    assert "54 tokens answered, 50 of them named" in check_measurement(
        replace(ANSWER, completion_tokens=54), 5.5
    )
    assert check_measurement(replace(ANSWER, completion_tokens=54, answer="日本"), 5.5) == ""
    assert "49 tokens answered, 50 of them named" in check_measurement(
        replace(ANSWER, completion_tokens=49), 5.5
    )


def test_only_an_answer_that_was_cut_off_may_be_empty() -> None:
    none = replace(
        ANSWER, completion_tokens=0, token_ids=(), decode_s=0.0, accepted_tokens=0, prefill_s=5.4
    )
    assert "has 0 tokens" in check_measurement(none, 5.5)
    assert check_measurement(replace(none, finish_reason="timeout"), 5.5) == ""


@given(
    st.sampled_from(
        ("ttft_s", "prefill_s", "decode_s", "prefill_tokens_per_s", "decode_tokens_per_s")
    ),
    st.floats(max_value=0, exclude_max=True) | st.sampled_from((inf, nan)),
)
def test_no_figure_is_negative_or_no_number(name: str, value: float) -> None:
    assert (
        check_measurement(replace(ANSWER, **{name: value}), 5.5)
        == f"measurement.{name}: expected 0 or more, found {value}"
    )
