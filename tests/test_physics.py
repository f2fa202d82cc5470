"""What cannot be is struck out: the known impossible numbers of the field among it."""

from __future__ import annotations

import pytest

from scripts.lib.physics import bandwidth_violation, bytes_per_token, speed_up_violation


@pytest.mark.parametrize(("speed_up", "k"), [(51.0, 16), (50.9, 16), (80.6, 24), (76.2, 16), (35.9, 16), (55.9, 8)])
def test_known_impossible_speed_ups_are_struck_out(speed_up: float, k: int) -> None:
    assert f"passes K + 1 = {k + 1}" in speed_up_violation(speed_up, k)


@pytest.mark.parametrize(("speed_up", "k"), [(6.3, 16), (3.5, 24), (5.4, 24), (1.61, 16), (17.0, 16)])
def test_corrected_numbers_pass(speed_up: float, k: int) -> None:
    assert speed_up_violation(speed_up, k) == ""


def test_accepted_length_is_the_tighter_limit() -> None:
    assert speed_up_violation(3.0, 16, accepted_length=2.2) == ""
    assert "passes the accepted length + 1 = 2.50" in speed_up_violation(3.0, 16, accepted_length=1.5)
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
