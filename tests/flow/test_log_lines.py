"""The log of a daemon, for machines: each line of one schema, each line of a cycle with its id."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.sandbox import Sandbox
from tests.scripted.program import Daemon
from tests.scripted.prometheus import ScriptedPrometheus

DOCUMENT = (Path(__file__).parents[2] / "docs" / "logs.md").read_text(encoding="utf-8")
SCHEMA = json.loads(DOCUMENT.partition("```json\n")[2].partition("```")[0])
REFUSED = (503, b'{"status": "error", "errorType": "unavailable", "error": "shutting down"}')


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """What a daemon writes that meets a fault of everything around it, and is told to stop then."""
    folder = tmp_path_factory.mktemp("logs")
    selection = folder / "metrics.json"
    selection.write_text('{"customMetrics": ["m", "absent"]}')
    with ScriptedPrometheus(time.time) as prometheus, Sandbox(scriptable=True) as sandbox:
        times = [float(int(time.time()) + offset) for offset in range(-60, 120)]
        prometheus.scrape_interval, prometheus.scrape_timeout = "1s", "500ms"
        prometheus.scrape(times)
        prometheus.add("m", [(moment, 7.0) for moment in times], model="bert")
        refused = {"status": 400, "message": "too long"}
        sandbox.script([{}, {"items": {"0": refused}}, *[{"status": 503}] * 4, {"reset": "after"}])
        key = sandbox.connection_string.partition("InstrumentationKey=")[2].partition(";")[0]
        with Daemon(
            folder / "log",
            APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string,
            INSTRUMENTATION_KEY=key.replace(key[0], "f"),  # which is warned of
            BRIDGE_PROMETHEUS_URL=prometheus.url,
            BRIDGE_METRICS_FILE=str(selection),
            BRIDGE_INTERVAL="2s",
            BRIDGE_SETTLE_DELAY="0s",
            BRIDGE_LOG_LEVEL="debug",
            BRIDGE_LOG_FORMAT="json",
        ) as daemon:
            daemon.wait_for("rejected: 400")
            daemon.wait_for("gap at ")
            daemon.wait_for("repair: ")
            prometheus.failures.extend([REFUSED] * 20)
            daemon.wait_for("Prometheus answered 503")
            selection.write_text('{"customMetrics": []')
            daemon.wait_for("was changed and cannot be used")
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(15) == 0
            yield [json.loads(line) for line in daemon.log.splitlines()]


def test_every_line_is_of_the_documented_schema(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        jsonschema.validate(line, SCHEMA)


def test_what_is_written_of_a_cycle_has_its_id(lines: list[dict[str, Any]]) -> None:
    """Live, while it is tried again, rejected, in a repair, and in the change of state that it brings."""
    of_a_cycle = ("cycle ", "gap at ", "trying again in ", "m rejected: ", "state: ", "nothing to send of ")
    for beginning in of_a_cycle:
        found = [line for line in lines if line["message"].startswith(beginning)]
        assert found, beginning
        assert [line["message"] for line in found if "cycle" not in line] == []


def test_the_id_is_the_time_that_the_message_names(lines: list[dict[str, Any]]) -> None:
    named = [
        (line["cycle"], found[1]) for line in lines if (found := re.match(r"(?:cycle|gap at) (\S+Z):", line["message"]))
    ]

    assert len(named) > 4
    assert [cycle for cycle, _ in named] == [moment for _, moment in named]


def test_what_is_written_between_cycles_has_none(lines: list[dict[str, Any]]) -> None:
    beginnings = ("triton-bridge ", "setting ", "selection ", "status page at ", "repair: ", "SIGTERM")
    for beginning in beginnings:
        found = [line for line in lines if line["message"].startswith(beginning)]
        assert found, beginning
        assert [line["message"] for line in found if "cycle" in line] == []


def test_warnings_about_settings_are_lines_too(lines: list[dict[str, Any]]) -> None:
    (line,) = [line for line in lines if "names another key" in line["message"]]

    assert line["level"] == "warning"


def test_a_daemon_that_cannot_start_says_why_in_the_same_form(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with Daemon(
        tmp_path / "log", BRIDGE_SANDBOX="1", BRIDGE_METRICS_FILE=str(missing), BRIDGE_LOG_FORMAT="json"
    ) as daemon:
        assert daemon.process.wait(60) == 2
        (line,) = map(json.loads, daemon.log.splitlines())

    jsonschema.validate(line, SCHEMA)
    assert line["level"] == "error"
    assert "no such file" in line["message"]
