"""The compose file: valid by the compose specification, hardened, and Triton never waits for the bridge."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import __version__
from bridge.ending import DRAIN_SECONDS
from bridge.selection import parse
from examples.stack import ROOT

FILE = ROOT / "docker" / "compose.yml"
TRITON_DRAINS = 30  # seconds, the default of --exit-timeout-secs
OURS = ["bundle", "bridge", "pod"]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return document["services"]  # type: ignore[no-any-return]


def default(text: str) -> str:
    """What ``${NAME:-default}`` is where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """By the schema that check-jsonschema brings."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_it_is_valid_by_the_compose_specification() -> None:
    done = check(FILE)

    assert done.returncode == 0, done.stdout


def test_a_misspelt_key_would_be_seen(tmp_path: Path) -> None:
    broken = tmp_path / "compose.yml"
    broken.write_text(FILE.read_text(encoding="utf-8").replace("stop_signal:", "stop-signal:"), encoding="utf-8")

    done = check(broken)

    assert done.returncode == 1
    assert "'stop-signal' was unexpected" in done.stdout


def test_each_way_to_run_is_a_profile(services: dict[str, dict[str, Any]]) -> None:
    profiles = {name: service["profiles"] for name, service in services.items()}

    assert profiles == {"bundle": ["bundle"], "pod": ["sidecar"], "triton": ["sidecar"], "bridge": ["sidecar"]}


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_is_hardened(name: str, services: dict[str, dict[str, Any]]) -> None:
    service = services[name]

    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_triton_and_the_bridge_share_a_network_that_outlives_both(services: dict[str, dict[str, Any]]) -> None:
    """A container that joins another one's network is cut off when that one restarts."""
    assert services["triton"]["network_mode"] == services["bridge"]["network_mode"] == "service:pod"
    assert services["pod"]["entrypoint"] == ["sleep", "infinity"]
    assert services["pod"]["ports"] == services["bundle"]["ports"]
    assert "ports" not in services["triton"] | services["bridge"]


def test_neither_of_the_two_waits_for_the_other(services: dict[str, dict[str, Any]]) -> None:
    assert [name for name, service in services.items() if "depends_on" in service] == []
    assert "8000/v2/health/ready" in services["triton"]["healthcheck"]["test"][-1]


def test_only_triton_is_reachable_from_other_machines(services: dict[str, dict[str, Any]]) -> None:
    public = [port for port in services["bundle"]["ports"] if not port.startswith("127.0.0.1:")]

    assert public == ["8000:8000", "8001:8001", "8002:8002"]


@pytest.mark.parametrize("name", ["bundle", "bridge"])
def test_state_selection_and_key_reach_the_bridge(name: str, services: dict[str, dict[str, Any]]) -> None:
    service = services[name]
    (selection,) = [mount for mount in service["volumes"] if mount != "state:/var/lib/bridge" and _at(mount, "/etc")]

    assert "state:/var/lib/bridge" in service["volumes"]
    assert (selection["target"], selection["read_only"]) == ("/etc/bridge", True)
    assert service["env_file"] == [{"path": "${BRIDGE_ENV_FILE:-bridge.env}", "required": False}]
    assert service["secrets"] == ["APPLICATIONINSIGHTS_CONNECTION_STRING"]


def _at(mount: dict[str, Any], folder: str) -> bool:
    return bool(mount["target"].startswith(folder))


def test_a_container_is_given_the_time_that_its_end_takes(services: dict[str, dict[str, Any]]) -> None:
    seconds = {name: int(service.get("stop_grace_period", "10s")[:-1]) for name, service in services.items()}

    assert seconds["bundle"] >= TRITON_DRAINS + DRAIN_SECONDS
    assert seconds["triton"] >= TRITON_DRAINS
    assert seconds["bridge"] >= DRAIN_SECONDS


def test_what_is_mounted_by_default_is_there(services: dict[str, dict[str, Any]]) -> None:
    binds = [mount for mount in services["bundle"]["volumes"] if isinstance(mount, dict)]
    sources = {mount["target"]: FILE.parent / default(mount["source"]) for mount in binds}

    assert set(sources) == {"/etc/bridge", "/models"}
    assert parse((sources["/etc/bridge"] / "metrics.json").read_text(encoding="utf-8")).entries
    assert sorted(path.parent.name for path in Path(sources["/models"]).glob("*/config.pbtxt")) == ["ident", "scorer"]


def test_images_are_this_version_and_can_be_named_otherwise(services: dict[str, dict[str, Any]]) -> None:
    images = {name: default(service["image"]) for name, service in services.items()}

    assert [service["image"] for service in services.values() if not service["image"].startswith("${")] == []
    assert images["bundle"] == "triton-bridge:latest"
    assert images["bridge"] == images["pod"] == f"triton-bridge:{__version__}-sidecar"


def test_without_a_key_file_there_is_no_key(document: dict[str, Any]) -> None:
    (secret,) = document["secrets"].values()

    assert secret == {"file": "${BRIDGE_KEY_FILE:-/dev/null}"}
