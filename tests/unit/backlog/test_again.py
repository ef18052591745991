"""What was settled, or never begun, falls due again where a person wants it: counted once more, and nothing else moves."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.backlog import Backlog, Gap, Stretch
from bridge.points import Batch, Outcome, Receipt, Settlement
from tests.unit.backlog.disk import Disk
from tests.unit.backlog.world import FOLDER

ONE = Batch.pack([b"{}"])
ORIGIN, NOW = 1200.0, 1800.0  # ten minutes have fallen due


def started(disk: Disk, now: float = ORIGIN, interval: float = 60, digest: str = "d1") -> Backlog:
    backlog = Backlog(FOLDER, clock=lambda: now, files=disk)
    backlog.lock()
    backlog.in_force(now, interval, digest, "text")
    return backlog


@pytest.fixture
def backlog(disk: Disk) -> Backlog:
    """All ten minutes are settled."""
    backlog = started(disk)
    for time in range(1260, 1801, 60):
        settled(backlog, time)
    return backlog


def settled(backlog: Backlog, time: float) -> None:
    backlog.settle(time - 60, time, Settlement.SETTLED, {Outcome.NOT_FINITE: 1})


def left_over(backlog: Backlog, time: float) -> None:
    cycle = backlog.begin(time - 60, time, [ONE, ONE])
    cycle.intent(0)
    cycle.verdict(0, Receipt(accepted=1))
    cycle.end()


def times(backlog: Backlog, newest: float = NOW) -> list[float]:
    return [gap.time for gap in backlog.gaps(newest)]


def test_a_stretch_is_counted_in_whole_cells(backlog: Backlog) -> None:
    assert backlog.stretch(1059, 1861) == Stretch(1020, 1860, cycles=14, settled=10, waiting=1)


def test_a_stretch_can_be_read_beside_the_process_that_works(backlog: Backlog, disk: Disk) -> None:
    backlog.again(1500, 1620, repeat=True)
    before = {name: file.data for name, file in disk.files.items()}

    reader = Backlog(FOLDER, files=disk)

    assert reader.stretch(1200, 1800) == Stretch(1200, 1800, cycles=10, settled=8, waiting=2)
    assert {name: file.data for name, file in disk.files.items()} == before


def test_nothing_that_began_has_no_cells(disk: Disk) -> None:
    assert Backlog(FOLDER, files=disk).stretch(0, 600) == Stretch(0, 600, 0, 0, 0)


def test_a_cell_of_which_a_part_waits_waits(backlog: Backlog) -> None:
    backlog.settle(1800, 1822.5, Settlement.SETTLED, {})

    assert backlog.stretch(1800, 1860) == Stretch(1800, 1860, cycles=1, settled=0, waiting=1)


def test_what_was_never_begun_is_asked_for_as_the_first_selection_says(backlog: Backlog, disk: Disk) -> None:
    backlog.in_force(NOW, 60, "d2", "other")
    backlog.again(1090, 1150, repeat=False)
    backlog = started(disk, now=NOW, digest="d2")

    assert list(backlog.gaps(NOW)) == [Gap(1080, 1140, 60, "d2")]
    account = backlog.account
    assert (account.origin, account.due, account.cycles[Settlement.WAITING]) == (1080, 11, 1)
    assert backlog.stretch(1080, 1200) == Stretch(1080, 1200, cycles=2, settled=0, waiting=1)


def test_what_a_first_order_left_out_was_still_never_begun(backlog: Backlog) -> None:
    backlog.again(600, 720, repeat=False)
    for time in times(backlog):
        settled(backlog, time)

    assert backlog.stretch(600, 1200) == Stretch(600, 1200, cycles=10, settled=2, waiting=0)
    backlog.again(600, 1800, repeat=False)
    assert times(backlog) == list(range(780, 1201, 60))


def test_what_was_settled_falls_due_again_only_where_that_is_wanted(backlog: Backlog, disk: Disk) -> None:
    backlog.again(1200, 1320, repeat=False)
    assert times(backlog) == []
    before = backlog.account

    backlog.again(1200, 1320, repeat=True)

    backlog = started(disk, now=NOW)
    assert times(backlog) == [1260, 1320]
    assert backlog.account.cycles == {**before.cycles, Settlement.WAITING: 2}
    assert (backlog.account.points, backlog.account.origin) == (before.points, ORIGIN)
    settled(backlog, 1260)
    assert backlog.account.cycles[Settlement.SETTLED] == before.cycles[Settlement.SETTLED] + 1
    assert backlog.account.due == 12


def test_what_is_left_over_is_not_asked_for_beside(backlog: Backlog) -> None:
    left_over(backlog, 1860)
    settled(backlog, 1920)
    backlog.again(1740, 1920, repeat=True)

    assert times(backlog, 1920) == [1800, 1920]
    assert [left.time for left in backlog.leftovers()] == [1860]


def test_the_rest_of_a_cell_that_left_batches_over_stays_too(backlog: Backlog) -> None:
    """A run had ended in it."""
    cycle = backlog.begin(1800, 1822.5, [ONE, ONE])
    cycle.intent(0)
    cycle.verdict(0, Receipt(accepted=1))
    cycle.end()
    backlog.settle(1822.5, 1860, Settlement.SETTLED, {})

    backlog.again(1800, 1860, repeat=True)

    assert times(backlog, 1860) == []


def test_too_late_is_too_late_again(backlog: Backlog) -> None:
    backlog.again(1080, 1200, repeat=False)

    assert backlog.expire(1140) == 1
    assert times(backlog) == [1200]


def test_before_anything_that_is_not_known_comes_a_question(disk: Disk) -> None:
    """All journals were lost: what may have been delivered is asked for with ``repeat`` alone, and known then."""
    started(disk).close()
    disk.time = ORIGIN
    for name, file in disk.files.items():
        file.data = b"?" if name.startswith("journal") else file.data
    backlog = started(disk, now=NOW)
    assert backlog.account.unknown == ((ORIGIN, NOW),)
    assert backlog.stretch(1080, NOW) == Stretch(1080, NOW, cycles=12, settled=10, waiting=0)

    backlog.again(1140, 1320, repeat=False)
    assert times(backlog) == [1200]
    backlog.again(1320, 1440, repeat=True)

    assert times(backlog) == [1200, 1380, 1440]
    assert backlog.account.unknown == ((1200, 1320), (1440, 1800))
    assert Backlog(FOLDER, files=disk).account == backlog.account


def test_a_clock_that_was_far_ahead_at_the_first_start_began_nothing_there(disk: Disk) -> None:
    backlog = started(disk, now=NOW + 10 * 3600)
    assert times(backlog) == []
    settled(backlog, NOW + 60)

    assert backlog.stretch(NOW - 60, NOW + 120) == Stretch(NOW - 60, NOW + 120, cycles=3, settled=1, waiting=1)
    assert backlog.account.origin == NOW


def test_two_days_of_seconds_fall_due_at_once(disk: Disk) -> None:
    backlog = started(disk, now=200_000, interval=1)
    backlog.again(200_000 - 47 * 3600, 200_000, repeat=True)

    assert backlog.stretch(0, 200_000).waiting == 47 * 3600
    assert next(backlog.gaps(200_000)).time == 200_000 - 47 * 3600 + 1


class Model:
    """Cell by cell: never begun, open, settled or left over."""

    CELLS: ClassVar = range(60, 1801, 60)

    def __init__(self) -> None:
        self.cells = {time: "never" if time <= ORIGIN else "open" for time in self.CELLS}
        self.done = 0
        self.begun = {time for time in self.CELLS if time > ORIGIN}

    def again(self, start: int, end: int, repeat: bool) -> None:
        for time in self.CELLS:
            if start < time <= end and (self.cells[time] == "never" or (repeat and self.cells[time] == "settled")):
                self.cells[time] = "open"
                self.begun.add(time)

    def of(self, kind: str, start: int = 0, end: int = 1800) -> list[int]:
        return [time for time in self.CELLS if start < time <= end and self.cells[time] == kind]


WINDOW = st.tuples(st.integers(0, 1800), st.integers(0, 1800)).map(lambda pair: (min(pair), max(pair)))


@settings(max_examples=200)
@given(st.data())
def test_whatever_is_wanted_again_the_account_adds_up(data: st.DataObject) -> None:
    disk, model = Disk(), Model()
    backlog = started(disk)
    due = 10
    for _ in range(data.draw(st.integers(1, 8), label="steps")):
        for time in times(backlog):
            fate = data.draw(st.sampled_from(["settled", "settled", "open", "left"]), label=f"{time}")
            if fate == "settled":
                settled(backlog, time)
            elif fate == "left":
                left_over(backlog, time)
            model.cells[int(time)] = fate
            model.done += fate == "settled"
        start, end = data.draw(WINDOW, label="window")
        repeat = data.draw(st.booleans(), label="repeat")
        open_before = len(model.of("open"))
        low, high = start // 60 * 60, end // 60 * 60
        model.again(low, high, repeat)
        due += len(model.of("open")) - open_before
        backlog.again(start, end, repeat=repeat)
        if data.draw(st.booleans(), label="a new process"):
            backlog = started(disk, now=NOW)

        assert times(backlog) == model.of("open")
        account = backlog.account
        assert account.cycles[Settlement.SETTLED] == model.done
        assert (account.due, account.leftovers) == (due, len(model.of("left")))
        assert account.origin == min(model.begun) - 60
        start, end = data.draw(WINDOW, label="looked at")
        low, high = start // 60 * 60, end // 60 * 60
        assert backlog.stretch(start, end) == Stretch(
            low,
            high,
            cycles=(high - low) // 60,
            settled=len(model.of("settled", low, high)),
            waiting=len(model.of("open", low, high)) + len(model.of("left", low, high)),
        )
