"""A pod without a cluster: containers that share one network namespace, Triton and the sidecar among them.

The sidecar runs as deploy/kubernetes/sidecar has it: its user, no capabilities, a read-only root, and a /tmp of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples import stack
from tests.image.azure import (
    BRIDGE,
    FAST,
    MODELS,
    Azure,
    counted,
    gained,
    mounted,
    samples,
    send,
    status,
    wait_cycle,
    wait_for,
    wait_scraped,
)
from tests.image.conftest import Images
from tests.image.engine import Container, Engine, environment

HARDENED = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
SIDECAR = stack.ROOT / "deploy" / "kubernetes" / "sidecar" / "sidecar.yaml"


@dataclass(frozen=True)
class Pod:
    """``node`` owns the network namespace, and so all addresses; it has nothing else."""

    engine: Engine
    images: Images
    base: str
    azure: Azure
    node: Container
    selection: str

    def triton(self) -> AbstractContextManager[Container]:
        """A container of Triton's own image."""
        command = ["tritonserver", "--model-repository=/models"]
        return self.engine.container(self.base, *command, options=[self._shared, MODELS])

    def sidecar(self, *options: str, key: bool = True) -> AbstractContextManager[Container]:
        """A sidecar, with a key where it is to have one; later ``options`` win."""
        given = environment(APPLICATIONINSIGHTS_CONNECTION_STRING=self.azure.string) if key else []
        return self.engine.container(
            self.images.sidecar, options=[self._shared, self.selection, *HARDENED, *FAST, *given, *options]
        )

    @property
    def _shared(self) -> str:
        return f"--network=container:{self.node.name}"


@pytest.fixture
def pod(engine: Engine, images: Images, bases: Mapping[str, str], azure: Azure, tmp_path: Path) -> Iterator[Pod]:
    with engine.container(images.sidecar, "sleep", "infinity", options=[f"--network={azure.network}"]) as node:
        yield Pod(engine, images, bases["TRITON_IMAGE"], azure, node, mounted(tmp_path))


@pytest.fixture(scope="module")
def declared() -> Any:
    """The sidecar's container as the Component declares it."""
    [container] = yaml.safe_load(SIDECAR.read_text())["spec"]["template"]["spec"]["initContainers"]
    return container


def test_a_sidecar_that_is_there_before_triton_is_ready_quietly_and_counts_from_the_first_request(pod: Pod) -> None:
    """The requests come before Prometheus has looked, most often: it scrapes every five seconds here."""
    with pod.sidecar(*environment(BRIDGE_SCRAPE_INTERVAL="5s")) as sidecar:
        wait_for(lambda: "Prometheus answers" in pod.node.get(9464, "/readyz"), "it is not ready", sidecar)
        wait_for(lambda: status(pod.node)["cycles"]["settled"] >= 1, "no cycle without Triton", sidecar)
        problems = [
            line.partition(" ")[2] for line in sidecar.lines if re.search(r" (WARNING|ERROR) |level=(WARN|ERR)", line)
        ]
        with pod.triton():
            pod.node.wait_ready()
            sent = send(pod.node, 30)
            pod.azure.wait_shown(sent, sidecar)

            assert pod.azure.shown() == sent == counted(pod.node)
            assert sidecar.log.count("its counts begin at zero") == 1
    assert max(Counter(re.sub(r"\S*\d\S*", "", line) for line in problems).values(), default=0) <= 1, problems
    changes = [line for line in problems if "state: " in line]  # how many depends on what is there first
    assert len(problems) - len(changes) <= 5


def test_triton_that_is_restarted_begins_again_at_zero(pod: Pod) -> None:
    """Exact where it was scraped after its last request. Else that request is unseen, and the raw samples are the truth."""
    with pod.sidecar() as sidecar, pod.triton() as triton:
        pod.node.wait_ready()
        wait_scraped(pod.node)
        sent = send(pod.node, 30)
        wait_for(lambda: samples(pod.node)[-1][1] == sent, "no scrape", sidecar)
        pod.engine("restart", triton.name)
        pod.node.wait_ready()
        again = send(pod.node, 12)
        pod.azure.wait_shown(sent + again, sidecar)
        assert (pod.azure.shown(), counted(pod.node)) == (sent + again, again)

        unseen = send(pod.node, 9)
        pod.engine("kill", triton.name)
        assert triton.exit_code() == 137
        pod.engine("start", triton.name)
        pod.node.wait_ready()
        last = send(pod.node, 5)
        wait_for(lambda: samples(pod.node)[-1][1] == last, "no scrape", sidecar)
        wait_cycle(pod.node)

        assert pod.azure.shown() == gained(samples(pod.node))
        assert sent + again + last <= pod.azure.shown() <= sent + again + unseen + last


def test_a_sidecar_that_is_restarted_alone_counts_each_request_once(pod: Pod) -> None:
    with pod.triton(), pod.sidecar() as sidecar:
        pod.node.wait_ready()
        wait_scraped(pod.node)
        sent = send(pod.node, 10)
        pod.azure.wait_shown(sent, sidecar)
        sent += send(pod.node, 5)  # it is stopped before they are scraped
        assert sidecar.stop() < 10
        assert pod.azure.shown() == sent
        sent += send(pod.node, 7)
        pod.engine("start", sidecar.name)
        sent += send(pod.node, 3)
        pod.azure.wait_shown(sent, sidecar)
        wait_cycle(pod.node)

        assert pod.azure.shown() == sent == counted(pod.node)


def test_a_sidecar_that_is_killed_alone_in_an_outage_goes_on_from_the_volume_of_the_pod(pod: Pod) -> None:
    """As a kubelet does it: another container, with the same volume."""
    with pod.engine.volume() as state, pod.triton():
        volume = f"--volume={state}:/var/lib/bridge"
        with pod.sidecar(volume) as killed:
            pod.node.wait_ready()
            wait_scraped(pod.node)
            sent = send(pod.node, 10)
            pod.azure.wait_shown(sent, killed)
            with pod.azure.away():
                sent += send(pod.node, 5)
                killed.wait(" gap at ", times=2)
                pod.engine("kill", killed.name)
        sent += send(pod.node, 7)
        with pod.sidecar(volume) as sidecar:
            sent += send(pod.node, 3)
            sidecar.wait("status page at")
            pod.azure.wait_delivered(sent, pod.node)

            assert counted(pod.node) == sent
            assert pod.azure.delivered()[1] <= status(pod.node)["possibly_repeated"]


def test_both_stopped_at_the_same_moment_close_the_account(pod: Pod) -> None:
    """The plain form: a pod of before 1.29 stops all its containers together."""
    with pod.triton() as triton, pod.sidecar() as sidecar:
        pod.node.wait_ready()
        wait_scraped(pod.node)
        sent = send(pod.node, 20)
        pod.azure.wait_shown(sent, sidecar)
        sent += send(pod.node, 13)
        assert counted(pod.node) == sent
        pod.engine("stop", triton.name, sidecar.name)

        assert (triton.exit_code(), sidecar.exit_code()) == (0, 0)
        assert pod.azure.shown() == sent, sidecar.log


def test_a_native_sidecar_is_told_first_stopped_last_and_sees_all(pod: Pod, declared: Any) -> None:
    """The hook when the pod is told to end; Triton, which goes on for longer than the bridge waits; then the sidecar."""
    hook = declared["lifecycle"]["preStop"]["exec"]["command"]
    with pod.triton() as triton, pod.sidecar() as sidecar:
        pod.node.wait_ready()
        wait_scraped(pod.node)
        sent = send(pod.node, 20)
        pod.azure.wait_shown(sent, sidecar)
        sidecar.exec(*hook)
        sidecar.wait("Triton is told to stop")
        sent += send(pod.node, 13)
        sidecar.wait("Triton is draining still")
        assert pod.azure.shown() == sent
        sent += send(pod.node, 8)
        assert counted(pod.node) == sent
        pod.engine("stop", triton.name)
        pod.engine("stop", sidecar.name)

        assert (triton.exit_code(), sidecar.exit_code()) == (0, 0)
        assert pod.azure.shown() == sent, sidecar.log


def test_the_liveness_probe_passes_with_a_key_and_without_and_fails_for_a_bridge_that_hangs(
    pod: Pod, declared: Any
) -> None:
    probe = declared["livenessProbe"]["exec"]["command"]
    with pod.sidecar() as sidecar:
        sidecar.wait("status page at")
        assert pod.engine.run("exec", sidecar.name, *probe).returncode == 0
        [bridge] = sidecar.pids(BRIDGE)
        sidecar.exec("sh", "-c", f"kill -s STOP {bridge}")
        assert pod.engine.run("exec", sidecar.name, *probe).returncode == 1
    with pod.sidecar(key=False) as sidecar:
        sidecar.wait("bridge ended with exit code 2")
        assert pod.engine.run("exec", sidecar.name, *probe).returncode == 0
