"""The sidecar's container: hardened, bounded, and probed and told to stop by the commands that the manifests give."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.backlog import Backlog
from bridge.instruments import Instruments
from bridge.selection import parse
from bridge.status import Board, Memory
from bridge.web import Web
from examples.stack import ROOT, free_ports
from tests.deploy.manifests import NAME, Manifests, containers, only, pod
from tests.scripted.clock import Clock

# -- the container -----------------------------------------------------------------------------------------------------


def test_the_container_meets_the_restricted_pod_security_standard(sidecar: dict[str, Any]) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and a read-only root beyond it."""
    assert sidecar["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": 65532,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_memory_is_limited_and_the_processor_is_not(sidecar: dict[str, Any]) -> None:
    assert set(sidecar["resources"]["requests"]) == {"cpu", "memory"}
    assert set(sidecar["resources"]["limits"]) == {"memory"}


def test_what_it_writes_is_bounded_above_what_prometheus_allows_itself(form: Manifests) -> None:
    """A disk volume over its limit evicts the pod, Triton with it: Prometheus must stop long before."""
    volumes = {volume["name"]: volume.get("emptyDir") for volume in pod(form)["volumes"]}
    (allowed_gb,) = re.findall(r"--storage\.tsdb\.retention\.size=(\d+)GB", (ROOT / "prometheus/flags").read_text())

    assert volumes[f"{NAME}-state"] == {"sizeLimit": f"{2 * int(allowed_gb)}Gi"}
    assert volumes[f"{NAME}-tmp"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_the_selection_is_mounted_as_a_folder_so_that_an_edit_arrives(sidecar: dict[str, Any]) -> None:
    """A subPath never sees the swap of the symlink by which a ConfigMap changes."""
    mounts = {mount["mountPath"]: mount for mount in sidecar["volumeMounts"]}

    assert set(mounts) == {"/etc/bridge", "/var/lib/bridge", "/tmp"}
    assert [mount for mount in mounts.values() if "subPath" in mount] == []
    assert mounts["/etc/bridge"]["readOnly"]


def test_the_selection_keeps_its_name_so_that_an_edit_starts_no_new_pod(form: Manifests) -> None:
    selection = only(form, "ConfigMap")
    (volume,) = [volume["configMap"] for volume in pod(form)["volumes"] if "configMap" in volume]

    assert selection["metadata"] == {"name": f"{NAME}-metrics", "namespace": "triton"}
    assert volume["name"] == selection["metadata"]["name"]
    assert parse(selection["data"]["metrics.json"]).entries


def test_the_role_instance_is_the_pod(sidecar: dict[str, Any]) -> None:
    names = [entry["name"] for entry in sidecar["env"]]
    values = {entry["name"]: entry.get("value") or entry["valueFrom"] for entry in sidecar["env"]}

    assert values["OTEL_RESOURCE_ATTRIBUTES"] == "service.instance.id=$(POD_NAME)"
    assert values["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert names.index("POD_NAME") < names.index("OTEL_RESOURCE_ATTRIBUTES")  # else it is not filled in


def test_port_names_fit(form: Manifests) -> None:
    ports = [port for container in containers(pod(form)) for port in container.get("ports", [])]
    names, numbers = [port["name"] for port in ports], [port["containerPort"] for port in ports]

    assert [name for name in names if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", name)] == []
    assert sorted(set(names)) == sorted(names)
    assert sorted(numbers) == [8000, 8001, 8002, 9090, 9464]


def test_a_service_names_its_target_ports_by_number(native: Manifests) -> None:
    """Before 1.32 a Service does not find the named port of a native sidecar."""
    ports = only(native, "Service")["spec"]["ports"]

    assert [port["targetPort"] for port in ports] == [8000, 8001]


# -- the probe and the hook --------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def web(clock: Clock) -> Iterator[Web]:
    """The bridge's own server, with an interval of 60 s."""
    backlog = Backlog(None)
    board = Board(clock, lambda: Memory(backlog.account), clock)
    web = Web("127.0.0.1", 0, board=board, registry=Instruments().registry)
    yield web
    web.close()


def probe(sidecar: dict[str, Any], port: int, seconds: float = 4.0) -> int:
    """The exit code of the very command that Kubernetes would run, by our Python, on a port of ours."""
    (_, *arguments, asked, limit) = sidecar["livenessProbe"]["exec"]["command"]
    assert asked == "9464"
    assert float(limit) < sidecar["livenessProbe"]["timeoutSeconds"]
    command = [sys.executable, *arguments, str(port), str(seconds)]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


def port_of(web: Web) -> int:
    return int(web.url.rstrip("/").rpartition(":")[2])


def test_a_bridge_that_makes_progress_is_alive(sidecar: dict[str, Any], web: Web) -> None:
    assert probe(sidecar, port_of(web)) == 0


def test_a_bridge_that_makes_no_progress_is_started_again(sidecar: dict[str, Any], web: Web, clock: Clock) -> None:
    clock.now += 3600

    assert probe(sidecar, port_of(web)) == 1


def test_a_bridge_that_accepts_and_never_answers_is_started_again(sidecar: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert probe(sidecar, deaf.getsockname()[1], seconds=0.1) == 1


def test_a_bridge_that_does_not_run_is_no_reason_to_restart_the_container(sidecar: dict[str, Any]) -> None:
    """Without a key it would restart for ever, and each time make the pod, Triton with it, not ready."""
    assert probe(sidecar, free_ports(1)[0]) == 0


def test_the_hook_signals_the_bridge_where_the_image_keeps_it(native: Manifests) -> None:
    """SIGUSR1: Triton is told to stop (bridge.ending)."""
    *command, service = pod(native)["initContainers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    folder, name = Path(service).parent, Path(service).name
    program = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docker").glob("*.py"))

    assert command == ["s6-svc", "-1"]
    assert f"{folder}/ " in program
    assert (ROOT / "docker" / "services" / name).is_dir()
