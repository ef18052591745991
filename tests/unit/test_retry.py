"""The retry policy: who is tried again, how long it waits, when it gives up. Time is a number that sleeping moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.retry import CAP, RetryDetails, backoff, policy


class Time:
    """A clock that only sleeping, and ``cost`` seconds a reading, move; it remembers the waits."""

    def __init__(self, now: float = 1000.0, cost: float = 0.0) -> None:
        self.now = now
        self.cost = cost
        self.waits: list[float] = []

    def clock(self) -> float:
        self.now += self.cost
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def failing(*outcomes: Any) -> Callable[[], Any]:
    """A function that raises or returns these, one a call, and the last one for ever."""
    left = itertools.chain(outcomes, itertools.repeat(outcomes[-1]))

    def call() -> Any:
        outcome = next(left)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return call


def is_connection_error(cause: object) -> bool:
    return isinstance(cause, ConnectionError)


def make_policy(time: Time, **changes: Any) -> Any:
    settings = {
        "on": is_connection_error,
        "deadline": 1060.0,
        "clock": time.clock,
        "sleep": time.sleep,
        "chance": lambda: 1.0,
    }
    return policy(**settings | changes)


@given(attempt=st.integers(1, 10**9), chance=st.floats(0, 1))
def test_a_wait_lies_between_zero_and_the_cap(attempt: int, chance: float) -> None:
    assert 0 <= backoff(attempt, chance) <= CAP


@given(attempt=st.integers(1, 10**6), chance=st.floats(0, 1))
def test_the_next_wait_is_never_shorter_and_at_most_twice_as_long(attempt: int, chance: float) -> None:
    assert backoff(attempt, chance) <= backoff(attempt + 1, chance) <= 2 * backoff(attempt, chance)


def test_the_longest_waits_double_from_a_second_to_the_cap() -> None:
    assert [backoff(attempt, 1.0) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 20, 20]


def test_success_is_returned_without_a_wait() -> None:
    time = Time()

    assert make_policy(time)(failing("fine")) == "fine"
    assert time.waits == []


def test_arguments_are_passed_on() -> None:
    assert make_policy(Time())(divmod, 7, 2) == (3, 1)


def test_an_exception_is_tried_again_until_it_succeeds() -> None:
    time = Time()

    assert make_policy(time)(failing(ConnectionError(), ConnectionError(), "fine")) == "fine"
    assert time.waits == [1.0, 2.0]


def test_a_value_is_tried_again_as_an_exception_is() -> None:
    time = Time()

    assert make_policy(time, on=lambda value: value == 503)(failing(503, 200)) == 200
    assert time.waits == [1.0]


def test_a_false_value_is_shown_to_the_predicate_as_it_is() -> None:
    assert make_policy(Time(), on=lambda value: value == 0)(failing(0, 200)) == 200


def test_what_is_not_worth_another_try_is_raised_at_once() -> None:
    time = Time()

    with pytest.raises(ValueError, match="final"):
        make_policy(time)(failing(ValueError("final")))
    assert time.waits == []


def test_an_interrupt_is_never_tried_again() -> None:
    time = Time()

    with pytest.raises(KeyboardInterrupt):
        make_policy(time, on=lambda _: True)(failing(KeyboardInterrupt()))
    assert time.waits == []


def test_the_last_exception_is_raised_when_the_next_wait_would_reach_the_deadline() -> None:
    time = Time()

    with pytest.raises(ConnectionError, match="last"):
        make_policy(time, deadline=1007.0)(failing(ConnectionError("1"), ConnectionError("2"), ConnectionError("last")))
    assert time.waits == [1.0, 2.0]  # the next, 4 s, would end at the very deadline


def test_the_last_value_is_returned_when_the_next_wait_would_reach_the_deadline() -> None:
    assert make_policy(Time(), on=lambda _: True, deadline=1001.5)(failing("first", "last")) == "last"


def test_past_the_deadline_there_is_one_try_and_no_wait() -> None:
    time = Time()

    assert make_policy(time, on=lambda _: True, deadline=999.0)(failing("only", "never")) == "only"
    assert time.waits == []


@given(
    room=st.floats(0, 600),
    cost=st.floats(0, 30),
    chances=st.lists(st.floats(0.01, 1, exclude_max=True), min_size=1),
)
def test_no_sleep_ends_past_the_deadline(room: float, cost: float, chances: list[float]) -> None:
    time = Time(now=0.0, cost=cost)
    ends: list[float] = []

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        ends.append(time.now)

    make_policy(time, on=lambda _: True, deadline=room, sleep=sleep, chance=itertools.cycle(chances).__next__)(int)

    assert all(end <= room for end in ends)


def test_a_value_may_name_the_time_of_the_next_try() -> None:
    """Retry-After is obeyed to the second: neither the back-off nor its cap shortens it."""
    time = Time()
    call = make_policy(time, on=lambda value: value is not None, wait_until=lambda value: value, deadline=math.inf)

    call(failing(1045.0, None))

    assert time.waits == [45.0]


def test_a_time_beyond_the_deadline_ends_the_tries() -> None:
    time = Time()

    assert make_policy(time, on=lambda _: True, wait_until=lambda value: value)(failing(1060.5, 0)) == 1060.5
    assert time.waits == []


def test_a_time_that_has_passed_gives_way_to_the_back_off() -> None:
    """``Retry-After: 0`` must not make a loop without waits."""
    time = Time()

    make_policy(time, on=bool, wait_until=lambda value: value)(failing(1000.0, 900.0, 0))

    assert time.waits == [1.0, 2.0]


def test_the_hook_is_told_before_each_wait() -> None:
    time = Time()
    error = ConnectionError()
    told: list[tuple[RetryDetails, int]] = []

    make_policy(time, hook=lambda details: told.append((details, len(time.waits))))(failing(error, error, "fine"))

    assert told == [(RetryDetails(1, 0.0, 1.0, error), 0), (RetryDetails(2, 1.0, 2.0, error), 1)]


def test_retry_details_cannot_be_changed() -> None:
    details = RetryDetails(1, 0.0, 1.0, None)

    with pytest.raises(FrozenInstanceError):
        details.attempt = 2  # type: ignore[misc]


def test_a_wait_that_is_cut_short_is_followed_by_one_last_try() -> None:
    """A stopping program wakes its sleepers; a sleep that returns at once must not become a loop."""
    time = Time()
    stopping = False
    calls: list[int] = []

    def woken(seconds: float) -> None:
        nonlocal stopping
        assert not stopping
        time.waits.append(seconds)
        stopping = True

    make_policy(time, on=lambda _: True, sleep=woken, stopping=lambda: stopping)(lambda: calls.append(1))

    assert len(time.waits) == 1
    assert len(calls) == 2


def test_a_policy_can_be_used_again() -> None:
    time = Time()
    call = make_policy(time)

    assert call(failing(ConnectionError(), "first")) == "first"
    assert call(failing(ConnectionError(), "second")) == "second"
    assert time.waits == [1.0, 1.0]
