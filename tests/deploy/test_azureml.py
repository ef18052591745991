"""The Azure ML deployment: the fields that the bundle relies on. (Azure itself is not at hand.)"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from bridge import __version__
from bridge.settings import describe
from examples.stack import ROOT

FOLDER = ROOT / "deploy" / "azureml"
DOCUMENT = (ROOT / "docs" / "azureml.md").read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    return load("deployment.yml")


def test_each_file_names_the_schema_that_azure_checks_it_by(deployment: dict[str, Any]) -> None:
    assert deployment["$schema"].endswith("/managedOnlineDeployment.schema.json")
    assert load("endpoint.yml")["$schema"].endswith("/managedOnlineEndpoint.schema.json")


def test_the_deployment_belongs_to_the_endpoint(deployment: dict[str, Any]) -> None:
    assert deployment["endpoint_name"] == load("endpoint.yml")["name"]


def test_only_triton_says_whether_an_instance_is_healthy(deployment: dict[str, Any]) -> None:
    assert deployment["environment"]["inference_config"] == {
        "liveness_route": {"path": "/v2/health/live", "port": 8000},
        "readiness_route": {"path": "/v2/health/ready", "port": 8000},
        "scoring_route": {"path": "/", "port": 8000},
    }


def test_the_key_comes_from_azure_and_is_in_no_file(deployment: dict[str, Any]) -> None:
    keys = [name for setting in describe() if setting.secret for name in setting.names]

    assert deployment["app_insights_enabled"] is True
    assert "AML_APP_INSIGHTS_KEY" in keys
    assert set(keys) & set(deployment["environment_variables"]) == set()


def test_environment_variables_are_settings_and_text(deployment: dict[str, Any]) -> None:
    known = {name for setting in describe() for name in setting.names}

    assert set(deployment["environment_variables"]) <= known
    assert {type(value) for value in deployment["environment_variables"].values()} == {str}


def test_the_selection_lies_in_the_folder_of_the_model(deployment: dict[str, Any]) -> None:
    model = deployment["model"]
    folder = f"/var/azureml-app/azureml-models/{model['name']}/{model['version']}/{model['path']}"

    assert deployment["environment_variables"]["BRIDGE_METRICS_FILE"] == f"{folder}/metrics.json"


def test_triton_serves_where_azure_ml_puts_the_model(deployment: dict[str, Any]) -> None:
    """With a mount path of one's own, the path above would be another."""
    assert "model_mount_path" not in deployment


def test_the_image_is_the_bundle_of_this_version(deployment: dict[str, Any]) -> None:
    image = deployment["environment"]["image"]

    assert image.endswith(f"/triton-bridge:{__version__}")
    assert f'/triton-bridge:{__version__}"\n' in DOCUMENT


def test_the_document_names_endpoint_and_deployment_as_the_files_do(deployment: dict[str, Any]) -> None:
    commands = " ".join(re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL))

    assert set(re.findall(r"--endpoint-name (\S+)", commands)) == {deployment["endpoint_name"]}
    assert set(re.findall(r"online-deployment \S+ (?:\\\s+)?--name (\S+)", commands)) == {deployment["name"]}
