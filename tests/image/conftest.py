"""Base images made for the tests, and both of our images, built from them by the shipped build.sh.

Docker keeps what it has built: of the processes of a run, the first builds, and for the others, as for the next run, it
takes seconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from examples import stack
from tests.image.azure import Azure
from tests.image.engine import Engine, sandbox

BASES = Path(__file__).parent / "bases"
NAME = "triton-bridge-test"
VERSION = "1.2.3"


class Images(NamedTuple):
    """The two images under test, by the tags that build.sh gave them."""

    bundle: str
    sidecar: str


@pytest.fixture(scope="session")
def engine() -> Engine:
    """A Docker engine that runs."""
    return Engine(str(stack.tool("docker.sh")))


@pytest.fixture(scope="session")
def bases(engine: Engine) -> dict[str, str]:
    """The build arguments that name base images, all made of this machine's own distribution."""
    script = BASES / "debian.sh"
    debian = f"{NAME}/debian:{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"
    folders = {"python": BASES, "prometheus": _prometheus(), "triton": stack.tool("triton.sh").parent}
    with _one_process():
        if engine.run("image", "inspect", debian).returncode:
            done = subprocess.run([script, engine.client, debian], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        for name, folder in folders.items():
            dockerfile = BASES / f"{name}.Dockerfile"
            engine("build", "--tag", f"{NAME}/{name}", "--build-arg", f"BASE={debian}", "--file", dockerfile, folder)
    return {f"{name.upper()}_IMAGE": f"{NAME}/{name}" for name in folders}


@pytest.fixture(scope="session")
def images(engine: Engine, bases: Mapping[str, str]) -> Images:
    """Both images, built as a user builds them."""
    with _one_process():
        done = build(engine, NAME, VERSION, bases)
    assert done.returncode == 0, done.stderr
    return Images(f"{NAME}:{VERSION}", f"{NAME}:{VERSION}-sidecar")


@pytest.fixture
def azure(engine: Engine, images: Images) -> Iterator[Azure]:
    """A sandbox for one test, in a network of its own."""
    with engine.network() as network, sandbox(engine, images.sidecar, network) as (endpoint, string):
        yield Azure(endpoint, network, string)


def build(
    engine: Engine, name: str, version: str, bases: Mapping[str, str], root: Path = stack.ROOT
) -> subprocess.CompletedProcess[str]:
    """Run the build.sh of a checkout, with this machine's certificates."""
    trusted = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    ca = ["--ca", trusted] if trusted and Path(trusted).exists() else []
    arguments = [f"--build-arg={argument}={image}" for argument, image in bases.items()]
    command = [root / "build.sh", *ca, name, version, *arguments]
    environment = {**os.environ, "DOCKER": engine.client}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def _one_process() -> Iterator[None]:
    """One test process at a time, of however many: two would fetch and build the same things beside one another."""
    with (stack.ROOT / ".cache" / "images.lock").open("w") as lock:  # docker.sh has made the folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prometheus() -> Path:
    try:
        return stack.tool("prometheus.sh", "3")
    except stack.StackError:  # the distribution has none, and no mirror of Debian's is at hand
        return stack.tool("prometheus.sh")
