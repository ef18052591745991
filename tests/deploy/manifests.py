"""Takes a folder of manifests, gives them as kustomize renders them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from examples.stack import ROOT

NAME = "triton-bridge"
MANIFESTS = ROOT / "deploy" / "kubernetes"
EXAMPLE = MANIFESTS / "example"
Manifests = list[dict[str, Any]]


def build(kustomize: Path, folder: Path) -> str:
    """What would be applied, as text."""
    return subprocess.run([kustomize, "build", folder], check=True, capture_output=True, text=True).stdout


def load(text: str) -> Manifests:
    """The same as data."""
    return list(yaml.safe_load_all(text))


def validate(manifests: Manifests, version: str) -> None:
    """Raises where a manifest does not fit that Kubernetes, and where there is no schema to tell by."""
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def only(manifests: Manifests, kind: str) -> dict[str, Any]:
    """The one manifest of its kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod(manifests: Manifests) -> dict[str, Any]:
    """The pod of the one Deployment."""
    return only(manifests, "Deployment")["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod."""
    return [*spec.get("initContainers", []), *spec["containers"]]
