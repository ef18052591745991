"""The example in both forms, and Triton without the bridge."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from examples.stack import tool
from tests.deploy.manifests import EXAMPLE, MANIFESTS, NAME, Manifests, build, containers, load, pod


@pytest.fixture(scope="session")
def kustomize() -> Path:
    return tool("kustomize.sh") / "kustomize"


@pytest.fixture(scope="session")
def native_text(kustomize: Path) -> str:
    return build(kustomize, EXAMPLE)


@pytest.fixture(scope="session")
def plain_text(kustomize: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example with the other component: one line differs, as the document says."""
    copy = Path(shutil.copytree(MANIFESTS, tmp_path_factory.mktemp("plain") / "kubernetes"))
    kustomization = copy / "example" / "kustomization.yaml"
    text = kustomization.read_text(encoding="utf-8")
    assert text.count("  - ../sidecar\n") == 1
    kustomization.write_text(text.replace("  - ../sidecar\n", "  - ../sidecar-plain\n"), encoding="utf-8")
    return build(kustomize, copy / "example")


@pytest.fixture(scope="session")
def native(native_text: str) -> Manifests:
    return load(native_text)


@pytest.fixture(scope="session")
def plain(plain_text: str) -> Manifests:
    return load(plain_text)


@pytest.fixture(scope="session")
def bare(kustomize: Path) -> Manifests:
    """Triton without the bridge."""
    return load(build(kustomize, EXAMPLE / "triton"))


@pytest.fixture(params=["native", "plain"])
def form(request: pytest.FixtureRequest) -> Manifests:
    """The example in either form."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def sidecar(form: Manifests) -> dict[str, Any]:
    """Our container, in either form."""
    (found,) = [container for container in containers(pod(form)) if container["name"] == NAME]
    return found
