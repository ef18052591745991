"""The loop of the daemon: what it makes of turns that are late, missed, not due, or broken."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The loop takes the garbage collector into its own hands."""
    yield
    gc.enable()


def scraped(bridge: Bridge, cycles: int) -> Bridge:
    """A series ``m`` and its scrapes, for so many grid times from T on; its value is the number of the cycle."""
    times = [(T + 15 * n, (n + 3) // 4) for n in range(-3, 4 * cycles - 3)]
    bridge.prometheus.add("m", times)
    bridge.prometheus.scrape([time for time, _ in times])
    return bridge


def values(bridge: Bridge, name: str = "m") -> list[float]:
    return [row["value"] for row in bridge.rows(name)]


def test_grid_times_that_passed_without_a_cycle_are_gaps_and_repaired_oldest_first(make_bridge: MakeBridge) -> None:
    bridge = scraped(make_bridge("m", now=T + 10, scraped=False), 5)
    loop = bridge.turns()
    loop.turn()
    bridge.clock.now = T + 4 * INTERVAL + 10
    loop.turn()

    assert values(bridge) == [0, 4, 1, 2, 3]


def test_a_grid_time_is_waited_for_by_the_turn_that_its_own_alarm_begins(make_bridge: MakeBridge) -> None:
    """Not by the one before: it would still be waiting when the alarm rings."""
    bridge = scraped(make_bridge("m", now=T + 30, scraped=False), 2)
    loop = bridge.turns()
    loop.turn()
    assert (values(bridge), bridge.clock.now) == ([0], T + 30)

    loop.turn()
    assert bridge.clock.slept == []

    bridge.clock.now = T + INTERVAL
    loop.turn()
    assert (values(bridge), bridge.clock.slept) == ([0, 1], [5.0])


def test_what_fell_due_before_the_start_is_not_begun(make_bridge: MakeBridge) -> None:
    """The run before may have delivered it; a second row would make the sums of increments too large."""
    bridge = scraped(make_bridge("m", now=T + 58, begun=None, scraped=False), 2)
    loop = bridge.turns()
    loop.turn()
    bridge.clock.now = T + INTERVAL
    loop.turn()

    assert values(bridge) == [1]


def test_a_turn_that_comes_an_interval_late_is_caught_up_at_once(make_bridge: MakeBridge) -> None:
    """Otherwise each later one would be as late, for ever."""
    bridge = scraped(make_bridge("m", now=T + INTERVAL + 0.3, scraped=False), 2)
    bridge.turns().turn()

    assert values(bridge) == [0, 1]


def test_a_fault_of_the_bridge_ends_the_turn_and_not_the_loop(
    make_bridge: MakeBridge, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = scraped(make_bridge("m", now=T + 10, scraped=False), 2)
    loop = bridge.turns()
    with monkeypatch.context() as broken:
        broken.setattr(bridge.cycle, "run", lambda _: 1 / 0)
        loop.turn()
    loop.turn()

    assert "a fault of the bridge itself" in caplog.text
    assert "a fault of the bridge itself" in loop.board.snapshot().reports[1].problems[0]
    assert loop.idle.is_set()
    assert values(bridge) == [0]


def test_a_gap_is_an_error_line_and_never_called_delivered(
    make_bridge: MakeBridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bridge = make_bridge("m", now=T + 4)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.sandbox.script([{"status": 500, "times": 1000}])
    with caplog.at_level(logging.INFO):
        bridge.turns().turn()

    (gap,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert gap.getMessage().startswith("gap at 2026-11-18T11:07:00Z: 1 points were not delivered yet")
    assert "settled" not in caplog.text


def test_a_selection_that_changed_while_prometheus_was_away_counts_from_then_on(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T)
    for name in ("m", "n"):
        bridge.prometheus.add(name, [(T + minute * INTERVAL - 5, minute) for minute in range(6)])
    bridge.prometheus.scrape([T + minute * INTERVAL - 5 for minute in range(6)])
    loop = bridge.turns()
    loop.turn()
    bridge.file.write_text('{"customMetrics": ["n"]}')
    bridge.prometheus.failures = [(503, b"away")] * 1000
    for minute in (1, 2):
        bridge.clock.now = T + minute * INTERVAL
        loop.turn()
    bridge.prometheus.failures = []
    bridge.clock.now = T + 4 * INTERVAL
    loop.turn()

    assert [row["value"] for row in bridge.rows("m")] == [0, 1]
    assert sorted(row["value"] for row in bridge.rows("n")) == [2, 3, 4]


def test_a_changed_selection_is_sent_from_the_next_grid_time_on(
    make_bridge: MakeBridge, caplog: pytest.LogCaptureFixture
) -> None:
    """Through a swapped link too, as Kubernetes changes a mounted ConfigMap; a bad change changes nothing."""
    bridge = make_bridge("m", now=T)
    for name in ("m", "n"):
        bridge.prometheus.add(name, [(T + minute * INTERVAL - 5, minute) for minute in range(5)])
    bridge.prometheus.scrape([T + minute * INTERVAL - 5 for minute in range(5)])
    folder, shown = bridge.file.parent, bridge.file.parent / "..data"

    def change(text: str) -> None:
        version = folder / f"..{len(list(folder.iterdir()))}"
        version.mkdir()
        (version / "metrics.json").write_text(text)
        (folder / "..new").symlink_to(version.name)
        (folder / "..new").replace(shown)

    change(bridge.file.read_text())
    bridge.file.unlink()
    bridge.file.symlink_to("..data/metrics.json")
    loop = bridge.turns()
    states = []
    with caplog.at_level(logging.INFO):
        for minute, text in enumerate(
            (
                '{"customMetrics": ["m"]}',
                '{"customMetrics": ["n"]}',
                '{"customMetrics": ["n", 1',
                '{"customMetrics": ["n"]}',
            )
        ):
            change(text)
            bridge.clock.now = T + minute * INTERVAL
            loop.turn()
            states.append((bridge.own("config_last_reload_successful"), len(loop.board.snapshot().selection_problems)))

    # The change was seen at the second grid time, when the interval before it was over.
    assert [(row["name"], row["value"]) for row in bridge.sandbox.rows()] == [("m", 0), ("m", 1), ("n", 2), ("n", 3)]
    assert states == [(1, 0), (1, 0), (0, 1), (1, 0)]
    assert "added: n; removed: m" in caplog.text
    assert "was changed and cannot be used: metrics.json: line 1 column" in caplog.text
    assert caplog.text.count("cannot be used") == 1


def test_a_bridge_that_began_hours_ahead_begins_anew_when_its_clock_is_right(make_bridge: MakeBridge) -> None:
    """The service takes nothing of that time; waiting for it would be an outage of as many hours."""
    ahead = 3 * 3600.0
    bridge = make_bridge("m", now=T + ahead, begun=None, scraped=False)
    true = [T]
    bridge.sandbox._endpoint.now = lambda: true[0]
    times = [T + hours + 15 * n for hours in (0, ahead) for n in range(40)]
    bridge.prometheus.add("m", [(time, time - T) for time in times])
    bridge.prometheus.scrape(times)
    loop = bridge.turns()
    for minute in range(8):
        true[0] = T + minute * INTERVAL
        bridge.clock.now = true[0] + (ahead if minute < 3 else 0)
        loop.turn()

    assert sorted(values(bridge)) == [180, 240, 300, 360, 420]
