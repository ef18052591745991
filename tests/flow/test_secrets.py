"""No secret leaves the program, in any of its outputs: not even where both ends say again what they were told."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bridge.sandbox import Sandbox
from tests.scripted.program import Daemon, environment
from tests.scripted.prometheus import Reply, ScriptedPrometheus

KEY = "1a2b3c4d-1111-2222-3333-444455556666"
PASSWORD, TOKEN, HEADER, PROXY = "pass-Wörd%1", "tok.en-abc123", "tenant-secret-77", "proxy-Pass-9"
BASIC = b64encode(f"operator:{PASSWORD}".encode("latin-1")).decode()
SECRETS = (KEY, PASSWORD, TOKEN, HEADER, BASIC, PROXY)
DOORS = {
    "password": {"BRIDGE_PROMETHEUS_USERNAME": "operator", "BRIDGE_PROMETHEUS_PASSWORD": PASSWORD},
    "token": {"BRIDGE_PROMETHEUS_BEARER_TOKEN": TOKEN},
}
SHOWN = ("", "status.json", "metrics", "livez", "readyz")


class Door(ScriptedPrometheus):
    """A Prometheus that refuses every third question with all the headers that came with it."""

    def __init__(self) -> None:
        super().__init__(time.time)
        self.questions = 0

    def reply(self, path: str, query: dict[str, str]) -> Reply:
        self.questions += 1
        if self.questions % 3:
            return super().reply(path, query)
        return 503, json.dumps({"status": "error", "errorType": "bad", "error": f"what is {self.headers}?"}).encode()


class Ends:
    """Both ends, the settings that name them, and a folder for what is kept."""

    def __init__(self, door: Door, sandbox: Sandbox, folder: Path) -> None:
        times = [float(int(time.time()) + offset) for offset in range(-120, 300)]
        door.scrape_interval, door.scrape_timeout = "1s", "500ms"
        door.scrape(times)
        door.add("m", [(moment, 7.0) for moment in times], model="bert")
        selection = folder / "metrics.json"
        selection.write_text('{"customMetrics": ["m"]}')
        self.door, self.sandbox, self.state = door, sandbox, folder / "state"
        self.given = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};IngestionEndpoint={sandbox.url}",
            "BRIDGE_PROMETHEUS_URL": door.url,
            "BRIDGE_PROMETHEUS_HEADERS": f"X-Scope-OrgID={HEADER}",
            "BRIDGE_METRICS_FILE": str(selection),
            "BRIDGE_INTERVAL": "1s",
            "BRIDGE_SCRAPE_INTERVAL": "1s",
            "BRIDGE_SETTLE_DELAY": "0s",
            "BRIDGE_STATE_DIR": str(self.state),
            "BRIDGE_LOG_LEVEL": "debug",
        }

    def say_again(self) -> None:
        """Let the service say the key again, beside what a proxy may put there: of a point, then of each whole post."""
        said = f"iKey {KEY.upper()} via http://user:{PROXY}@proxy:3128"
        point = {"items": {"0": {"status": 400, "message": said}}}
        self.sandbox.script([point, {"status": 401, "body": said, "times": 1000}])

    def run(self, *arguments: str, **given: str) -> str:
        """All that a command writes."""
        command = [sys.executable, "-m", "bridge", *arguments]
        variables = environment({**self.given, **given}, str(self.state))
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    with Door() as door, Sandbox(scriptable=True) as sandbox:
        yield Ends(door, sandbox, tmp_path)


def found(text: str) -> list[str]:
    """The secrets that stand in a text, whatever their case."""
    return [secret for secret in SECRETS if secret.lower() in text.lower()]


@pytest.mark.parametrize(("door", "log_format"), [("password", "text"), ("token", "json")])
def test_a_bridge_that_runs_shows_none(ends: Ends, door: str, log_format: str, tmp_path: Path) -> None:
    ends.say_again()
    given = {**ends.given, **DOORS[door], "BRIDGE_LOG_FORMAT": log_format}
    with Daemon(tmp_path / "log", **given) as daemon:
        daemon.wait_for("rejected: 400")
        daemon.wait_for(" misconfigured: ")
        daemon.wait_for("what is {")
        url = re.search(r"status page at (http://[\d.:]+)", daemon.log)[1]
        pages = {path: requests.get(f"{url}/{path}", timeout=10).text for path in SHOWN}
        shown = ends.run("status", "--url", url) + ends.run("status", "--json", "--url", url)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(15) == 0
        log = daemon.log

    assert "what is {" in log  # the ends do say it again
    assert {path: found(text) for path, text in pages.items()} == {path: [] for path in SHOWN}
    assert found(log) == found(shown) == []
    for file in ends.state.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            kept = raw if raw[:2] != b"\x1f\x8b" else gzip.decompress(raw).replace(KEY.encode(), b"")  # as on the wire
            assert (file.name, found(kept.decode(errors="replace"))) == (file.name, [])


@pytest.mark.parametrize(
    "command",
    [
        ("once",),
        ("once", "--dry-run"),
        ("check",),
        ("check", "--json"),
        ("explain", "m"),
        ("explain", "m", "--json"),
        ("catalog",),
        ("status",),
        ("backfill", "--last", "1s", "--yes"),
    ],
    ids=" ".join,
)
def test_no_command_writes_one(ends: Ends, command: tuple[str, ...]) -> None:
    ends.say_again()

    text = ends.run(*command, **DOORS["password"])

    assert text
    assert found(text) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"BRIDGE_INTERVAL": "often"},
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};IngestionEndpoint=ftp://x:{PROXY}@host"},
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY}f"},
        {"BRIDGE_PROMETHEUS_URL": f"http://operator:{PASSWORD}@prometheus:9090"},
        {"BRIDGE_PROMETHEUS_HEADERS": HEADER},
        {"BRIDGE_PROMETHEUS_USERNAME": "operator", "BRIDGE_PROMETHEUS_PASSWORD": PASSWORD, **DOORS["token"]},
        {"BRIDGE_PROMETHEUS_PASSWORD": PASSWORD},
    ],
    ids=str,
)
def test_what_is_wrong_with_settings_is_told_without_one(ends: Ends, wrong: dict[str, str]) -> None:
    text = ends.run("run", **wrong)

    assert text.startswith("error: ")
    assert found(text) == []
