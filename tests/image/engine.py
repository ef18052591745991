"""Takes a Docker client, gives containers and networks that live as long as a ``with`` block."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from examples import stack

KEY = "00000000-0000-0000-0000-00000000000a"
SECONDS = 60.0
FILLER = "/small/filler"


@dataclass(frozen=True)
class Engine:
    """A client, and through it an engine."""

    client: str

    def __call__(self, *arguments: str | Path, timeout: float = 600) -> str:
        """Run the client; its output. StackError with its own words where it fails."""
        done = self.run(*arguments, timeout=timeout)
        if done.returncode:
            raise stack.StackError(f"docker {arguments[0]} ended with {done.returncode}\n{done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, *arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run the client, whatever it ends with."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        command = [self.client, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)

    def inspect(self, name: str) -> Any:
        """What the engine knows of a container or an image."""
        return json.loads(self("inspect", name))[0]

    @contextmanager
    def container(self, image: str, *command: str, options: Sequence[str] = ()) -> Iterator[Container]:
        """A container that runs ``command``, with ``options`` of docker run; its volumes go with it.

        All ports that its image exposes are published on loopback addresses.
        """
        name = f"tb-{uuid.uuid4().hex[:12]}"
        ports = [f"--publish=127.0.0.1::{port}" for port in self.inspect(image)["Config"].get("ExposedPorts") or ()]
        published = [] if any(option.startswith("--network") for option in options) else ports
        try:
            self("run", "--detach", "--name", name, *published, *options, image, *command)
            yield Container(self, name)
        finally:
            self.run("rm", "--force", "--volumes", name)

    @contextmanager
    def network(self) -> Iterator[str]:
        """A network of its own, where containers know one another by ``--network-alias``; its name."""
        name = f"tb-{uuid.uuid4().hex[:12]}"
        self("network", "create", name)
        try:
            yield name
        finally:
            self("network", "rm", name)

    @contextmanager
    def volume(self, *options: str) -> Iterator[str]:
        """A named volume, with ``options`` of docker volume create; its name."""
        name = f"tb-{uuid.uuid4().hex[:12]}"
        self("volume", "create", *options, name)
        try:
            yield name
        finally:
            self("volume", "rm", name)


@dataclass(frozen=True)
class Container:
    """A container by name."""

    engine: Engine
    name: str

    @property
    def log(self) -> str:
        """All that it has written, both streams."""
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr

    @property
    def lines(self) -> list[str]:
        """The same, by lines."""
        return self.log.splitlines()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return bool(self.engine.inspect(self.name)["State"]["Running"])

    def exec(self, *command: str, user: str = "") -> str:
        """The output of a command in it."""
        return self.engine("exec", *([f"--user={user}"] if user else []), self.name, *command)

    def address(self, port: int) -> str:
        """Where the host reaches a port of it: a published one, or else its own address."""
        published = self.engine.run("port", self.name, str(port)).stdout.split()
        if published:
            return published[0]
        networks = self.engine.inspect(self.name)["NetworkSettings"]["Networks"].values()
        return f"{next(network['IPAddress'] for network in networks)}:{port}"

    def get(self, port: int, path: str) -> str:
        """The body of an HTTP answer. OSError where there is none."""
        return stack.get(f"http://{self.address(port)}{path}")

    def query(self, promql: str, port: int = 9090) -> list[tuple[dict[str, str], float]]:
        """An instant query of its Prometheus: labels and value of each row; none while it does not answer."""
        try:
            body = json.loads(self.get(port, f"/api/v1/query?{urlencode({'query': promql})}"))
        except OSError:
            return []
        return [(row["metric"], float(row["value"][1])) for row in body["data"]["result"]]

    def pids(self, command: str) -> list[int]:
        """The processes in it, as it numbers them, whose command line begins so."""
        listed = self.exec("sh", "-c", "for p in /proc/[0-9]*; do echo ${p#/proc/} $(tr '\\0' ' ' < $p/cmdline); done")
        found = (line.partition(" ") for line in listed.splitlines())
        return [int(pid) for pid, _, line in found if line.startswith(command)]

    def resident(self) -> dict[str, int]:
        """Resident memory of each program, in kB."""
        found = self.exec("sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null")
        sizes: dict[str, int] = {}
        for block in found.split("Name:")[1:]:
            name, *lines = block.strip().splitlines()
            size = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
            sizes[name.strip()] = sizes.get(name.strip(), 0) + size
        return sizes

    def kill(self, command: str) -> None:
        """End the processes whose command line begins so, at once."""
        self.exec("sh", "-c", f"kill -s KILL {' '.join(map(str, self.pids(command)))}")

    def stop(self, seconds: int = 10) -> float:
        """What docker stop does; how long it took, s."""
        begun = time.monotonic()
        self.engine("stop", f"--time={seconds}", self.name)
        return time.monotonic() - begun

    def exit_code(self, seconds: float = SECONDS) -> int:
        """Its exit code, once it has ended; waits for that."""
        stack.wait(lambda: not self.running, f"{self.name} runs still\n{self.log}", seconds=seconds)
        return int(self.engine.inspect(self.name)["State"]["ExitCode"])

    def wait(self, text: str, times: int = 1, seconds: float = SECONDS) -> None:
        """Until its log holds the text so many times."""

        def told() -> bool:
            if self.log.count(text) >= times:
                return True
            if not self.running:
                raise stack.StackError(f"it ended without {text!r}:\n{self.log}")
            return False

        try:
            stack.wait(told, f"no {text!r}", seconds=seconds)
        except stack.StackError as error:
            raise stack.StackError(f"{error}\n{self.log}") from None

    def wait_ready(self, port: int = 8000) -> None:
        """Until Triton is ready."""

        def ready() -> bool:
            if not self.running:
                raise stack.StackError(f"it ended:\n{self.log}")
            try:
                self.get(port, "/v2/health/ready")
            except OSError:
                return False
            return True

        stack.wait(ready, "Triton is not ready", seconds=SECONDS)


def environment(**given: str) -> list[str]:
    """Options of docker run that set variables."""
    return [f"--env={name}={value}" for name, value in given.items()]


@contextmanager
def sandbox(engine: Engine, image: str, network: str) -> Iterator[tuple[Container, str]]:
    """An Application Insights endpoint in a network, and the connection string by which containers there reach it."""
    command = ["triton-bridge", "sandbox", "--scriptable", "--listen=0.0.0.0:9465"]
    with engine.container(image, *command, options=[f"--network={network}", "--network-alias=sandbox"]) as endpoint:
        endpoint.wait("9465")
        yield endpoint, f"InstrumentationKey={KEY};IngestionEndpoint=http://sandbox:9465/"


def rows(endpoint: Container) -> list[dict[str, Any]]:
    """What the sandbox has accepted."""
    found: list[dict[str, Any]] = json.loads(endpoint.get(9465, "/_rows"))
    return found


@contextmanager
def small_volume(engine: Engine, image: str, size: str) -> Iterator[tuple[str, Container]]:
    """A volume of that size, in memory, and a container that holds it: its content would go with the last user."""
    kind = [f"--opt={each}" for each in ("type=tmpfs", "device=tmpfs", f"o=size={size},mode=1777")]
    with (
        engine.volume(*kind) as name,
        engine.container(image, "sleep", "infinity", options=[f"--volume={name}:/small"]) as holder,
    ):
        yield name, holder


def fill(holder: Container) -> None:
    """Fill its volume to the last byte."""
    said = holder.exec("sh", "-c", f"cat /dev/zero 2>&1 > {FILLER} || true")
    assert "No space left" in said
