"""The alarm: on the grid, without drift, never two turns at a time, and a signal is heard while a turn hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bridge.daemon import _schedule, mind_the_clock
from examples.stack import wait


class Turns:
    """Turns that are held until they are let go."""

    def __init__(self) -> None:
        self.running = self.most = self.begun = 0
        self.let_go = threading.Event()

    def turn(self) -> None:
        self.running += 1
        self.begun += 1
        self.most = max(self.most, self.running)
        self.let_go.wait(30)
        self.running -= 1


@pytest.fixture
def held() -> Iterator[Turns]:
    turns = Turns()
    yield turns
    turns.let_go.set()


@pytest.fixture
def job(held: Turns) -> Iterator[Any]:
    """The job as it is scheduled, a turn a second."""
    scheduler = _schedule(held, 1.0)  # type: ignore[arg-type]
    (job,) = scheduler.get_jobs()
    yield job
    scheduler.shutdown(wait=False)


def test_it_rings_at_multiples_of_the_interval_since_the_epoch(held: Turns) -> None:
    scheduler = _schedule(held, 90.0)  # type: ignore[arg-type]
    (job,) = scheduler.get_jobs()
    moment = datetime(2026, 11, 21, 10, 0, 7, 123456, tzinfo=timezone.utc)
    rings = []
    for late in (0.0, 3.3, 89.9, 200.0):  # however late the one before was
        moment = job.trigger.get_next_fire_time(None, moment + timedelta(seconds=late))
        rings.append(moment.timestamp())
        moment += timedelta(milliseconds=1)
    scheduler.shutdown(wait=False)

    assert [ring % 90 for ring in rings] == [0.0] * 4
    assert rings == sorted(set(rings))


def test_a_turn_that_lasts_is_never_joined_by_a_second(job: Any, held: Turns, caplog: pytest.LogCaptureFixture) -> None:
    wait(lambda: "is still under way at this grid time" in caplog.text, "no overlap was told")

    assert (held.begun, held.most, job.max_instances) == (1, 1, 1)


def test_a_clock_that_jumps_by_half_a_century_costs_one_alarm(job: Any) -> None:
    """A machine without a clock of its own begins in 1970. Each second of it would be a missed alarm."""
    job.modify(next_run_time=datetime(1970, 1, 1, tzinfo=timezone.utc))

    assert len(job._get_run_times(datetime.now(timezone.utc))) == 1


def test_a_clock_that_was_set_back_does_not_silence_the_alarm(job: Any, held: Turns) -> None:
    held.let_go.set()
    wait(lambda: held.begun, "no turn")
    stop = threading.Event()
    job.modify(next_run_time=datetime.now(timezone.utc) + timedelta(hours=1))
    begun = held.begun
    minding = threading.Thread(target=mind_the_clock, args=(job, 1.0, stop))
    minding.start()
    wait(lambda: held.begun > begun, "the alarm waits for time to catch up")
    stop.set()
    minding.join()


def test_alarms_that_were_slept_through_ring_once(job: Any) -> None:
    assert (job.coalesce, job.misfire_grace_time) == (True, None)
