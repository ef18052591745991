"""A stretch of time that a person asks for: posted once whatever happens meanwhile, here or by the bridge that runs."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import backfill
from bridge.backfill import Progress, shown
from bridge.backlog import Stretch
from bridge.errors import BridgeError
from bridge.points import Outcome, Settlement
from bridge.sandbox import Sandbox
from bridge.selection import load
from bridge.settings.syntax import when
from bridge.times import utc
from examples.stack import wait
from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T
from tests.scripted.clock import Clock
from tests.scripted.program import Daemon, environment, triton_bridge
from tests.scripted.prometheus import Reply, ScriptedPrometheus

CYCLES = 10
START = T - CYCLES * INTERVAL


def scraped(bridge: Bridge) -> Bridge:
    """A series ``m`` up to T, whose value is the number of the cycle of ten, and an account that begins with T."""
    times = [START + 15 * n for n in range(1, 4 * CYCLES + 1)]
    bridge.prometheus.add("m", [(time, (time - START - 1) // INTERVAL) for time in times])
    bridge.prometheus.scrape(times)
    bridge.cycle.in_force(load(bridge.file), T + 10)
    return bridge


@pytest.fixture
def bridge(make_bridge: MakeBridge) -> Bridge:
    """One that has begun nothing, while Prometheus remembers ten cycles."""
    return scraped(make_bridge("m", now=T + 10, begun=None, scraped=False))


def post(bridge: Bridge, start: float = START, end: float = T) -> list[Progress]:
    return list(backfill.post(bridge.cycle, T, start, end))


def values(bridge: Bridge) -> list[float]:
    return [row["value"] for row in bridge.rows("m")]


def waits(bridge: Bridge) -> list[float]:
    """How long it waited, each time."""
    return [seconds for seconds in bridge.clock.slept if seconds]


def test_what_was_never_begun_is_posted_oldest_first(bridge: Bridge) -> None:
    bridge.backlog.again(START, T, repeat=False)

    assert post(bridge) == [Progress(done, CYCLES) for done in (*range(CYCLES + 1), CYCLES)]
    assert values(bridge) == list(range(CYCLES))
    assert bridge.backlog.stretch(START, T).waiting == 0


def test_nothing_but_the_stretch_is_posted(bridge: Bridge) -> None:
    bridge.backlog.again(START, T, repeat=False)
    post(bridge, T - 6 * INTERVAL, T - 3 * INTERVAL)

    assert values(bridge) == [4, 5, 6]


def test_a_stretch_without_scrapes_is_done_without_data(bridge: Bridge) -> None:
    start = START - 3 * INTERVAL
    bridge.backlog.again(start, START + INTERVAL, repeat=False)
    before = bridge.backlog.account

    post(bridge, start, START + INTERVAL)

    result = backfill.Result.between(before, bridge.backlog.account, 1)
    assert result == ("1 cycles posted, 1 points accepted, 3 cycles without data, 1.0 s", ())


def test_a_service_that_throttles_is_obeyed(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    bridge.backlog.again(START, T, repeat=False)
    bridge.sandbox.script([{"status": 200, "times": 3}, {"status": 429, "headers": {"Retry-After": "40"}}])
    post(bridge)

    assert waits(bridge)[0] == pytest.approx(40)
    assert "throttles" in caplog.text
    assert "going on in 40 s" in caplog.text
    assert sorted(values(bridge)) == list(range(CYCLES))


def test_a_service_that_is_away_is_asked_again_at_growing_distances(bridge: Bridge) -> None:
    bridge.backlog.again(START, T, repeat=False)
    bridge.sandbox.script([{"status": 503, "times": 6}])
    post(bridge)

    assert waits(bridge)[:3] == [1, 2, 4]
    assert sorted(values(bridge)) == list(range(CYCLES))


def test_a_prometheus_that_is_away_is_waited_for(bridge: Bridge) -> None:
    bridge.backlog.again(START, T, repeat=False)
    bridge.prometheus.failures = [(503, b"")] * 50
    post(bridge)

    assert sum(waits(bridge)) > INTERVAL
    assert sorted(values(bridge)) == list(range(CYCLES))


def test_a_cycle_that_can_never_be_read_holds_up_no_other(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = bridge.prometheus.reply

    def reply(path: str, query: dict[str, str]) -> Reply:
        return (503, b"") if query.get("time", "").startswith(f"{START + 3 * INTERVAL:.0f}.") else answer(path, query)

    monkeypatch.setattr(bridge.prometheus, "reply", reply)
    bridge.backlog.again(START, T, repeat=False)
    steps = backfill.post(bridge.cycle, T, START, T)

    assert next(step for step in steps if step.done == CYCLES - 1)
    assert sorted(values(bridge)) == [n for n in range(CYCLES) if n != 2]


def test_what_is_left_over_of_a_cycle_is_waited_for_too(bridge: Bridge) -> None:
    """A stretch counts a cycle with leftovers as settled."""
    bridge.prometheus.add("m", [(T - 5, 99)], model="other")
    bridge.backlog.again(T - INTERVAL, T, repeat=False)
    bridge.sandbox.script([{"items": {"0": {"status": 500}}}])
    steps = post(bridge, T - INTERVAL, T)

    assert [steps[0], steps[-1]] == [Progress(0, 1), Progress(1, 1)]
    assert sorted(values(bridge)) == [9, 99]


def test_what_is_rejected_is_a_loss_with_its_reason(bridge: Bridge) -> None:
    bridge.backlog.again(START, T, repeat=False)
    bridge.sandbox.script([{"items": {"0": {"status": 400, "message": "too long"}}}])
    before = bridge.backlog.account
    post(bridge)

    assert backfill.Result.between(before, bridge.backlog.account, 1).losses == ("1 points rejected: m: 400 too long",)
    assert values(bridge) == list(range(1, CYCLES))


@pytest.mark.parametrize("after", range(CYCLES + 1))
def test_what_was_interrupted_is_gone_on_with_and_each_time_is_posted_once(
    make_bridge: MakeBridge, tmp_path: Path, after: int
) -> None:
    first = scraped(make_bridge("m", now=T + 10, begun=None, scraped=False, folder=tmp_path))
    first.backlog.again(START, T, repeat=False)
    for step in backfill.post(first.cycle, T, START, T):
        if step.done == after:
            first.stop.set()
    first.backlog.close()
    done = values(first)
    assert done == list(range(after))

    second = scraped(make_bridge("m", now=T + 10, begun=None, scraped=False, folder=tmp_path))
    assert second.backlog.stretch(START, T) == (START, T, CYCLES, after, CYCLES - after)
    second.backlog.again(START, T, repeat=False)
    post(second)

    assert done + values(second) == list(range(CYCLES))
    assert second.backlog.account.cycles[Settlement.SETTLED] == CYCLES
    assert second.backlog.account.points[Outcome.ACCEPTED] == CYCLES


def test_no_post_is_begun_where_a_restart_would_not_know_of_it(make_bridge: MakeBridge, tmp_path: Path) -> None:
    """The folder is gone, and what stands there now takes no files: a post under way is the last."""
    folder = tmp_path / "bridge"
    bridge = scraped(make_bridge("m", now=T + 10, begun=None, scraped=False, folder=folder))
    bridge.backlog.again(START, T, repeat=False)
    steps = backfill.post(bridge.cycle, T, START, T)
    while next(steps).done < 3:
        pass
    folder.rename(tmp_path / "aside")
    folder.write_text("")

    assert list(steps)[-1] == Progress(4, CYCLES)
    assert values(bridge) == [0, 1, 2, 3]
    assert "cannot be written" in bridge.backlog.trouble


def test_a_folder_that_is_gone_is_not_taken_for_work_that_is_done(tmp_path: Path) -> None:
    clock = Clock(0)

    def pause(seconds: float) -> bool:
        clock.sleep(seconds)
        return False

    steps = backfill.follow(
        tmp_path / "bridge", Stretch(START, T, CYCLES, 0, 0), CYCLES, pause, quiet=10, monotonic=clock
    )
    seen = []
    with pytest.raises(BridgeError, match="has ended"):
        seen.extend(steps)

    assert (set(seen), clock()) == ({Progress(0, CYCLES)}, 11)


class Ends:
    """Prometheus and Application Insights on real time, an environment that names them, and 10 s that are over."""

    def __init__(self, prometheus: ScriptedPrometheus, sandbox: Sandbox, folder: Path) -> None:
        now = int(time.time())
        times = [float(now + offset) for offset in range(-60, 180)]
        prometheus.scrape_interval, prometheus.scrape_timeout = "1s", "500ms"
        prometheus.scrape(times)
        prometheus.add("m", [(moment, 7.0) for moment in times])
        selection = folder / "metrics.json"
        selection.write_text('{"customMetrics": ["m"]}')
        self.start, self.end = now - 20, now - 10
        self.sandbox = sandbox
        self.log = folder / "log"
        self.state = folder / "state"
        self.given = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
            "BRIDGE_PROMETHEUS_URL": prometheus.url,
            "BRIDGE_METRICS_FILE": str(selection),
            "BRIDGE_INTERVAL": "1s",
            "BRIDGE_SCRAPE_INTERVAL": "1s",
            "BRIDGE_SETTLE_DELAY": "0s",
            "BRIDGE_STATE_DIR": str(self.state),
        }

    def arguments(self, *more: str) -> list[str]:
        return ["backfill", "--start", utc(self.start), "--end", utc(self.end), *more]

    def backfill(self, *more: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, without a terminal."""
        return triton_bridge(*self.arguments(*more), **{**self.given, **given})

    def posted(self) -> list[int]:
        """The times of the stretch that arrived, as often as they did."""
        times = sorted(int(when(row["timestamp"])) for row in self.sandbox.rows())
        return [moment for moment in times if self.start < moment <= self.end]

    @property
    def wanted(self) -> list[int]:
        return list(range(self.start + 1, self.end + 1))


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    with ScriptedPrometheus(time.time) as prometheus, Sandbox(scriptable=True) as sandbox:
        yield Ends(prometheus, sandbox, tmp_path)


def test_the_command_says_what_it_will_do_and_what_came_of_it(ends: Ends) -> None:
    done = ends.backfill()

    assert (done.returncode, done.stderr) == (0, "")
    plan, counts, _, progress, result = done.stdout.splitlines()
    assert plan == f"from {shown(ends.start)} to {shown(ends.end)}"
    assert counts == "10 cycles: 0 settled already, 0 waiting, 10 never begun"
    assert progress.startswith("10 of 10 cycles, ")
    assert result.startswith("10 cycles posted, 10 points accepted, ")
    assert ends.posted() == ends.wanted


def test_what_is_settled_is_posted_again_only_when_that_is_said(ends: Ends) -> None:
    assert ends.backfill().returncode == 0

    refused = ends.backfill()
    assert refused.returncode == 0
    assert "10 settled already, 0 waiting, 0 never begun" in refused.stdout
    assert "not posted again: there is no terminal to ask at, and no --yes" in refused.stdout
    assert refused.stdout.endswith("nothing is left to post\n")
    assert ends.posted() == ends.wanted

    assert ends.backfill("--yes").returncode == 0
    assert ends.posted() == sorted(ends.wanted * 2)


def test_wrong_times_are_usage_errors_and_nothing_is_begun(ends: Ends) -> None:
    wrong = triton_bridge("backfill", "--start", "noon", "--last", "soon", **ends.given)
    too_early = triton_bridge("backfill", "--start", utc(ends.start - 60), **ends.given, BRIDGE_BACKFILL_LIMIT="1m")

    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 3)
    assert too_early.returncode == 2
    assert "the earliest possible time is " in too_early.stderr
    assert not ends.state.exists()


def test_an_end_that_lies_ahead_is_the_newest_grid_time(ends: Ends) -> None:
    done = triton_bridge("backfill", "--start", utc(ends.end), "--end", utc(ends.end + 3600), **ends.given)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("note: --end lies ahead of the newest grid time that is due, ")


def test_a_prometheus_that_cannot_be_reached_is_a_failure(ends: Ends) -> None:
    done = ends.backfill(BRIDGE_PROMETHEUS_URL="http://127.0.0.1:9")

    assert done.returncode == 1
    assert done.stderr.endswith("look at BRIDGE_PROMETHEUS_URL\n")


def test_a_folder_that_cannot_be_written_is_a_warning_and_one_that_cannot_be_read_an_error(
    ends: Ends, tmp_path: Path
) -> None:
    """What was delivered may be told there."""
    (tmp_path / "file").write_text("")
    unwritable = ends.backfill(BRIDGE_STATE_DIR=str(tmp_path / "file"))
    assert unwritable.returncode == 0
    assert "cannot be written" in unwritable.stderr
    assert ends.posted() == ends.wanted

    ends.state.mkdir()
    (ends.state / "bridge").write_text("")  # no folder, so that even root cannot read it as one
    unreadable = ends.backfill()
    assert unreadable.returncode == 1
    assert "cannot be read, so that it is not known what was posted already" in unreadable.stderr
    assert ends.posted() == ends.wanted


def test_a_rejected_point_is_a_failure_with_its_reason(ends: Ends) -> None:
    ends.sandbox.script([{"items": {"0": {"status": 400, "message": "too long"}}}])
    done = ends.backfill()

    assert done.returncode == 1
    assert "failure: 1 points rejected: m: 400 too long" in done.stderr
    assert len(ends.posted()) == 9


class Terminal:
    """The command at a terminal, where a person answers."""

    def __init__(self, ends: Ends, *more: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *ends.arguments(*more)],
            env=environment({**ends.given, "TERM": "xterm", "COLUMNS": "120"}, ""),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def __enter__(self) -> Terminal:  # noqa: PYI034 — Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def read_until(self, text: str) -> None:
        """Until it shows the text."""
        while text not in self.shown:
            self.shown += self._read() or pytest.fail(f"no {text!r} in {self.shown}")

    def answer(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read all the rest; the exit code."""
        while text := self._read():
            self.shown += text
        return self.process.wait(10)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            return ""


def test_at_a_terminal_there_is_a_question_whose_default_is_no_and_a_bar(ends: Ends) -> None:
    ends.start += 5
    assert ends.backfill().returncode == 0
    ends.start -= 5
    with Terminal(ends) as terminal:
        terminal.read_until("Post the 5 settled ones again?")
        terminal.answer("\n")
        assert terminal.end() == 0
    assert re.search(r"━.*5/5\S* cycles [0-9.]+ cycles/s", terminal.shown)
    assert ends.posted() == ends.wanted

    with Terminal(ends) as terminal:
        terminal.read_until("Post the 10 settled ones again?")
        terminal.answer("y\n")
        assert terminal.end() == 0
    assert ends.posted() == sorted(ends.wanted * 2)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_cycle_under_way_and_the_same_command_goes_on(ends: Ends, signum: int) -> None:
    ends.sandbox.script([{"pass": True, "times": 3}, {"delay": 1}])
    with Terminal(ends) as terminal:
        wait(lambda: not ends.sandbox.replies_left, "no post was under way")
        terminal.process.send_signal(signum)
        assert terminal.end() == 1

    done = len(ends.posted())
    assert f"{10 - done} cycles wait still — give the command again" in terminal.shown
    assert ends.posted() == ends.wanted[:4]
    assert ends.backfill().returncode == 0
    assert ends.posted() == ends.wanted


def test_a_second_signal_ends_it_at_once(ends: Ends) -> None:
    ends.sandbox.script([{"hang": 30, "times": 100}])
    with Terminal(ends) as terminal:
        wait(lambda: ends.sandbox.replies_left < 100, "nothing was posted")
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until("a second one ends at once")
        time.sleep(0.5)  # what comes at once counts as the same signal
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130

    assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")  # the cursor is shown again


def test_while_it_waits_for_a_throttling_service_a_signal_ends_it(ends: Ends) -> None:
    ends.sandbox.script([{"status": 429, "retry_after": 600}])
    with Terminal(ends) as terminal:
        terminal.read_until("going on in 600 s")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 1

    # What is logged stands above the bar, on lines of its own.
    assert re.search(
        r"[\r\n]\d{4}-\S+ WARNING backfill: .*throttles", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.shown)
    )


def running(ends: Ends) -> Daemon:
    return Daemon(ends.log, **ends.given)


def test_beside_a_running_bridge_that_one_does_the_work_and_is_watched(ends: Ends) -> None:
    with running(ends) as daemon:
        daemon.wait_for("settled", times=2)
        done = ends.backfill()

        assert (done.returncode, done.stderr) == (0, "")
        assert "10 cycles: 0 settled already, 0 waiting, 10 never begun" in done.stdout
        assert "the running triton-bridge is asked to do it, and begins at its next turn" in done.stdout
        assert "10 of 10 cycles" in done.stdout
        assert ends.posted() == ends.wanted

        refused = ends.backfill()
        assert refused.stdout.endswith("nothing is left to post\n")
        again = ends.backfill("--yes")
        assert (again.returncode, ends.posted()) == (0, sorted(ends.wanted * 2))
        daemon.wait_for("asked for again: ", times=2)


def test_the_end_of_the_watching_is_not_that_of_the_work(ends: Ends) -> None:
    with running(ends) as daemon:
        daemon.wait_for("settled", times=2)
        with Terminal(ends) as terminal:
            terminal.read_until("/10")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 1

        assert "the triton-bridge goes on with it" in terminal.shown
        wait(lambda: ends.posted() == ends.wanted, "it did not go on")


def test_a_running_bridge_that_is_killed_is_told_of_and_the_command_itself_goes_on(ends: Ends) -> None:
    with running(ends) as daemon:
        daemon.wait_for("settled", times=2)
        os.kill(daemon.process.pid, signal.SIGSTOP)  # so that it cannot take what it is asked for
        with Terminal(ends, "--yes") as terminal:
            terminal.read_until("is asked to do it")
            os.kill(daemon.process.pid, signal.SIGKILL)
            assert terminal.end() == 1

    assert "the triton-bridge that was asked has ended" in terminal.shown
    assert ends.posted() == []
    done = ends.backfill()
    assert "10 cycles: 0 settled already, 10 waiting, 0 never begun" in done.stdout
    assert ends.posted() == ends.wanted
    # What was ordered is done, and not done again by whoever comes next.
    assert "10 settled already" in ends.backfill().stdout
