"""For all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from examples.stack import StackError, tool

# Machines that run tests are noisy: how long an example takes says nothing about the rule that it tests.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


@pytest.fixture(scope="session")
def prometheis() -> dict[str, Path | str]:
    """The folders of the machine's own Prometheus and of a Prometheus 3, or why that cannot be had."""
    own = tool("prometheus.sh")
    try:
        return {"own": own, "3": tool("prometheus.sh", "3")}
    except StackError as error:
        return {"own": own, "3": str(error).splitlines()[-1]}


@pytest.fixture(scope="module", params=["own", "3"])
def prometheus_folder(request: pytest.FixtureRequest, prometheis: dict[str, Path | str]) -> Path:
    """For tests on each Prometheus: the folder of prometheus and promtool."""
    found = prometheis[request.param]
    if isinstance(found, str):
        pytest.skip(found)
    return found
