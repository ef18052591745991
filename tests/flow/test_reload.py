"""metrics.json changes under a running bridge: what it sends then, and what it says in log, status and metric."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bridge.sandbox import Sandbox
from examples.stack import wait
from tests.flow.conftest import INTERVAL, MakeBridge, T
from tests.scripted.program import Daemon
from tests.scripted.prometheus import ScriptedPrometheus

WRONG = ["m", "a b", {"metric": "n", "moed": "rate"}]
FINDINGS = [
    "metrics.json: customMetrics[1]: 'a b' cannot be the name of a metric",
    "metrics.json: customMetrics[2].moed: unknown field — did you mean 'mode'?",
]


def text(*metrics: object) -> str:
    return json.dumps({"customMetrics": list(metrics)})


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The loop takes the garbage collector into its own hands."""
    yield
    gc.enable()


def test_what_was_bad_for_a_moment_changes_nothing(make_bridge: MakeBridge, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is gone, one that is a folder (as Docker makes it of a file that is not there), one half written."""
    bridge = make_bridge("m", now=T, scraped=False)
    times = [T + minute * INTERVAL - 5 for minute in range(9)]
    bridge.prometheus.scrape(times)
    for name in ("m", "n"):
        bridge.prometheus.add(name, [(moment, 1.0) for moment in times])
    loop = bridge.turns()
    digest = loop.board.snapshot().selection
    contents = [text("m"), None, text("m"), "/", text("m"), text("m", "n")[:-1], text("m", "n")[:-1], text("m", "n")]
    told = []
    for minute, content in enumerate(contents):
        if bridge.file.is_dir():
            bridge.file.rmdir()
        bridge.file.unlink(missing_ok=True)
        if content == "/":
            bridge.file.mkdir()
        elif content:
            bridge.file.write_text(content)
        bridge.clock.now = T + minute * INTERVAL
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="bridge.turns"):
            loop.turn()
        state = loop.board.snapshot()
        bad = len(state.selection_problems)
        assert bridge.own("config_last_reload_successful") == (0 if bad else 1)
        assert (state.selection == digest) == (minute < len(contents) - 1)
        said = [record.getMessage() for record in caplog.records if "was changed" in record.getMessage()]
        told.append((bad, [line.partition(" was changed")[2] for line in said]))

    bad = " and cannot be used: "
    again = f": selection {digest} from the next grid time on; added: none; removed: none; changed: none"
    assert [(count, [line.partition(" — ")[0] for line in lines]) for count, lines in told] == [
        (0, []),
        (1, [f"{bad}{bridge.file}: no such file"]),
        (0, [again]),
        (1, [f"{bad}{bridge.file}: cannot be read: Is a directory"]),
        (0, [again]),
        (1, [f"{bad}metrics.json: line 1 column 29: not JSON: Expecting ',' delimiter, and there the line ends"]),
        (1, []),
        (0, [again.replace(digest, loop.board.snapshot().selection).replace("added: none", "added: n")]),
    ]
    # The last change was seen at the last grid time, when the interval before it was over.
    assert (len(bridge.rows("m")), len(bridge.rows("n"))) == (len(contents), 0)


@pytest.fixture
def prometheus() -> Iterator[ScriptedPrometheus]:
    """A Prometheus on real time whose metrics were scraped each second of the last and the next minutes."""
    with ScriptedPrometheus(time.time) as scripted:
        scripted.scrape_interval, scripted.scrape_timeout = "1s", "500ms"
        times = [float(int(time.time()) + offset) for offset in range(-60, 120)]
        scripted.scrape(times)
        for name in ("m", "n"):
            scripted.add(name, [(moment, 7.0) for moment in times])
        yield scripted


def test_a_running_daemon_tells_of_every_change(tmp_path: Path, prometheus: ScriptedPrometheus) -> None:
    """A bad change with all its errors, once, however long it stands; the old content again; a good one."""
    file = tmp_path / "metrics.json"
    file.write_text(text("m"))
    with (
        Sandbox() as sandbox,
        Daemon(
            tmp_path / "log",
            APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string,
            BRIDGE_PROMETHEUS_URL=prometheus.url,
            BRIDGE_METRICS_FILE=str(file),
            BRIDGE_INTERVAL="1s",
            BRIDGE_SETTLE_DELAY="0s",
        ) as daemon,
    ):

        def problems() -> list[str]:
            found: list[str] = requests.get(f"{daemon.url}/status.json", timeout=10).json()["selection_problems"]
            return found

        def good() -> str:
            lines = requests.get(f"{daemon.url}/metrics", timeout=10).text.splitlines()
            [line] = [line for line in lines if line.startswith("triton_bridge_config_last_reload_successful ")]
            return line.partition(" ")[2]

        def arrived(name: str) -> int:
            return sum(row["name"] == name for row in sandbox.rows())

        def change(*metrics: object) -> None:
            new = tmp_path / "new"
            new.write_text(text(*metrics))
            new.replace(file)

        daemon.wait_for("settled")
        assert (problems(), good()) == ([], "1.0")

        change(*WRONG)
        daemon.wait_for("cannot be used", times=2)
        wait(lambda: problems() != [], "the status does not tell")
        before = arrived("m")
        wait(lambda: arrived("m") >= before + 3, "the last good selection is not sent")
        assert [line.partition(" — letters")[0] for line in problems()] == FINDINGS
        assert good() == "0.0"
        assert [daemon.log.count(f"{file} was changed and cannot be used: {one}") for one in FINDINGS] == [1, 1]

        change("m")
        wait(lambda: problems() == [], "the old content does not clear the state")
        assert good() == "1.0"

        change({"metric": "m", "mode": "increase"}, "n")
        daemon.wait_for("added: n; removed: none; changed: m")
        wait(lambda: arrived("n") >= 2, "the new selection is not sent")
        assert daemon.process.poll() is None
