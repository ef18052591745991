"""A disk that takes nothing more: delivery goes on from memory, is told of, and is on disk again when there is room."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from bridge.points import Batch, Outcome, Receipt, Settlement
from tests.unit.backlog.disk import Killed
from tests.unit.backlog.test_crash import check_the_end, steps, whole
from tests.unit.backlog.world import INTERVAL, World

ONE = Batch.pack([b"{}"])


def full(world: World, since: int, until: float = float("inf")) -> Callable[[str], int | None]:
    """No new bytes in these steps; what is there can be changed in place."""
    return lambda kind: errno.ENOSPC if kind == "write" and since <= world.disk.steps < until else None


def read_only(world: World, since: int, until: float = float("inf")) -> Callable[[str], int | None]:
    reads = {"read", "post", "reply"}
    return lambda kind: errno.EROFS if kind not in reads and since <= world.disk.steps < until else None


@pytest.mark.parametrize("fault", [full, read_only])
@pytest.mark.parametrize("length", [1, 60, 10_000])
def test_it_costs_nothing_while_the_process_lives(
    fault: Callable[..., Callable[[str], int | None]], length: int
) -> None:
    for step in range(2, steps(1) + 1, 7):
        world = World(1)
        world.disk.fails = fault(world, step, step + length)
        world.start()
        world.live(5)
        if world.disk.steps > step and length == 10_000:
            assert not world.backlog.durable
            assert "BRIDGE_STATE_DIR" in world.backlog.trouble

        world.now += 2 * INTERVAL
        world.mend()

        assert world.exact
        before = world.backlog.account
        world.start()
        next(world.backlog.gaps(world.now), None)
        assert world.backlog.account == before, "all of it was on disk"
        check_the_end(world)


@pytest.mark.parametrize("away", [3, 40, 200])
def test_a_process_that_ends_meanwhile_repeats_nothing_and_says_what_is_not_known(away: int) -> None:
    for step in range(20, 300, 7):
        world = World(2)
        world.start()
        world.disk.fails = full(world, step)
        world.disk.kill_at = step + away
        with pytest.raises(Killed):
            world.live(100)
        world.killed()
        world.accounts.clear()  # the totals of that time are not known either
        world.disk.fails = lambda _: None
        world.disk.kill_at = 0
        world.start()
        problems, unknown = world.backlog.problems, world.backlog.account.unknown

        world.now += 2 * INTERVAL
        world.mend()

        assert world.repeated() <= world.service.lost.union(*world.in_flight)
        assert bool(problems) == bool(unknown)
        if not unknown:
            assert whole(world)
        for start, end in unknown:
            assert f"from {utc(start)} to {utc(end)}" in "".join(problems)
        assert world.missing(unknown) == []


def test_neither_do_several_such_processes() -> None:
    """The second finds the disk full still, and must not forget what the first one noted."""
    world = World(5)
    world.start()
    world.disk.fails = full(world, 0)
    for _ in range(2):
        world.live(3)
        world.killed()
        world.accounts.clear()
        world.start()
        assert not world.backlog.durable
    world.disk.fails = lambda _: None

    world.start()
    unknown = world.backlog.account.unknown
    world.now += 2 * INTERVAL
    world.mend()

    assert unknown == ((world.origin, world.origin + 6 * INTERVAL),)
    assert world.repeated() <= world.service.lost
    assert world.missing(unknown) == []


def test_a_disk_that_took_no_note_either_leaves_open_what_was_delivered() -> None:
    """A process before this one may have delivered all of it."""
    world = World(6)
    world.start()
    world.live(2)
    world.mend()
    reached = world.now
    world.disk.fails = read_only(world, 0)
    for _ in range(2):
        world.now += 3 * INTERVAL
        world.start()

        assert not world.backlog.durable
        assert world.backlog.account.unknown == ((reached, world.now),)
        assert "triton-bridge backfill" in world.backlog.problems[-1]
        assert list(world.backlog.gaps(world.now)) == []
    world.disk.fails = lambda _: None
    world.exact = False

    world.now += INTERVAL
    world.live(1)

    assert world.backlog.durable
    assert world.backlog.account.unknown == ((reached, world.now - 2 * INTERVAL),)
    assert {gap.time for gap in world.backlog.gaps(world.now)} <= {world.now - INTERVAL, world.now}


def test_neither_is_it_known_of_the_cycle_that_was_under_way() -> None:
    world = World(0)
    world.start()
    world.backlog.begin(600, 660, [ONE, ONE]).intent(0)
    world.disk.fails = read_only(world, 0)
    world.now = 780

    world.start()

    assert world.backlog.account.unknown == ((600, 780),)
    assert list(world.backlog.leftovers()) == []


def test_what_a_note_told_of_is_not_told_twice() -> None:
    """The disk was full, and could not be changed at all afterwards."""
    world = World(0)
    world.start()
    world.disk.fails = full(world, 0)
    world.backlog.begin(600, 660, [ONE]).intent(0)
    world.disk.fails = read_only(world, 0)
    world.now = 780

    world.start()

    assert world.backlog.account.unknown == ((600, 660), (660, 780))


@pytest.mark.parametrize("fault", [full, read_only])
def test_a_first_start_on_such_a_disk_has_nothing_to_doubt(fault: Callable[..., Callable[[str], int | None]]) -> None:
    world = World(0)
    world.disk.fails = fault(world, 0)
    world.start()

    assert world.backlog.account.unknown == ()
    assert world.backlog.gap(660)


def test_a_full_disk_at_the_start_takes_a_note_and_so_leaves_nothing_open() -> None:
    world = World(0)
    world.start()
    world.disk.fails = full(world, 0)
    world.now += 2 * INTERVAL
    world.start()

    assert not world.backlog.durable
    assert [gap.time for gap in world.backlog.gaps(world.now)] == [660, 720]


@pytest.mark.parametrize("fault", [full, read_only])
def test_old_gaps_are_worked_on_where_a_restart_would_know_or_know_nothing(
    fault: Callable[..., Callable[[str], int | None]],
) -> None:
    world = World(0)
    world.disk.fails = fault(world, 0)
    world.start()
    assert (world.backlog.durable, world.backlog.repairable) == (False, True), "nothing was ever written"
    world.disk.fails = lambda _: None
    world.start()
    assert (world.backlog.durable, world.backlog.repairable) == (True, True)
    world.disk.fails = fault(world, 0)
    world.backlog.settle(600, 660, Settlement.SETTLED, {})
    assert (world.backlog.durable, world.backlog.repairable) == (False, False), "its journal stands"
    world.start()
    assert (world.backlog.durable, world.backlog.repairable) == (False, False), "a journal of one before it stands"
    world.disk.fails = lambda _: None
    world.backlog.settle(660, 720, Settlement.SETTLED, {})
    assert (world.backlog.durable, world.backlog.repairable) == (True, True)


def test_a_first_journal_of_which_it_is_not_sure_that_it_lasts_may_be_believed() -> None:
    world = World(0)
    world.disk.fails = lambda kind: errno.EIO if kind == "sync" and "journal-1" in world.disk.files else None

    world.start()

    assert (world.backlog.durable, world.backlog.repairable) == (False, False)


def test_what_waited_in_a_stretch_that_is_not_known_waits_no_more() -> None:
    """It may have been delivered from memory."""
    world = World(0)
    world.start()
    for time, receipt in ((660, Receipt(accepted=1)), (720, Receipt(accepted=1)), (780, Receipt(waiting=(ONE,)))):
        cycle = world.backlog.begin(time - 60, time, [ONE, ONE])
        cycle.intent(0)
        cycle.verdict(0, receipt)
        cycle.end()
    world.disk.fails = full(world, 0)
    for left in list(world.backlog.leftovers())[1:]:
        left.intent(1)
    world.backlog.begin(780, 840, [ONE]).intent(0)
    world.disk.fails = lambda _: None
    world.now = 840

    world.start()

    account = world.backlog.account
    assert account.unknown == ((660, 840),)
    assert [left.time for left in world.backlog.leftovers()] == [660]
    assert (account.cycles[Settlement.WAITING], account.waiting[Outcome.WAITING], account.read) == (1, 1, 3)
    assert [name for name in world.disk.files if name.startswith(("720", "780", "840"))] == []


def test_a_second_full_disk_does_not_touch_what_is_known_of_the_first() -> None:
    world = World(4)
    world.start()
    for _ in range(2):
        world.disk.fails = full(world, 0)
        world.now += INTERVAL
        cycle = world.backlog.begin(world.now - INTERVAL, world.now, [ONE])
        cycle.intent(0)
        assert not world.backlog.durable
        world.disk.fails = lambda _: None
        if world.now == 660:
            cycle.end()
            assert world.backlog.durable

    world.start()

    assert world.backlog.account.unknown == ((660, 720),)


def utc(moment: float) -> str:
    minutes, seconds = divmod(int(moment), 60)
    return f"1970-01-01T00:{minutes:02}:{seconds:02}Z"


def test_batches_that_wait_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are given up, and told as rejected."""
    monkeypatch.setattr("bridge.backlog.books._UNSAVED_SIZE", 300)
    world = World(3)
    world.disk.fails = read_only(world, 0)
    world.start()
    batch = Batch(b"x" * 100, 7, 100)

    for minute in range(1, 6):
        cycle = world.backlog.begin(600 + 60 * minute - 60, 600 + 60 * minute, [batch, batch])
        cycle.intent(0)
        cycle.verdict(0, Receipt(accepted=7))
        cycle.end()

    account = world.backlog.account
    assert [left.time for left in world.backlog.leftovers()] == [780, 840, 900]
    assert (account.points[Outcome.ACCEPTED], account.points[Outcome.REJECTED], account.waiting[Outcome.WAITING]) == (
        35,
        14,
        21,
    )
    assert [(time, one.metric) for time, one in account.rejections] == [(720, "(a batch)"), (660, "(a batch)")]
    assert "Read-only file system" in account.rejections[0][1].reason

    world.disk.fails = lambda _: None
    world.backlog.settle(900, 960, Settlement.NO_DATA, {})
    assert world.backlog._books.store.unsaved == {}
    assert [left.time for left in world.backlog.leftovers()] == [780, 840, 900], "from disk now"
