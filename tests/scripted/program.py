"""Takes arguments and an environment, gives the program as a user runs it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory


def environment(given: dict[str, str], state: str) -> dict[str, str]:
    """Nothing but what is given, what any process has, and a folder to keep state in."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "BRIDGE_STATE_DIR": state, **given}


def triton_bridge(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    command = [sys.executable, "-m", "bridge", *arguments]
    with TemporaryDirectory() as state:
        variables = environment(given, state)
        return subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )


class Daemon:
    """``triton-bridge run``, its output in a file. ``with Daemon(file, NAME="value") as daemon: …`` kills it at the end."""

    program = ("-m", "bridge")

    def __init__(self, log: Path, **given: str) -> None:
        self._log = log
        self._state = TemporaryDirectory()
        with log.open("wb") as out:
            command = [sys.executable, *self.program, "run", "--listen", "127.0.0.1:0"]
            self.process = subprocess.Popen(command, env=environment(given, self._state.name), stdout=out, stderr=out)

    def __enter__(self) -> Daemon:  # noqa: PYI034 — Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._state.cleanup()

    @property
    def state(self) -> str:
        """The folder that it keeps state in, where none was given."""
        return self._state.name

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where its page is, without the slash at the end."""
        self.wait_for("status page at ")
        return self.log.partition("status page at ")[2].partition("\n")[0].rstrip("/")

    def wait_for(self, text: str, times: int = 1, seconds: float = 60) -> None:
        """Until its output holds the text so many times."""
        end = time.monotonic() + seconds
        while self.log.count(text) < times:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, f"no {text!r} in:\n{self.log}"
            time.sleep(0.05)
