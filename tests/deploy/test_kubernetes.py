"""The manifests as kustomize renders them: valid for each Kubernetes that we name, and never in Triton's way."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate.utils import SchemaNotFoundError, ValidationError

from bridge import __version__
from bridge.ending import DRAIN_SECONDS
from examples.stack import ROOT
from tests.deploy.manifests import EXAMPLE, MANIFESTS, NAME, Manifests, build, load, only, pod, validate

DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
TRITON_DRAINS = 30  # seconds, the default of --exit-timeout-secs
NATIVE_ONLY = {"restartPolicy", "lifecycle"}

# -- what is committed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form_of", ["native", "plain"])
def test_what_is_committed_is_what_is_rendered(form_of: str, request: pytest.FixtureRequest) -> None:
    """To renew: kustomize build deploy/kubernetes/example > deploy/kubernetes/example/rendered.yaml."""
    rendered = request.getfixturevalue(f"{form_of}_text")
    committed = {"native": "rendered.yaml", "plain": "rendered-plain.yaml"}[form_of]

    assert rendered == (EXAMPLE / committed).read_text(encoding="utf-8")


# -- the schemas -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.29", "1.33", kubernetes_validate.latest_version()])
def test_the_native_form_is_valid_for(version: str, native: Manifests) -> None:
    validate(native, version)


@pytest.mark.parametrize("version", ["1.27", "1.29", "1.33", kubernetes_validate.latest_version()])
def test_the_plain_form_is_valid_for(version: str, plain: Manifests) -> None:
    validate(plain, version)


def test_a_native_sidecar_is_refused_where_kubernetes_knows_none(native: Manifests) -> None:
    with pytest.raises(ValidationError, match="'restartPolicy' was unexpected"):
        validate(native, "1.27")


def test_a_kind_without_a_schema_is_no_silent_pass() -> None:
    with pytest.raises(SchemaNotFoundError):
        validate([{"apiVersion": "example.com/v1", "kind": "Unheard", "metadata": {"name": "x"}}], "1.33")


# -- never in Triton's way ---------------------------------------------------------------------------------------------


def test_triton_is_as_it_is_without_the_bridge(form: Manifests, bare: Manifests) -> None:
    with_it, without = pod(form), pod(bare)
    ours = {"initContainers", "containers", "volumes"}

    assert [c for c in with_it["containers"] if c["name"] != NAME] == without["containers"]
    assert [c for c in with_it.get("initContainers", []) if c["name"] != NAME] == without.get("initContainers", [])
    assert [v for v in with_it["volumes"] if not v["name"].startswith(NAME)] == without["volumes"]
    assert {k: v for k, v in with_it.items() if k not in ours} == {k: v for k, v in without.items() if k not in ours}
    assert [m for m in form if m["kind"] not in {"Deployment", "ConfigMap"}] == [
        m for m in bare if m["kind"] != "Deployment"
    ]


def test_no_probe_of_ours_decides_when_triton_starts_or_gets_requests(sidecar: dict[str, Any]) -> None:
    assert {key for key in sidecar if key.endswith("Probe")} <= {"livenessProbe"}


def test_nothing_that_may_be_missing_keeps_the_pod_from_starting(form: Manifests, sidecar: dict[str, Any]) -> None:
    """A Secret or ConfigMap that is not optional holds up every container of its pod."""
    references = [entry["valueFrom"]["secretKeyRef"] for entry in sidecar["env"] if "secretKeyRef" in str(entry)]
    sources = [volume.get("configMap") or volume.get("secret") for volume in pod(form)["volumes"]]

    assert [reference["optional"] for reference in references] == [True]
    assert [source["optional"] for source in sources if source] == [True]


def test_the_native_form_starts_first_and_the_plain_one_stands_last(native: Manifests, plain: Manifests) -> None:
    first, last = pod(native)["initContainers"][0], pod(plain)["containers"][-1]

    assert (first["name"], first["restartPolicy"]) == (NAME, "Always")
    assert last == {key: value for key, value in first.items() if key not in NATIVE_ONLY}


def test_the_pod_has_time_for_triton_and_then_for_the_account(native: Manifests) -> None:
    assert pod(native)["terminationGracePeriodSeconds"] >= TRITON_DRAINS + DRAIN_SECONDS


# -- secrets and versions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(MANIFESTS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_no_file_holds_a_secret(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert "kind: Secret\n" not in text
    assert re.findall(r"(?i)InstrumentationKey=|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}", text) == []


def test_the_image_is_the_sidecar_of_this_version() -> None:
    tag = f"{__version__}-sidecar"

    assert f"image: triton-bridge:{tag} " in (MANIFESTS / "sidecar" / "sidecar.yaml").read_text(encoding="utf-8")
    assert f"newTag: {tag}\n" in (EXAMPLE / "kustomization.yaml").read_text(encoding="utf-8")
    assert f"newTag: {tag}\n" in DOCUMENT


# -- a Deployment of one's own -----------------------------------------------------------------------------------------

FOREIGN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: bert}
spec:
  selector: {matchLabels: {app: bert}}
  template:
    metadata: {labels: {app: bert}}
    spec:
      initContainers: [{name: fetch, image: example.com/fetch:1}]
      containers: [{name: server, image: example.com/bert:1}]
"""


@pytest.mark.parametrize("component", ["sidecar", "sidecar-plain"])
def test_what_the_document_shows_adds_the_bridge_to_any_deployment(
    component: str, kustomize: Path, tmp_path: Path
) -> None:
    """The kustomization.yaml of docs/kubernetes.md, word for word but for the paths."""
    (shown,) = re.findall(r"```yaml\n(# kustomization\.yaml\n.*?)```", DOCUMENT, re.DOTALL)
    shutil.copytree(MANIFESTS, tmp_path / "kubernetes")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "deployment.yaml").write_text(FOREIGN, encoding="utf-8")
    shutil.copy(EXAMPLE / "metrics.json", overlay)
    shown = shown.replace("path/to/triton-bridge/deploy/kubernetes/sidecar", f"../kubernetes/{component}")
    (overlay / "kustomization.yaml").write_text(shown, encoding="utf-8")

    rendered = load(build(kustomize, overlay))

    spec = pod(rendered)
    found = {"sidecar": spec["initContainers"][0], "sidecar-plain": spec["containers"][-1]}[component]
    assert found["image"].startswith("registry.example.com/triton-bridge:")
    assert {"name": "server", "image": "example.com/bert:1"} in spec["containers"]
    assert {"name": "fetch", "image": "example.com/fetch:1"} in spec["initContainers"]
    assert only(rendered, "ConfigMap")["metadata"]["name"] == f"{NAME}-metrics"
    validate(rendered, "1.33")
