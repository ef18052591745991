"""A process may be killed, and a machine lose its power, at every step: nothing is lost, one batch a kill repeated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.points import Outcome, Settlement
from tests.unit.backlog.disk import Killed
from tests.unit.backlog.world import INTERVAL, SERIES, World


@pytest.fixture(scope="module", autouse=True)
def small_journals() -> Iterator[None]:
    """So that new ones begin in the middle of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.backlog.store._EVENTS_SIZE", 700)
        yield


def schedule(world: World) -> None:
    """A run that ends well, and one after it."""
    world.start()
    world.live(2)
    world.order()
    world.live(1)
    world.close()
    world.start()
    world.live(2)


def end_well(world: World) -> None:
    """A last process, after a while; not all is well at once."""
    world.start()
    world.now += INTERVAL
    world.live(1)
    world.mend()


def whole(world: World) -> bool:
    """Whether each series was decided for every moment since the origin, once."""
    for series in range(SERIES):
        edges = world.covered(series)
        if [world.origin, *(end for _, end in edges)] != [*(start for start, _ in edges), world.now]:
            return False
    return True


def check_the_end(world: World) -> None:
    assert world.asked is None or world.origin <= world.asked
    assert whole(world)
    allowed = world.service.lost.union(*world.in_flight)
    assert world.repeated() <= allowed
    account = world.backlog.account
    cells = len(world.covered(0))
    assert (account.due, account.cycles[Settlement.WAITING], sum(account.waiting.values())) == (cells, 0, 0)
    assert account.read == (SERIES + 3) * account.cycles[Settlement.SETTLED]
    assert sum(account.points[one] for one in (Outcome.NOT_FINITE, Outcome.LEFT_OUT)) * SERIES == 3 * sum(
        account.points[one] for one in (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.EXPIRED)
    )
    assert account.possibly_repeated >= sum(world.service.decided[point] - 1 for point in world.repeated())
    assert (world.backlog.durable, world.backlog.problems, world.backlog.trouble) == (True, (), "")
    files = [name for name in world.disk.files if name.endswith((".gz", ".new", ".damaged")) or "order" in name]
    assert files == []


def steps(seed: int) -> int:
    world = World(seed)
    schedule(world)
    return world.disk.steps


@pytest.mark.parametrize(("seed", "power"), [(0, False), (0, True), (11, True)])
def test_an_end_at_every_step_loses_nothing(seed: int, power: bool) -> None:
    for step in range(1, steps(seed) + 1):
        world = World(seed)
        world.disk.kill_at = step
        with pytest.raises(Killed):
            schedule(world)
        world.killed(power=power)
        world.disk.kill_at = 0

        end_well(world)

        check_the_end(world)


@settings(max_examples=100)
@given(st.data())
def test_neither_do_several_ends(data: st.DataObject) -> None:
    world = World(data.draw(st.integers(0, 10_000), label="seed"))
    world.start()
    for _ in range(data.draw(st.integers(1, 4), label="ends")):
        world.disk.kill_at = world.disk.steps + data.draw(st.integers(1, 150), label="step")
        try:
            world.live(1)
            if data.draw(st.booleans(), label="order"):
                world.order()
            world.live(2)
            world.start()
        except Killed:
            world.killed(power=data.draw(st.booleans(), label="power"))
            world.disk.kill_at = 0
            world.now += INTERVAL * data.draw(st.integers(0, 2), label="away")
            world.start()

    world.disk.kill_at = 0
    end_well(world)

    check_the_end(world)


@pytest.mark.parametrize("seed", range(20))
def test_an_undisturbed_run_adds_up_at_every_step(seed: int) -> None:
    world = World(seed)
    schedule(world)
    world.live(10)

    end_well(world)

    assert world.exact
    check_the_end(world)
