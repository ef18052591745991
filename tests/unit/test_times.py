"""Grid times, the settle delay, and times as they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.times import grid_time, settle_delay, utc


@given(st.integers(0, 4_000_000_000_000), st.sampled_from([1, 5, 15, 60, 90, 3600]))
def test_the_grid_time_is_the_last_multiple_of_the_interval(milliseconds: int, interval: int) -> None:
    assert grid_time(milliseconds / 1000, interval) == milliseconds // (1000 * interval) * interval


@pytest.mark.parametrize(
    ("timeouts", "delay"), [([], 5.0), ([4.0], 5.0), ([4.5], 5.5), ([10.0, 4.0], 11.0), ([4.0, 10.0], 11.0)]
)
def test_the_settle_delay_is_the_setting_or_a_second_more_than_the_longest_timeout(
    timeouts: list[float], delay: float
) -> None:
    assert settle_delay(5.0, timeouts) == delay


def test_a_target_that_is_not_known_has_no_timeout() -> None:
    assert settle_delay(0.0, []) == 1.0


@pytest.mark.parametrize("moment", [1_795_255_200, 1_795_255_200.001, 1_795_255_200.999])
def test_a_time_is_shown_in_whole_seconds_of_utc(moment: float) -> None:
    assert utc(moment) == "2026-11-21T10:00:00Z"
