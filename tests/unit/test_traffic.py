"""The pace of the example traffic, on a clock that moves by sleeping."""

from __future__ import annotations

import pytest

from examples import traffic


class Clock:
    """Begins at 100 s; every request takes ``cost`` s."""

    def __init__(self, cost: float = 0.0) -> None:
        self.now = 100.0
        self.cost = cost
        self.begun: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def infer(self) -> bool:
        self.begun.append(self.now - 100.0)
        self.now += self.cost
        return True


def paced(clock: Clock, count: int, **limits: float) -> traffic.Tally:
    return traffic.paced([clock.infer], count, clock=lambda: clock.now, sleep=clock.sleep, **limits)


def test_requests_keep_the_rate_however_long_an_answer_takes() -> None:
    clock = Clock(cost=0.25)

    assert paced(clock, 4, rate=2.0) == (4, 4)
    assert clock.begun == [0.0, 0.5, 1.0, 1.5]


def test_late_requests_follow_at_once_and_none_is_lost() -> None:
    clock = Clock(cost=2.0)

    paced(clock, 3, rate=1.0)

    assert clock.begun == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("rate", [1.0, None])
def test_nothing_is_begun_after_the_time_is_up(rate: float | None) -> None:
    clock = Clock(cost=1.0)

    assert paced(clock, 1_000, rate=rate, seconds=3.0) == (3, 3)
    assert clock.now <= 103.0


def test_requests_take_turns_and_only_successes_count() -> None:
    tally = traffic.paced([lambda: True, lambda: False, lambda: True], 7)

    assert tally == (7, 5)


def test_a_server_that_is_not_there_is_no_success_and_no_error() -> None:
    assert traffic.send("http://127.0.0.1:9", "ident", 2) == 0
