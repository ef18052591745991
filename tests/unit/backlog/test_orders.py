"""A process without the lock asks the one that has it: what it asks is done once, whatever ends in between."""

from __future__ import annotations

import errno
import stat
from collections import Counter
from pathlib import Path

import pytest

from bridge.backlog import Backlog, Order
from bridge.backlog.journal import line
from bridge.errors import BridgeError
from bridge.points import Settlement
from tests.unit.backlog.disk import Disk, File, Killed
from tests.unit.backlog.world import FOLDER

NOW = 900.0


def started(disk: Disk) -> Backlog:
    backlog = Backlog(FOLDER, clock=lambda: NOW, files=disk)
    backlog.lock()
    backlog.in_force(600, 60, "digest", "text")
    return backlog


def other(disk: Disk) -> Backlog:
    return Backlog(FOLDER, clock=lambda: NOW, files=disk)


def repaired(backlog: Backlog) -> list[float]:
    """Work off what waits."""
    found = [gap.time for gap in backlog.gaps(NOW)]
    for time in found:
        backlog.settle(time - 60, time, Settlement.SETTLED, {})
    return found


def order_files(disk: Disk) -> list[str]:
    return [name for name in disk.files if name.startswith("order")]


@pytest.fixture
def backlog(disk: Disk) -> Backlog:
    backlog = started(disk)
    repaired(backlog)
    return backlog


def test_an_order_is_taken_once(backlog: Backlog, disk: Disk) -> None:
    other(disk).order(481, 600, repeat=False)
    other(disk).order(839, 901.5, repeat=True)
    assert repaired(backlog) == [], "not before it is taken"

    assert sorted(backlog.orders()) == [Order(481, 600, False), Order(839, 901.5, True)]

    assert (repaired(backlog), order_files(disk), backlog.orders()) == ([540, 600, 840, 900], [], [])


def test_the_real_disk_carries_orders(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "bridge", clock=lambda: NOW)
    backlog.lock()
    backlog.in_force(600, 60, "digest", "text")

    Backlog(tmp_path / "bridge").order(480, 600, repeat=False)

    (file,) = (tmp_path / "bridge").glob("order-*")
    assert stat.S_IMODE(file.stat().st_mode) & 0o400
    assert backlog.orders() == [Order(480, 600, False)]
    assert not file.exists()


def test_who_follows_an_order_sees_that_it_waits_until_what_he_sees_has_it(backlog: Backlog, disk: Disk) -> None:
    assert not other(disk).ordered
    other(disk).order(480, 600, repeat=False)
    assert other(disk).ordered

    backlog.orders()

    follower = other(disk)
    assert (follower.ordered, follower.stretch(480, 600).waiting) == (False, 2)


def test_only_the_process_with_the_lock_takes_orders(backlog: Backlog, disk: Disk) -> None:
    other(disk).order(480, 600, repeat=False)

    reader = other(disk)

    assert (reader.orders(), reader.stretch(480, 600).waiting) == ([], 0)
    assert len(order_files(disk)) == 1


def test_no_order_is_taken_before_the_first_interval_is_known(disk: Disk) -> None:
    backlog = other(disk)
    backlog.lock()
    other(disk).order(480, 600, repeat=False)

    assert backlog.orders() == []

    backlog.in_force(600, 60, "digest", "text")
    assert backlog.orders() == [Order(480, 600, False)]


def test_orders_outlive_a_restart_and_what_is_half_written_goes(backlog: Backlog, disk: Disk) -> None:
    other(disk).order(480, 600, repeat=False)
    disk.files["order-00.new"] = File(b"half")

    backlog = started(disk)

    assert "order-00.new" not in disk.files
    assert backlog.orders() == [Order(480, 600, False)]


@pytest.mark.parametrize("content", [b"", b"?", b"00000000 0 [1,2,true]\n", b"\n\n"])
def test_a_damaged_order_is_set_aside(
    backlog: Backlog, disk: Disk, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    disk.files["order-00"] = File(content)
    other(disk).order(480, 600, repeat=False)

    assert backlog.orders() == [Order(480, 600, False)]

    assert order_files(disk) == ["order-00.damaged"]
    assert f"{FOLDER}/order-00 is set aside as order-00.damaged" in caplog.text


def test_an_order_of_another_version_is_set_aside(backlog: Backlog, disk: Disk) -> None:
    other(disk).order(480, 600, repeat=False)
    (name,) = order_files(disk)
    disk.files["order-00"] = File(line(0, [1, 2]))

    assert len(backlog.orders()) == 1
    assert name not in disk.files
    assert "order-00.damaged" in disk.files


@pytest.mark.parametrize("kind", ["write", "sync", "rename"])
def test_an_order_that_cannot_be_written_is_an_error_and_leaves_nothing(
    backlog: Backlog, disk: Disk, kind: str
) -> None:
    disk.fails = lambda step: errno.ENOSPC if step == kind else None

    with pytest.raises(BridgeError, match=r"No space left on device.*free space there"):
        other(disk).order(480, 600, repeat=False)

    assert order_files(disk) == []


def test_without_a_folder_there_is_nobody_to_ask() -> None:
    backlog = Backlog(None)

    with pytest.raises(BridgeError, match="BRIDGE_STATE_DIR"):
        backlog.order(480, 600, repeat=False)
    assert backlog.orders() == []


def test_an_order_stays_while_the_disk_cannot_be_written(backlog: Backlog, disk: Disk) -> None:
    other(disk).order(480, 600, repeat=False)
    disk.fails = lambda step: errno.ENOSPC if step == "write" else None
    assert backlog.orders() == [], "this is how it is noticed"
    assert backlog.orders() == []
    assert len(order_files(disk)) == 1
    disk.fails = lambda _: None
    backlog.settle(900, 960, Settlement.SETTLED, {})

    assert backlog.orders() == [Order(480, 600, False)]
    assert repaired(backlog) == [540, 600]


def test_an_order_that_cannot_be_removed_is_done_once(backlog: Backlog, disk: Disk) -> None:
    other(disk).order(780, 900, repeat=True)
    disk.fails = lambda step: errno.EACCES if step == "unlink" else None

    assert [backlog.orders(), repaired(backlog), backlog.orders(), repaired(backlog)] == [[], [840, 900], [], []]
    assert not other(disk).ordered
    backlog = started(disk)
    assert [backlog.orders(), repaired(backlog)] == [[], []]


def test_an_end_at_every_step_has_each_order_done_once() -> None:
    """With ``repeat``, so that doing it twice would show."""
    step, ended = 0, False
    while not ended:
        step += 1
        for power in (False, True):
            disk, done, left = Disk(step), Counter[float](), False
            repaired(started(disk))
            backlog = started(disk)  # all of it is durable
            disk.kill_at = disk.steps + step
            try:
                other(disk).order(780, 900, repeat=True)
                left = True
                backlog.orders()
                backlog = started(disk)
                ended = True
            except Killed:
                if power:
                    disk.lose_power()
            disk.kill_at = 0

            for _ in range(2):
                backlog = started(disk)
                backlog.orders()
                done.update(repaired(backlog))

            assert done in ([{840: 1, 900: 1}] if left else [{840: 1, 900: 1}, {}])
            assert order_files(disk) == []


def test_an_order_that_a_loss_of_power_brings_back_is_known(disk: Disk) -> None:
    """Its name was removed, and the folder not synced since."""
    backlog = started(disk)
    repaired(backlog)
    other(disk).order(780, 900, repeat=True)
    (name,) = order_files(disk)
    file = disk.files[name]
    assert len(backlog.orders()) == 1
    assert repaired(backlog) == [840, 900]
    disk.files[name] = file

    started(disk)
    backlog = started(disk)

    assert len(backlog.orders()) == 1
    assert (repaired(backlog), order_files(disk)) == ([], [])
