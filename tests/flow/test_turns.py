"""The loop of the daemon: what it makes of turns that are late, missed, not due, or broken."""

from __future__ import annotations

import gc
import logging
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.instruments import Instruments
from bridge.points import Condition, Outcome, Report, Settlement
from bridge.selection import SelectionFile
from bridge.turns import Turns
from bridge.witness import Witness
from tests.flow.conftest import INTERVAL, MakeBridge, T
from tests.scripted.clock import Clock


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The loop takes the garbage collector into its own hands."""
    yield
    gc.enable()


class Scripted:
    """A cycle that gives prescribed reports: the loop alone is looked at here."""

    interval = INTERVAL

    def __init__(self, *reports: Report | Exception | None) -> None:
        self.reports = deque(reports)
        self.asked: list[float | None] = []
        self.witness = Witness()

    def next_time(self, last: float | None) -> float:
        self.asked.append(last)
        newest = self.reports[0]
        if last is None:
            return T - INTERVAL
        return newest.time if isinstance(newest, Report) else last + INTERVAL

    def run(self, _: float) -> Report | None:
        report = self.reports.popleft()
        if isinstance(report, Exception):
            raise report
        return report


def settled(time: float) -> Report:
    return Report(time, Settlement.SETTLED, {Outcome.ACCEPTED: 1}, condition=Condition.DELIVERING)


def turns(cycle: Scripted, now: float = T) -> tuple[Turns, Instruments]:
    instruments = Instruments("0")
    return Turns(cycle, instruments, threading.Event(), Clock(now)), instruments  # type: ignore[arg-type]


def test_grid_times_that_passed_are_told_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    loop, instruments = turns(Scripted(settled(T), settled(T + 4 * INTERVAL)))
    loop.turn()
    loop.turn()

    assert instruments.missed_cycles._value.get() == 3
    assert loop.board.snapshot().missed == 3
    assert "3 grid times before" in caplog.text


def test_consecutive_grid_times_miss_nothing() -> None:
    loop, instruments = turns(Scripted(settled(T), settled(T + INTERVAL)))
    loop.turn()
    loop.turn()

    assert instruments.missed_cycles._value.get() == 0


def test_a_turn_that_was_not_due_leaves_its_grid_time_to_the_next() -> None:
    cycle = Scripted(settled(T), None, settled(T + INTERVAL))
    loop, _ = turns(cycle)
    for _ in range(3):
        loop.turn()

    assert cycle.asked == [None, T - INTERVAL, T, T]


def test_what_fell_due_before_the_start_is_not_begun(make_bridge: MakeBridge) -> None:
    """The run before may have delivered it; a second row would make the sums of increments too large."""
    bridge = make_bridge("m", now=T + 10)
    bridge.prometheus.add("m", [(T - 5, 1), (T + 55, 2)])
    bridge.prometheus.scrape([T + 15, T + 30, T + 45, T + 60])
    bridge.clock.now = T + 58
    Turns(bridge.cycle, bridge.instruments, bridge.stop, bridge.clock).turn()

    assert [row["value"] for row in bridge.rows("m")] == [2]


def test_a_turn_that_comes_an_interval_late_is_caught_up_at_once() -> None:
    """Otherwise each later one would be as late, for ever."""
    cycle = Scripted(settled(T), settled(T + INTERVAL))
    loop, instruments = turns(cycle, now=T + INTERVAL + 0.3)
    loop.turn()

    assert not cycle.reports
    assert instruments.missed_cycles._value.get() == 0


def test_a_fault_of_the_bridge_ends_the_turn_and_not_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    loop, _ = turns(Scripted(ZeroDivisionError("oops"), settled(T)))
    loop.turn()
    loop.turn()

    assert "a fault of the bridge itself" in caplog.text
    assert loop.board.snapshot().cycles == {
        **dict.fromkeys(Settlement, 0),
        Settlement.SETTLED: 1,
        Settlement.WAITING: 1,
    }
    assert "a fault of the bridge itself" in loop.board.snapshot().reports[1].problems[0]
    assert loop.idle.is_set()


def test_a_gap_is_an_error_line_and_never_called_delivered(
    make_bridge: MakeBridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bridge = make_bridge("m", now=T + 4)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.sandbox.script([{"status": 500, "times": 1000}])
    with caplog.at_level(logging.INFO):
        Turns(bridge.cycle, bridge.instruments, bridge.stop, bridge.clock).turn()

    (gap,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert gap.getMessage().startswith("gap at 2026-11-18T11:07:00Z: 1 points were not delivered")
    assert "settled" not in caplog.text


def test_a_changed_selection_is_sent_from_the_next_cycle_on(
    make_bridge: MakeBridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Through a swapped link too, as Kubernetes changes a mounted ConfigMap; a bad change changes nothing."""
    bridge = make_bridge("m", now=T - 30)
    for name in ("m", "n"):
        bridge.prometheus.add(name, [(T + minute * INTERVAL - 5, minute) for minute in range(5)])
    bridge.prometheus.scrape([T + minute * INTERVAL - 5 for minute in range(5)])
    file, shown = tmp_path / "metrics.json", tmp_path / "..data"

    def change(text: str) -> None:
        version = tmp_path / f"..{len(list(tmp_path.iterdir()))}"
        version.mkdir()
        (version / "metrics.json").write_text(text)
        (tmp_path / "..new").symlink_to(version.name)
        (tmp_path / "..new").replace(shown)

    file.symlink_to("..data/metrics.json")
    change('{"customMetrics": ["m"]}')
    loop = Turns(bridge.cycle, bridge.instruments, bridge.stop, bridge.clock, selection=SelectionFile(file))
    good = bridge.instruments.reload_good._value
    states = []
    with caplog.at_level(logging.INFO):
        for text in (
            '{"customMetrics": ["m"]}',
            '{"customMetrics": ["n"]}',
            '{"customMetrics": ["n", 1',
            '{"customMetrics": ["n"]}',
        ):
            change(text)
            loop.turn()
            states.append((good.get(), len(loop.board.snapshot().selection_problems)))

    assert [(row["name"], row["value"]) for row in bridge.sandbox.rows()] == [("m", 0), ("n", 1), ("n", 2), ("n", 3)]
    assert states == [(1, 0), (1, 0), (0, 1), (1, 0)]
    assert "added: n; removed: m" in caplog.text
    assert "was changed and cannot be used: metrics.json: line 1 column" in caplog.text
    assert caplog.text.count("cannot be used") == 1
